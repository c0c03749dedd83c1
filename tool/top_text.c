/*
 * top_text.c: the figures as a table.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "top.h"

/* Classes with the most bytes first. */
struct row {
    uint64_t bytes;
    size_t class_idx;
};

static int row_compare(const void *a, const void *b)
{
    const struct row *left = a;
    const struct row *right = b;
    return left->bytes > right->bytes ? -1
           : left->bytes < right->bytes
               ? 1
               : (left->class_idx > right->class_idx) - (left->class_idx < right->class_idx);
}

/* "+1.5K", "-3", "0" */
static struct heap_text rate_text(double rate)
{
    struct heap_text text;
    uint64_t whole = (uint64_t)(rate < 0 ? 0.5 - rate : rate + 0.5);
    snprintf(text.text, sizeof text.text, "%s%.20s",
             whole == 0 ? ""
             : rate < 0 ? "-"
                        : "+",
             heap_bytes(whole).text);
    return text;
}

static void head_print(const struct top *top, const char *end)
{
    const struct top_figures *now = &top->now;
    double age = top_clock() - now->seconds;
    printf("hakmem top: %s (%d)%s, ", top->target.program, top->target.process,
           now->hardened ? ", hardened" : "");
    if (top->published) {
        printf("published %.1f s ago%s", age < 0 ? 0 : age, end);
    } else {
        printf("read from its memory%s", end);
    }
    printf("resident %s, hugetlb %s, THP %s; segments %" PRIu64 ", of them hugetlb %" PRIu64
           ", THP asked for %" PRIu64 "%s",
           heap_bytes(now->resident_bytes).text, heap_bytes(now->hugetlb_bytes).text,
           heap_bytes(now->thp_bytes).text, now->segments, now->segments_huge, now->segments_thp,
           end);
    printf("pages in use %s (%s/s), free with memory %s", heap_bytes(now->taken_bytes).text,
           rate_text(top_rate(top, now->taken_bytes, top->before.taken_bytes)).text,
           heap_bytes(now->dirty_bytes).text);
    if (top->published) {
        printf(", records %s", heap_bytes(now->meta_bytes).text);
    }
    printf("%sheaps %" PRIu64 ", without thread %" PRIu64 "; slow paths %s/s%s%s", end, now->heaps,
           now->orphans, rate_text(top_rate(top, now->slow_paths, top->before.slow_paths)).text,
           end, end);
}

static void class_print(const struct top *top, size_t i, const char *end)
{
    const struct top_class *class = &top->now.classes[i];
    char cached[24] = "-";
    double rate = top_rate(top, class->used, top->before.classes[i].used);
    if (!top->published) {
        snprintf(cached, sizeof cached, "%" PRIu64, class->cached);
    }
    printf("%7" PRIu32 " %-9s %10" PRIu64 " %8s %10" PRIu64 " %8" PRIu64 " %7s %8s %8s%s",
           class->slot_bytes, heap_tier_name(class->tier), class->used, cached, class->free,
           class->spans * class->span_pages, heap_bytes(class->used * class->slot_bytes).text,
           rate_text(rate).text, rate_text(rate * class->slot_bytes).text, end);
}

static void large_print(const struct top *top, const char *end)
{
    const struct top_figures *now = &top->now;
    if (now->large_blocks != 0) {
        printf("%7s %-9s %10" PRIu64 " %8s %10s %8" PRIu64 " %7s %8s %8s%s", "-", "Large",
               now->large_blocks, "-", "-", now->large_bytes / 65536,
               heap_bytes(now->large_bytes).text,
               rate_text(top_rate(top, now->large_blocks, top->before.large_blocks)).text,
               rate_text(top_rate(top, now->large_bytes, top->before.large_bytes)).text, end);
    }
}

void top_print_text(const struct top *top, size_t lines, bool colour, const char *end)
{
    struct row rows[HAK_LIVE_CLASSES];
    size_t count = 0;
    head_print(top, end);
    printf("%s%7s %-9s %10s %8s %10s %8s %7s %8s %8s%s%s", colour ? "\033[7m" : "", "class", "tier",
           "live", "cached", "free", "pages", "bytes", "blocks/s", "bytes/s",
           colour ? "\033[0m" : "", end);
    for (size_t i = 1; i < top->now.class_count; i++) {
        const struct top_class *class = &top->now.classes[i];
        if (class->spans != 0) {
            rows[count++] = (struct row){class->used * class->slot_bytes, i};
        }
    }
    qsort(rows, count, sizeof rows[0], row_compare);
    large_print(top, end);
    for (size_t i = 0; i < count && i < lines; i++) {
        class_print(top, rows[i].class_idx, end);
    }
    if (count > lines) {
        printf("%zu more classes%s", count - lines, end);
    }
}
