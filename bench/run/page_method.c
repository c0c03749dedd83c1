/*
 * page_method.c: how the report page's figures came about, for who wants to judge or repeat them.
 */
#include <string.h>

#include "page.h"

static void fact(const struct page *page, const char *name, const char *value)
{
    page_put(page, "<dt>%s</dt><dd>", name);
    page_text(page, value[0] == '\0' ? "not known" : value);
    page_put(page, "</dd>\n");
}

static void machine_say(const struct page *page)
{
    const struct options *options = &page->s->options;
    const struct machine *machine = &page->machine;
    char text[256];
    page_put(page, "<h3>Machine and run</h3>\n<dl>\n");
    snprintf(text, sizeof text, "%s, %ld CPUs",
             machine->cpu[0] != '\0' ? machine->cpu : "not known", machine->cpus);
    fact(page, "Processor", text);
    fact(page, "Linux", machine->kernel);
    fact(page, "Transparent huge pages (THP)", machine->thp);
    fact(page, "Reserved huge pages (hugetlb)", machine->hugepages);
    fact(page, "Commit of the source", page->s->commit);
    fact(page, "Compiler and options", machine->build);
    snprintf(text, sizeof text, "%u%s%s", options->rounds,
             options->quick ? ", of quick (shorter) runs" : "",
             page->s->interrupted ? ", interrupted" : "");
    fact(page, "Rounds", text);
    snprintf(text, sizeof text, "%llu", (unsigned long long)options->seed);
    fact(page, "Seed of the order", text);
    fact(page, "Pinning",
         options->pin
             ? "benches of one thread, or the program, are tied to one CPU, all others run on any"
             : "none: the kernel chooses the CPUs");
    page_put(page, "</dl>\n");
}

static void order_say(const struct page *page)
{
    page_put(page, "<h3>How it was run</h3>\n<p>");
    page_say(page,
             "Every run is a process of its own with the allocator preloaded, so that the "
             "program itself is the same in all of them. The runs are interleaved: each round "
             "visits all benches in a new random order and, for each bench, all variants in a "
             "new random order, so that runs that are compared lie close together in time and "
             "no variant always comes first. The order follows from the seed. Each run tells "
             "which library served it; one that was served by another counts as failed.");
    page_put(page, "</p>\n<p>");
    page_say(page,
             "The clock covers the steady state of a bench only. An operation is one malloc "
             "or one free. Peak memory is the most that the process held at a time, huge pages "
             "and the bench's own tables included.");
    page_put(page, "</p>\n");
    page_put(page, "<p>");
    if (page->s->options.latency_rounds > 0)
        page_say(page, "Single calls were timed in short runs of their own, %d of each bench. ",
                 page->s->options.latency_rounds);
    if (page->s->options.ab && page->s->options.calls)
        page_say(page, "System calls of each bench were counted in one more short run, under "
                       "strace. ");
    page_say(page, "What was counted or timed apart takes part in no other figure.");
    page_put(page, "</p>\n");
}

static void statistics_say(const struct page *page)
{
    page_put(page, "<h3>Statistics</h3>\n<ul>\n<li>");
    page_say(page,
             "Median: the middle one of all runs. One run that was disturbed does not move it.");
    page_put(page, "</li>\n<li>");
    page_say(page,
             "Ratio: the median of the other variant over the median of the one that is "
             "judged; above 1 is better for the latter. Geometric mean: the average of ratios, "
             "in which twice as fast and half as fast even out.");
    page_put(page, "</li>\n");
    if (!page->intervals) {
        page_put(page, "<li>Intervals were not computed for this run.</li>\n</ul>\n");
        return;
    }
    page_put(page, "<li>");
    page_say(page, "95 %% interval (bootstrap): the runs are drawn again at random, with "
                   "replacement, many times over; the interval holds the middle 95 of 100 ratios "
                   "that come of it.");
    page_put(page, "</li>\n<li>");
    page_say(page,
             "p (Mann-Whitney test): if the two were equally fast, how often chance alone would "
             "put their runs at least this far apart. Only the order of the runs counts, not "
             "the shape of their distribution.");
    page_put(page, "</li>\n<li>");
    page_say(page,
             "p, corrected (Holm): who tests many benches finds some difference by chance. The "
             "correction makes p larger, so that one false alarm over all of them together "
             "stays as unlikely as it would be in a single test.");
    page_put(page, "</li>\n<li>");
    page_say(page, "Verdict: a bench counts as faster or slower only if chance is an unlikely "
                   "explanation after the correction and the difference is large enough to matter. "
                   "Else it is the same, or not known.");
    page_put(page, "</li>\n</ul>\n");
}

static void header_say(const struct page *page)
{
    page_put(page, "<h3>What the header mode is</h3>\n<p>");
    page_say(page,
             "A program that frees a block names only its address; the allocator has to find "
             "out what the block is. The header mode writes one byte in front of each block "
             "when it is handed out and reads it when it is freed. Without the header, hakmem "
             "finds the same in a table by the block's address and touches nothing beside the "
             "block. Both are built from the same source, but for one header file.");
    page_put(page, "</p>\n<p>");
    page_say(page,
             "In header mode, the first place (slot 0) of each page of small blocks stays "
             "unused, because the byte before it would lie in another page; and a block that "
             "starts at a multiple of 64 KiB has no header and is found by the table (the tag "
             "path) in both modes.");
    page_put(page, "</p>\n");
}

static void variants_say(const struct page *page)
{
    page_put(page, "<h3>Variants</h3>\n<dl>\n");
    for (unsigned v = 0; v < page->s->variant_count; v++) {
        const struct variant *variant = &page->s->variants[v];
        if (!variant->wanted)
            continue;
        const char *file = strrchr(variant->library, '/');
        page_put(page, "<dt>");
        page_text(page, variant->name);
        page_put(page, "</dt><dd>");
        page_text(page, variant_words(variant));
        if (!variant->present)
            page_put(page, " Absent: its library was not found.");
        else if (file != NULL)
            page_say(page, " (%s)", file + 1);
        page_put(page, "</dd>\n");
    }
    page_put(page, "</dl>\n");
}

static void benches_say(const struct page *page)
{
    page_put(page, "<h3>Benches</h3>\n<dl>\n");
    for (unsigned row = 0; row < page->s->row_count; row++) {
        const struct row *bench = &all_rows[page->s->rows[row]];
        const char *arguments = row_arguments(bench, page->s->options.quick);
        bool repeated = (bench->flags & ROW_BY_TIME) != 0 && !page->s->options.quick;
        page_put(page, "<dt>");
        page_text(page, bench->name);
        page_put(page, "</dt><dd>");
        page_text(page, program_words(bench));
        page_put(page, " <code>");
        page_say(page, "%s%s%s", bench->program, arguments[0] != '\0' ? " " : "", arguments);
        page_put(page, "</code>%s</dd>\n",
                 repeated ? ", repeated until two seconds have passed" : "");
    }
    page_put(page, "</dl>\n");
}

void page_method(const struct page *page)
{
    page_put(page, "<section id=\"method\">\n<h2>How it was measured</h2>\n");
    machine_say(page);
    order_say(page);
    statistics_say(page);
    header_say(page);
    variants_say(page);
    benches_say(page);
    page_put(page, "</section>\n");
}
