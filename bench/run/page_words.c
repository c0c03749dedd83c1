/*
 * page_words.c: text for the report page: escaping, and figures and names as words.
 */
#include <stdarg.h>
#include <string.h>

#include "page.h"

const struct time_kind time_kinds[] = {
    {METRIC_NS_PER_OP, 0, "benches", "ns"},
    {METRIC_WALL_S, ROW_PROGRAM, "programs", "s"},
};
const unsigned time_kind_count = sizeof time_kinds / sizeof time_kinds[0];

struct words {
    const char *name, *sentence;
};

static const struct words variants[] = {
    {"glibc", "The malloc of the C library: what a program gets if nothing else is asked for."},
    {"hakmem", "This project: nothing is stored beside a block; what a block is follows from its "
               "address."},
    {"hakmem-header", "The same source with one byte of header in front of each block, which says "
                      "what the block is."},
    {"hakmem-again", "The library of hakmem a second time, as a control: whatever differs between "
                     "the two is chance."},
    {"mimalloc", "Microsoft's allocator, as Debian packages it."},
    {"jemalloc", "The allocator of FreeBSD, as Debian packages it."},
    {"tcmalloc", "Google's allocator, in its minimal form, as Debian packages it."},
    {"factor-header-written",
     "hakmem with the header's space whose malloc writes it too; nothing reads it: against "
     "factor-header-space, the cost of writing."},
    {"factor-header-read",
     "hakmem with the header's space whose free reads the byte in front of the block and makes "
     "nothing of it: against factor-header-space, the cost of touching the block."},
    {"factor-header-space",
     "hakmem whose blocks give up one byte each, which is neither written nor "
     "read: the cost of the space alone."},
    {"factor-no-owner-test", "hakmem whose free does not ask whose block it is, which the header "
                             "mode does not either."},
    {"factor-intrusive-list", "hakmem whose free blocks are linked through their own first bytes "
                              "instead of being noted in an array."},
};

static const struct words programs[] = {
    {"bench_replay", "The calls that a program made of its malloc, recorded and made again."},
    {"bench_random_mixed",
     "Small blocks of mixed sizes, 16 to 1040 bytes, on one thread; the number "
     "in the name is how many exist at a time."},
    {"bench_fixed_size", "Blocks of one size on one thread; the number in the name is the size in "
                         "bytes."},
    {"bench_c6_heavy", "Blocks of 257 to 512 bytes on one thread."},
    {"bench_mid_large_mt",
     "Blocks of 8 to 32 KiB on several threads, each with blocks of its own."},
    {"bench_pool_tls", "Blocks of 8 to 52 KiB on several threads, each with blocks of its own."},
    {"bench_larson", "A server whose threads come and go: blocks are often freed by another thread "
                     "than asked for them."},
    {"bench_xthread", "Some threads ask for blocks and hand them to others, which free them."},
    {"bench_app",
     "A program's mix on one thread: four in five blocks up to 256 bytes, a few up to 32 "
     "KiB."},
    {"bench_powers", "Powers of two only, on one thread, many at a time: where a header costs most "
                     "memory."},
    {"bench_remote",
     "Two threads that hand each other blocks to free; the number in the name is how "
     "many of a hundred."},
    {"bench_burst", "Many blocks at once, all freed again, and then a pause."},
    {"bench_churn", "Threads that live shortly and are replaced."},
    {"bench_realloc", "Tables that grow step by step from 16 bytes to 1 MB."},
    {"bench_large", "Blocks of 64 KiB to 25 MB on one thread."},
    {"bench_nothing",
     "A program that asks for one block and ends: what the allocator needs at least. "
     "Its time means nothing."},
};

static const char *words_of(const struct words *table, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].sentence;
    return name;
}

const char *variant_words(const struct variant *variant)
{
    return words_of(variants, sizeof variants / sizeof variants[0], variant->name);
}

const char *program_words(const struct row *row)
{
    return words_of(programs, sizeof programs / sizeof programs[0], row->program);
}

void page_text(const struct page *page, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '<')
            fputs("&lt;", page->file);
        else if (byte == '>')
            fputs("&gt;", page->file);
        else if (byte == '&')
            fputs("&amp;", page->file);
        else if (byte == '"')
            fputs("&quot;", page->file);
        else if (byte < ' ' || byte == 0x7f) /* no HTML holds them */
            fputc(' ', page->file);
        else
            fputc(byte, page->file);
    }
}

void page_put(const struct page *page, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(page->file, format, arguments);
    va_end(arguments);
}

void page_say(const struct page *page, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    page_text(page, text);
}

/* Parts of a hundred up to double, times above. */
void page_say_speed(const struct page *page, double ratio, const char *name)
{
    double percent = fabs(ratio - 1) * 100;
    if (ratio >= 2)
        page_say(page, "%.2f times as fast as %s", ratio, name);
    else if (percent < 0.05)
        page_say(page, "as fast as %s", name);
    else
        page_say(page, "%.1f %% %s than %s", percent, ratio > 1 ? "faster" : "slower", name);
}

void page_say_memory(const struct page *page, double ratio, const char *name)
{
    double share = 1 / ratio;
    double percent = fabs(share - 1) * 100;
    if (share >= 2)
        page_say(page, "needs %.2f times the memory of %s", share, name);
    else if (percent < 0.05)
        page_say(page, "needs as much memory as %s", name);
    else
        page_say(page, "needs %.1f %% %s memory than %s", percent, share > 1 ? "more" : "less",
                 name);
}

const struct time_kind *row_time_kind(const struct comparison *s, unsigned row)
{
    for (unsigned i = 1; i < time_kind_count; i++)
        if ((all_rows[s->rows[row]].flags & time_kinds[i].flag) != 0)
            return &time_kinds[i];
    return &time_kinds[0];
}

bool time_kind_occurs(const struct comparison *s, const struct time_kind *kind)
{
    for (unsigned row = 0; row < s->row_count; row++)
        if (row_is_timed(s, row) && row_time_kind(s, row) == kind)
            return true;
    return false;
}

enum metric row_time_metric(const struct comparison *s, unsigned row)
{
    return row_time_kind(s, row)->metric;
}

const char *row_name(const struct page *page, unsigned row)
{
    return all_rows[page->s->rows[row]].name;
}

const char *variant_name(const struct page *page, int variant)
{
    return page->s->variants[variant].name;
}

bool variant_is_factor(const struct page *page, unsigned variant)
{
    static const char prefix[] = "factor-";
    return strncmp(page->s->variants[variant].name, prefix, sizeof prefix - 1) == 0;
}

bool mean_is_known(const struct change_mean *mean)
{
    return mean->benches > 0 && isfinite(mean->ratio) && mean->ratio > 0;
}

bool mean_has_interval(const struct change_mean *mean)
{
    return isfinite(mean->low) && isfinite(mean->high) && mean->low > 0;
}
