/*
 * page_tables.c: the figures behind the report page's plots.
 *
 * A cell with a failed run says why; a figure that was not measured is "-".
 */
#include <string.h>

#include "page.h"

/* One figure of a bench under a variant; NAN: none. */
typedef double cell_figure(const struct page *page, unsigned row, int variant);

struct grid {
    const char *caption;
    cell_figure *figure; /* NULL: the median of `metric` */
    enum metric metric;
    const char *format;
    bool timed_only; /* rows whose time means something */
    bool units;      /* a column with the unit of the row's time */
};

static double figure_time(const struct page *page, unsigned row, int variant)
{
    return cell_median(page->s, row, variant, row_time_metric(page->s, row));
}

static double figure_peak_mb(const struct page *page, unsigned row, int variant)
{
    enum metric peak = row_metric(page->s, row, METRIC_PEAK_KB);
    return cell_median(page->s, row, variant, peak) / 1024;
}

static double figure_after_mb(const struct page *page, unsigned row, int variant)
{
    return cell_median(page->s, row, variant, METRIC_AFTER_KB) / 1024;
}

static double figure_speedup(const struct page *page, unsigned row, int variant)
{
    if (page->glibc < 0)
        return NAN;
    return change_of(page->s, row, variant, page->glibc, row_time_metric(page->s, row)).ratio;
}

static const struct grid grids[] = {
    {"Time of each bench, median. ns is nanoseconds an operation. Less is better.", figure_time, 0,
     "%.2f", true, true},
    {"Throughput of each bench over that of glibc. More is better; 1 is as fast as glibc.",
     figure_speedup, 0, "%.3f", true, false},
    {"Peak memory in MB, median. Less is better.", figure_peak_mb, 0, "%.1f", false, false},
    {"Memory in MB when all blocks are freed, median. Less is better.", figure_after_mb, 0, "%.1f",
     true, false},
    {"Page faults of the whole run, median: how often the kernel had to hand over a page of "
     "memory. "
     "Less is better.",
     NULL, METRIC_MINOR_FAULTS, "%.0f", false, false},
    {"System calls for memory of the whole run, counted once under strace. Less is better.", NULL,
     METRIC_MEMORY_CALLS, "%.0f", false, false},
    {"Mappings (VMAs) of the process when all blocks are in use, median. The kernel allows 65530 "
     "unless told otherwise.",
     NULL, METRIC_VMAS, "%.0f", false, false},
    {"Half of all calls took no longer (p50), in ns. Less is better.", NULL, METRIC_P50_NS, "%.0f",
     true, false},
    {"99 of 100 calls took no longer (p99), in ns. Less is better.", NULL, METRIC_P99_NS, "%.0f",
     true, false},
    {"999 of 1000 calls took no longer (p99.9), in ns. Less is better.", NULL, METRIC_P999_NS,
     "%.0f", true, false},
    {"The longest call that was timed, in ns. Less is better.", NULL, METRIC_MAX_NS, "%.0f", true,
     false},
};

static void table_open(const struct page *page, const char *caption)
{
    page_put(page, "<div class=\"scroll\" tabindex=\"0\">\n<table>\n<caption>");
    page_text(page, caption);
    page_put(page, "</caption>\n<thead><tr>");
}

static void table_close(const struct page *page)
{
    page_put(page, "</tbody>\n</table>\n</div>\n");
}

static void column_put(const struct page *page, const char *name)
{
    page_put(page, "<th scope=\"col\">");
    page_text(page, name);
    page_put(page, "</th>");
}

static void text_column_put(const struct page *page, const char *name)
{
    page_put(page, "<th scope=\"col\" class=\"text\">");
    page_text(page, name);
    page_put(page, "</th>");
}

static void row_open(const struct page *page, const char *name)
{
    page_put(page, "<tr><th scope=\"row\">");
    page_text(page, name);
    page_put(page, "</th>");
}

static void text_cell(const struct page *page, const char *text)
{
    page_put(page, "<td class=\"text\">");
    page_text(page, text[0] == '\0' ? "-" : text);
    page_put(page, "</td>");
}

/* A word or two, which stay on one line. */
static void short_cell(const struct page *page, const char *text)
{
    page_put(page, "<td class=\"short\">");
    page_text(page, text);
    page_put(page, "</td>");
}

static void number_cell(const struct page *page, double value, const char *format)
{
    char text[32] = "-";
    if (isfinite(value))
        snprintf(text, sizeof text, format, value);
    page_put(page, "<td>%s</td>", text);
}

static void range_cell(const struct page *page, double low, double high)
{
    if (isfinite(low) && isfinite(high))
        page_put(page, "<td>%.3f to %.3f</td>", low, high);
    else
        page_put(page, "<td>-</td>");
}

static void failed_cell(const struct page *page, const char *name, const struct cell *cell)
{
    page_put(page, "<td class=\"failed\"");
    if (name != NULL) /* in place of a whole row of figures */
        page_put(page, " colspan=\"8\"");
    page_put(page, ">");
    page_say(page, "%s%sfailed: %s", name == NULL ? "" : name, name == NULL ? "" : " ",
             cell->reason);
    page_put(page, "</td>");
}

/* ---- benches by variants -----------------------------------------------------------------------
 */

static void grid_put(const struct page *page, const struct grid *grid)
{
    const struct comparison *s = page->s;
    table_open(page, grid->caption);
    column_put(page, "bench");
    if (grid->units)
        text_column_put(page, "unit");
    for (unsigned v = 0; v < s->variant_count; v++)
        if (variant_runs(&s->variants[v]))
            column_put(page, s->variants[v].name);
    page_put(page, "</tr></thead>\n<tbody>\n");
    for (unsigned row = 0; row < s->row_count; row++) {
        if (grid->timed_only && !row_is_timed(s, row))
            continue;
        row_open(page, row_name(page, row));
        if (grid->units)
            short_cell(page, row_time_kind(s, row)->unit);
        for (unsigned v = 0; v < s->variant_count; v++) {
            if (!variant_runs(&s->variants[v]))
                continue;
            if (s->cells[row][v].failed > 0)
                failed_cell(page, NULL, &s->cells[row][v]);
            else
                number_cell(page,
                            grid->figure != NULL ? grid->figure(page, row, (int)v)
                                                 : cell_median(s, row, (int)v, grid->metric),
                            grid->format);
        }
        page_put(page, "</tr>\n");
    }
    table_close(page);
}

/* ---- hakmem against one other ------------------------------------------------------------------
 */

static void chance_cell(const struct page *page, double p)
{
    if (!isfinite(p))
        page_put(page, "<td>-</td>");
    else if (p < 0.001)
        page_put(page, "<td>&lt; 0.001</td>");
    else
        page_put(page, "<td>%.3f</td>", p);
}

/* What faster and slower are of memory. */
static const char *const memory_verdicts[] = {[CHANGE_UNKNOWN] = "not known",
                                              [CHANGE_FASTER] = "less",
                                              [CHANGE_SLOWER] = "more",
                                              [CHANGE_SAME] = "same"};

static void change_row(const struct page *page, unsigned row, int base, enum metric metric)
{
    const struct comparison *s = page->s;
    double scale = metric == METRIC_PEAK_KB ? 1024 : 1;
    const int both[] = {page->hakmem, base};
    row_open(page, row_name(page, row));
    for (unsigned i = 0; i < 2; i++)
        if (s->cells[row][both[i]].failed > 0) {
            failed_cell(page, variant_name(page, both[i]), &s->cells[row][both[i]]);
            page_put(page, "</tr>\n");
            return;
        }
    struct change change = change_of(s, row, page->hakmem, base, metric);
    enum metric measured = row_metric(s, row, metric);
    number_cell(page, cell_median(s, row, page->hakmem, measured) / scale, "%.2f");
    number_cell(page, cell_median(s, row, base, measured) / scale, "%.2f");
    number_cell(page, change.ratio, "%.3f");
    range_cell(page, change.low, change.high);
    chance_cell(page, change.p);
    chance_cell(page, change.p_holm);
    page_put(page, "<td>%u, %u</td>", change.variant_samples, change.base_samples);
    short_cell(page, metric == METRIC_PEAK_KB ? memory_verdicts[change.verdict]
                                              : change_verdict_names[change.verdict]);
    page_put(page, "</tr>\n");
}

static void change_table(const struct page *page, int base, bool memory)
{
    char caption[256];
    if (page->hakmem < 0 || base < 0)
        return;
    snprintf(caption, sizeof caption,
             "hakmem against %s: %s. The ratio is %s over hakmem's; above 1 is better for hakmem.",
             variant_name(page, base), memory ? "peak memory in MB" : "time of each bench",
             variant_name(page, base));
    table_open(page, caption);
    column_put(page, "bench");
    column_put(page, "hakmem");
    column_put(page, variant_name(page, base));
    column_put(page, "ratio");
    column_put(page, "95 % interval");
    column_put(page, "p");
    column_put(page, "p, corrected");
    column_put(page, "runs");
    text_column_put(page, "verdict");
    page_put(page, "</tr></thead>\n<tbody>\n");
    for (unsigned row = 0; row < page->s->row_count; row++)
        if (memory || row_is_timed(page->s, row))
            change_row(page, row, base, memory ? METRIC_PEAK_KB : row_time_metric(page->s, row));
    table_close(page);
}

/* ---- the rest ----------------------------------------------------------------------------------
 */

static bool is_factor_run(const struct page *page, unsigned v)
{
    return variant_is_factor(page, v) && variant_runs(&page->s->variants[v]);
}

static void factors_row(const struct page *page, unsigned row)
{
    const struct comparison *s = page->s;
    row_open(page, row_name(page, row));
    for (unsigned v = 0; v < s->variant_count; v++) {
        if (!is_factor_run(page, v))
            continue;
        struct change change = change_of(s, row, (int)v, page->hakmem, row_time_metric(s, row));
        if (s->cells[row][v].failed > 0)
            failed_cell(page, NULL, &s->cells[row][v]);
        else
            number_cell(page, change.ratio, "%.3f");
    }
    page_put(page, "</tr>\n");
}

static void factors_grid(const struct page *page)
{
    bool any = false;
    for (unsigned v = 0; v < page->s->variant_count; v++)
        any |= is_factor_run(page, v);
    if (!any || page->hakmem < 0)
        return;
    table_open(page, "Throughput of each factor over that of hakmem, by bench. Below 1, what the "
                     "factor does costs time.");
    column_put(page, "bench");
    for (unsigned v = 0; v < page->s->variant_count; v++)
        if (is_factor_run(page, v))
            column_put(page, page->s->variants[v].name);
    page_put(page, "</tr></thead>\n<tbody>\n");
    for (unsigned row = 0; row < page->s->row_count; row++)
        if (row_is_timed(page->s, row))
            factors_row(page, row);
    table_close(page);
}

static void counts_table(const struct page *page)
{
    static const char *const columns[] = {"variant",
                                          "instructions of a malloc that hits",
                                          "of a free that hits",
                                          "of a pair",
                                          "mutexes taken",
                                          "futex calls",
                                          "memory calls"};
    if (!page->s->options.probes) {
        page_put(page, "<p>Instructions were not counted in this run.</p>\n");
        return;
    }
    table_open(page,
               "What was counted. A hit is a call that is served from the thread's own stock; a "
               "pair is one malloc and one free of 64 bytes. Mutexes and system calls are those "
               "of the program mid_large_mt 8 40000 2048 42. Counts do not vary with the load of "
               "the machine.");
    for (unsigned i = 0; i < sizeof columns / sizeof columns[0]; i++)
        column_put(page, columns[i]);
    text_column_put(page, "remarks");
    page_put(page, "</tr></thead>\n<tbody>\n");
    for (unsigned v = 0; v < page->s->variant_count; v++) {
        const struct probe *probe = &page->s->probes[v];
        char remark[2 * REASON_BYTES + 2];
        if (!variant_runs(&page->s->variants[v]))
            continue;
        snprintf(remark, sizeof remark, "%s%s%s", probe->reason,
                 probe->reason[0] != '\0' && probe->calls.by_name[0] != '\0' ? "; " : "",
                 probe->calls.by_name);
        row_open(page, page->s->variants[v].name);
        number_cell(page, probe->malloc_instructions, "%.0f");
        number_cell(page, probe->free_instructions, "%.0f");
        number_cell(page, probe->pair_instructions, "%.1f");
        number_cell(page, probe->mutex_acquisitions, "%.0f");
        number_cell(page, probe->calls.futex, "%.0f");
        number_cell(page, probe->calls.memory, "%.0f");
        text_cell(page, remark);
        page_put(page, "</tr>\n");
    }
    table_close(page);
}

static void targets_table(const struct page *page)
{
    static const char *const columns[] = {"figure", "wanted", "measured", "verdict"};
    table_open(page, "The figures that the project set itself");
    for (unsigned i = 0; i < sizeof columns / sizeof columns[0]; i++)
        text_column_put(page, columns[i]);
    page_put(page, "</tr></thead>\n<tbody>\n");
    for (unsigned i = 0; i < page->s->target_count; i++) {
        const struct target *target = &page->s->targets[i];
        page_put(page, "<tr><th scope=\"row\" class=\"text\">");
        page_text(page, target->what);
        page_put(page, "</th>");
        text_cell(page, target->wanted);
        text_cell(page, target->measured);
        short_cell(page, verdict_names[target->verdict]);
        page_put(page, "</tr>\n");
    }
    table_close(page);
}

static void grid_under(const struct page *page, const char *heading, unsigned first, unsigned last)
{
    if (heading != NULL)
        page_put(page, "<h3>%s</h3>\n", heading);
    for (unsigned i = first; i <= last; i++)
        grid_put(page, &grids[i]);
}

void page_tables(const struct page *page)
{
    page_put(page, "<section>\n<h2>The figures</h2>\n");
    page_put(page, "<p>A dash is a figure that was not measured. What the benches do and what the "
                   "columns mean stands under <a href=\"#method\">How it was measured</a>.</p>\n");
    grid_under(page, "Time", 0, 1);
    change_table(page, page->header, false);
    change_table(page, page->glibc, false);
    change_table(page, page->again, false);
    factors_grid(page);
    grid_under(page, "Memory", 2, 3);
    change_table(page, page->header, true);
    change_table(page, page->glibc, true);
    if (page->s->options.latency_rounds > 0) {
        page_put(page, "<h3>Single calls</h3>\n<p>In runs of their own every 31st call was timed. "
                       "What reading the clock costs is part of each figure, for all variants "
                       "alike.</p>\n");
        grid_under(page, NULL, 7, 10);
    }
    grid_under(page, "Page faults and mappings", 4, 4);
    grid_under(page, NULL, 6, 6);
    page_put(page, "<h3>Instructions and system calls</h3>\n");
    if (page->s->options.ab && page->s->options.calls)
        grid_under(page, NULL, 5, 5);
    counts_table(page);
    if (page->s->options.peers && page->s->target_count > 0) {
        page_put(page, "<h3>Targets</h3>\n");
        targets_table(page);
    }
    page_put(page, "</section>\n");
}
