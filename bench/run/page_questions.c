/*
 * page_questions.c: one plot a question, with the answer in a sentence.
 *
 * Every ratio is drawn so that 1 means "no difference".
 */
#include <string.h>

#include "page.h"
#include "plots.h"

static const char all_rows_label[] = "all together";

/* Series of a plot whose colours are verdicts. */
enum { SERIES_FASTER, SERIES_SLOWER, SERIES_OPEN, SERIES_MEAN, VERDICT_SERIES };

static struct plot plot; /* large: not on the stack */

static void plot_start(const char *id, const char *title, const char *axis, bool side_by_side)
{
    memset(&plot, 0, sizeof plot);
    plot.id = id;
    plot.title = title;
    plot.axis = axis;
    plot.side_by_side = side_by_side;
}

static void verdict_series(const char *faster, const char *slower, const char *open,
                           const char *mean)
{
    plot.series[SERIES_FASTER] = faster;
    plot.series[SERIES_SLOWER] = slower;
    plot.series[SERIES_OPEN] = open;
    plot.series[SERIES_MEAN] = mean;
    plot.series_count = VERDICT_SERIES;
}

static void plot_put(const struct page *page)
{
    char reason[REASON_BYTES] = "";
    if (plot.row_count == 0)
        return;
    plot_sort(&plot);
    page_put(page, "<figure class=\"plot\">\n");
    if (!plot_write(&plot, page->file, reason)) {
        page_put(page, "<p class=\"missing\">");
        page_say(page, "This plot could not be drawn: %s. The figures are in the tables below.",
                 reason);
        page_put(page, "</p>");
    }
    page_put(page, "</figure>\n");
}

static struct plot_point speed_point(const struct change *change)
{
    if (!isfinite(change->ratio))
        return (struct plot_point){NAN, NAN, NAN};
    return (struct plot_point){change->ratio, change->low, change->high};
}

/* Drawn as its figure over the other's: less is to the left. */
static struct plot_point cost_point(const struct change *change)
{
    if (!isfinite(change->ratio) || change->ratio <= 0)
        return (struct plot_point){NAN, NAN, NAN};
    return (struct plot_point){1 / change->ratio, 1 / change->high, 1 / change->low};
}

static struct change mean_as_change(const struct change_mean *mean)
{
    return (struct change){
        .ratio = mean_is_known(mean) ? mean->ratio : NAN, .low = mean->low, .high = mean->high};
}

/* ---- without the header, is it faster? --------------------------------------------------------
 */

/* What the plot shows, for its sentence. */
struct answer {
    unsigned shown, faster, slower;
    unsigned best_row, worst_row;
    double best, worst;
};

static void answer_take(struct answer *answer, unsigned row, double value,
                        enum change_verdict verdict)
{
    if (answer->shown == 0 || value > answer->best) {
        answer->best = value;
        answer->best_row = row;
    }
    if (answer->shown == 0 || value < answer->worst) {
        answer->worst = value;
        answer->worst_row = row;
    }
    answer->shown++;
    answer->faster += verdict == CHANGE_FASTER;
    answer->slower += verdict == CHANGE_SLOWER;
}

static void header_rows(const struct page *page, struct answer *answer)
{
    static const int series_of[] = {[CHANGE_UNKNOWN] = SERIES_OPEN,
                                    [CHANGE_FASTER] = SERIES_FASTER,
                                    [CHANGE_SLOWER] = SERIES_SLOWER,
                                    [CHANGE_SAME] = SERIES_OPEN};
    for (unsigned row = 0; row < page->s->row_count; row++) {
        if (!row_is_timed(page->s, row))
            continue;
        struct change change =
            change_of(page->s, row, page->hakmem, page->header, row_time_metric(page->s, row));
        if (!isfinite(change.ratio))
            continue;
        struct plot_row *drawn = plot_row_add(&plot, row_name(page, row));
        drawn->points[series_of[change.verdict]] = speed_point(&change);
        answer_take(answer, row, change.ratio, change.verdict);
    }
}

/* One more row a kind of time, above all others. */
static void mean_rows(const struct page *page, int variant, int base, unsigned series)
{
    for (unsigned i = 0; i < time_kind_count; i++) {
        if (!time_kind_occurs(page->s, &time_kinds[i]))
            continue;
        struct change_mean mean = change_mean_of(page->s, variant, base, time_kinds[i].metric);
        if (mean.benches < 2 || !mean_is_known(&mean))
            continue;
        struct change change = mean_as_change(&mean);
        struct plot_row *drawn = plot_row_add(&plot, all_rows_label);
        drawn->on_top = true;
        drawn->points[series] = speed_point(&change);
    }
}

static void header_answer(const struct page *page, const struct answer *answer)
{
    page_put(page, "<p class=\"answer\">");
    if (answer->shown == 0) {
        page_say(page, "This was not measured: it takes both hakmem and hakmem-header.");
    } else {
        if (answer->faster + answer->slower > 0)
            page_say(page,
                     "It is faster without the header on %u of %u benches and slower on %u; on %u "
                     "no difference can be told.",
                     answer->faster, answer->shown, answer->slower,
                     answer->shown - answer->faster - answer->slower);
        else
            page_say(page, "On none of %u benches can a difference be told from chance.",
                     answer->shown);
        page_say(page,
                 " The medians lie between %.3f times the throughput with the header (%s) and "
                 "%.3f times (%s).",
                 answer->worst, row_name(page, answer->worst_row), answer->best,
                 row_name(page, answer->best_row));
    }
    page_put(page, "</p>\n");
}

static void header_question(const struct page *page)
{
    struct answer answer = {0};
    page_put(page, "<section>\n<h2>Is hakmem faster without the header?</h2>\n");
    plot_start("header-plot", "Throughput of hakmem without the header over with it, by bench",
               "throughput without header / with header", false);
    verdict_series("faster without", "slower without", "no difference told", all_rows_label);
    if (page->hakmem >= 0 && page->header >= 0) {
        header_rows(page, &answer);
        mean_rows(page, page->hakmem, page->header, SERIES_MEAN);
    }
    header_answer(page, &answer);
    if (answer.shown > 0)
        plot_put(page);
    page_put(page, "</section>\n");
}

/* ---- all variants against glibc ----------------------------------------------------------------
 */

/* A series a variant; where its points stand. */
static unsigned series_add(const struct page *page, unsigned *variants)
{
    for (unsigned v = 0; v < page->s->variant_count; v++) {
        if (!variant_runs(&page->s->variants[v]) || (int)v == page->glibc ||
            variant_is_factor(page, v))
            continue;
        variants[plot.series_count] = v;
        plot.series[plot.series_count++] = page->s->variants[v].name;
    }
    return plot.series_count;
}

/* Throughput for METRIC_NS_PER_OP, else the metric itself. */
static struct plot_point point_of(const struct change *change, enum metric metric)
{
    return metric == METRIC_NS_PER_OP ? speed_point(change) : cost_point(change);
}

/* Fills in a row; false: it has no point. */
static bool row_against_glibc(const struct page *page, unsigned row, const unsigned *variants,
                              enum metric metric, struct plot_row *drawn)
{
    enum metric compared = metric == METRIC_NS_PER_OP ? row_time_metric(page->s, row) : metric;
    bool any = false;
    for (unsigned i = 0; i < plot.series_count; i++) {
        struct change change = change_of(page->s, row, (int)variants[i], page->glibc, compared);
        drawn->points[i] = point_of(&change, metric);
        any |= isfinite(drawn->points[i].value);
    }
    return any;
}

static void rows_against_glibc(const struct page *page, const unsigned *variants,
                               enum metric metric, struct answer *answer)
{
    for (unsigned row = 0; row < page->s->row_count; row++) {
        if (metric != METRIC_PEAK_KB && !row_is_timed(page->s, row))
            continue;
        struct plot_row *drawn = plot_row_add(&plot, row_name(page, row));
        if (!row_against_glibc(page, row, variants, metric, drawn)) {
            plot.row_count--;
            continue;
        }
        for (unsigned i = 0; i < plot.series_count; i++)
            if ((int)variants[i] == page->hakmem && isfinite(drawn->points[i].value))
                answer_take(answer, row, drawn->points[i].value, CHANGE_UNKNOWN);
    }
}

/* All variants share the row of means of the first kind of time, or of another metric. */
static void means_against_glibc(const struct page *page, const unsigned *variants,
                                enum metric metric)
{
    enum metric compared = metric == METRIC_NS_PER_OP ? time_kinds[0].metric : metric;
    struct plot_row *drawn = plot_row_add(&plot, all_rows_label);
    bool any = false;
    drawn->on_top = true;
    for (unsigned i = 0; i < plot.series_count; i++) {
        struct change_mean mean = change_mean_of(page->s, (int)variants[i], page->glibc, compared);
        struct change change = mean_as_change(&mean);
        if (mean.benches < 2)
            continue;
        drawn->points[i] = point_of(&change, metric);
        any |= isfinite(drawn->points[i].value);
    }
    plot.row_count -= !any;
}

/* One question about all variants against glibc. */
struct question {
    enum metric metric;
    const char *heading, *id, *title, *axis;
    const char *missing;        /* the answer if there is none */
    const char *before, *after; /* of the two ratios in the answer */
};

static const struct question against_glibc[] = {
    {METRIC_NS_PER_OP, "How fast are they compared with glibc?", "glibc-plot",
     "Throughput of each variant over glibc, by bench", "throughput / throughput of glibc",
     "hakmem was not measured against glibc.", "hakmem has between",
     "the throughput of glibc. Points to the right of the line at 1 are faster than glibc."},
    {METRIC_PEAK_KB, "How much memory do they need?", "memory-plot",
     "Peak memory of each variant over glibc, by bench", "peak memory / peak memory of glibc",
     "The memory of hakmem and glibc was not measured.", "hakmem needs between",
     "the memory of glibc when it needs most. Points to the left of the line at 1 need less than "
     "glibc."},
    {METRIC_P999_NS, "How long may a single call take?", "latency-plot",
     "99.9th percentile of a call's time, each variant over glibc, by bench",
     "p99.9 of a call / p99.9 of glibc", "Single calls were not timed of both hakmem and glibc.",
     "One call in a thousand takes longer than a time (p99.9) that for hakmem is between",
     "that of glibc. Points to the left of the line at 1 are quicker than glibc."},
};

static void glibc_question(const struct page *page, const struct question *question)
{
    unsigned variants[PLOT_SERIES];
    struct answer answer = {0};
    page_put(page, "<section>\n<h2>%s</h2>\n", question->heading);
    plot_start(question->id, question->title, question->axis, true);
    if (page->glibc >= 0 && series_add(page, variants) > 0) {
        rows_against_glibc(page, variants, question->metric, &answer);
        means_against_glibc(page, variants, question->metric);
    }
    page_put(page, "<p class=\"answer\">");
    if (answer.shown == 0)
        page_say(page, "%s", question->missing);
    else
        page_say(page, "%s %.2f times (%s) and %.2f times (%s) %s", question->before, answer.worst,
                 row_name(page, answer.worst_row), answer.best, row_name(page, answer.best_row),
                 question->after);
    page_put(page, "</p>\n");
    plot_put(page);
    page_put(page, "</section>\n");
}

/* ---- factors -----------------------------------------------------------------------------------
 */

/* Over hakmem: below 1, what the variant does costs time. */
static struct change_mean factor_mean(const struct page *page, int variant)
{
    return change_mean_of(page->s, variant, page->hakmem, time_kinds[0].metric);
}

static void factor_row(const struct page *page, int variant)
{
    struct change_mean mean = factor_mean(page, variant);
    page_put(page, "<tr><th scope=\"row\">");
    page_text(page, variant_name(page, variant));
    page_put(page, "</th><td class=\"text\">");
    page_text(page, variant_words(&page->s->variants[variant]));
    page_put(page, "</td>");
    if (!mean_is_known(&mean))
        page_put(page, "<td>-</td><td>-</td><td>-</td>");
    else {
        page_put(page, "<td>%.3f</td>", mean.ratio);
        if (mean_has_interval(&mean))
            page_put(page, "<td>%.3f to %.3f</td>", mean.low, mean.high);
        else
            page_put(page, "<td>-</td>");
        page_put(page, "<td>%u</td>", mean.benches);
    }
    page_put(page, "</tr>\n");
}

static bool is_compared_with_hakmem(const struct page *page, unsigned v)
{
    return variant_runs(&page->s->variants[v]) &&
           (variant_is_factor(page, v) || (int)v == page->header || (int)v == page->again);
}

static void factor_table(const struct page *page)
{
    page_put(page,
             "<div class=\"scroll\" tabindex=\"0\">\n<table>\n<caption>Each variant against "
             "hakmem: geometric mean of the throughput over that of hakmem. Below 1, what the "
             "variant does costs time. The header mode is there to compare with, the control to "
             "show what chance does.</caption>\n"
             "<thead><tr><th scope=\"col\">variant</th><th scope=\"col\" class=\"text\">what "
             "it is</th><th scope=\"col\">throughput</th><th scope=\"col\">95 %% interval</th>"
             "<th scope=\"col\">benches</th></tr></thead>\n<tbody>\n");
    for (unsigned v = 0; v < page->s->variant_count; v++)
        if (is_compared_with_hakmem(page, v))
            factor_row(page, (int)v);
    page_put(page, "</tbody>\n</table>\n</div>\n");
}

static int factor_series(const struct change_mean *mean)
{
    if (!mean_has_interval(mean))
        return SERIES_OPEN;
    return mean->low > 1 ? SERIES_FASTER : mean->high < 1 ? SERIES_SLOWER : SERIES_OPEN;
}

static void factor_answer(const struct page *page)
{
    int largest = -1;
    double ratio = 1;
    unsigned told = 0, known = 0;
    for (unsigned v = 0; v < page->s->variant_count; v++) {
        struct change_mean mean = factor_mean(page, (int)v);
        if (!variant_is_factor(page, v) || !mean_is_known(&mean))
            continue;
        known++;
        told += factor_series(&mean) != SERIES_OPEN;
        if (largest < 0 || fabs(log(mean.ratio)) > fabs(log(ratio))) {
            largest = (int)v;
            ratio = mean.ratio;
        }
    }
    page_put(page, "<p class=\"answer\">");
    if (largest < 0)
        page_say(page, "The factors ran, but none of them could be compared with hakmem.");
    else {
        page_say(page,
                 "Each factor is hakmem with one thing changed, so that its share can be seen "
                 "by itself. Of %u factors, %u differ from hakmem by more than chance would "
                 "allow. The largest single difference is that of %s: it is ",
                 known, told, variant_name(page, largest));
        page_say_speed(page, ratio, "hakmem");
        page_say(page, ". Factors need not add up to the whole: they act on each other.");
    }
    page_put(page, "</p>\n");
}

static void factor_question(const struct page *page)
{
    unsigned factors = 0;
    page_put(page, "<section>\n<h2>Where does the difference come from?</h2>\n");
    plot_start("factor-plot", "Throughput of hakmem with one thing changed over hakmem, by factor",
               "throughput / throughput of hakmem", false);
    verdict_series("faster", "slower", "no difference told", "-");
    for (unsigned v = 0; v < page->s->variant_count; v++) {
        if (page->hakmem < 0 || !is_compared_with_hakmem(page, v))
            continue;
        struct change_mean mean = factor_mean(page, (int)v);
        struct change change = mean_as_change(&mean);
        factors += variant_is_factor(page, v);
        if (isfinite(change.ratio))
            plot_row_add(&plot, page->s->variants[v].name)->points[factor_series(&mean)] =
                speed_point(&change);
    }
    if (factors == 0 || page->hakmem < 0)
        page_put(page,
                 "<p class=\"answer\">No factor was measured in this run: there was no variant "
                 "that is hakmem with one single thing changed.</p>\n");
    else {
        factor_answer(page);
        plot_put(page);
        factor_table(page);
    }
    page_put(page, "</section>\n");
}

void page_questions(const struct page *page)
{
    if (page->s->options.ab || page->header >= 0)
        header_question(page);
    for (unsigned i = 0; i < sizeof against_glibc / sizeof against_glibc[0]; i++)
        glibc_question(page, &against_glibc[i]);
    factor_question(page);
}
