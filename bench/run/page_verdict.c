/*
 * page_verdict.c: the report page's answer, in sentences, and how far it can be trusted.
 */
#include <string.h>

#include "page.h"

enum aspect { ASPECT_SPEED, ASPECT_MEMORY };

/* How many rows of one kind of time came out how. */
struct tally {
    unsigned faster, slower, same, unknown;
};

static struct tally tally_of(const struct page *page, int variant, int base,
                             const struct time_kind *kind)
{
    struct tally tally = {0, 0, 0, 0};
    for (unsigned row = 0; row < page->s->row_count; row++) {
        if (!row_is_timed(page->s, row) || row_time_kind(page->s, row) != kind)
            continue;
        struct change change = change_of(page->s, row, variant, base, kind->metric);
        if (!isfinite(change.ratio))
            continue;
        tally.faster += change.verdict == CHANGE_FASTER;
        tally.slower += change.verdict == CHANGE_SLOWER;
        tally.same += change.verdict == CHANGE_SAME;
        tally.unknown += change.verdict == CHANGE_UNKNOWN;
    }
    return tally;
}

static void tally_say(const struct page *page, const struct tally *tally, const char *benches)
{
    if (tally->faster + tally->slower + tally->same == 0)
        page_say(page, " For none of the single %s can more be said than chance would allow.",
                 benches);
    else
        page_say(page,
                 " Of the single %s, %u came out faster, %u slower, %u the same, and %u left "
                 "open.",
                 benches, tally->faster, tally->slower, tally->same, tally->unknown);
}

/* "(1.034 times; 95 % interval 1.021 to 1.047; mean of 14 benches)", for memory the other way. */
static void mean_say(const struct page *page, const struct change_mean *mean, enum aspect aspect,
                     const char *benches)
{
    bool memory = aspect == ASPECT_MEMORY;
    page_say(page, " (%s %.3f times; ", memory ? "memory" : "throughput",
             memory ? 1 / mean->ratio : mean->ratio);
    if (mean_has_interval(mean))
        page_say(page, "95 %% interval %.3f to %.3f; ", memory ? 1 / mean->high : mean->low,
                 memory ? 1 / mean->low : mean->high);
    if (mean->benches == 1)
        page_say(page, "a single one of the %s).", benches);
    else
        page_say(page, "geometric mean of %u %s).", mean->benches, benches);
}

static bool mean_is_open(const struct change_mean *mean)
{
    return mean_has_interval(mean) && mean->low <= 1 && mean->high >= 1;
}

static void speed_say(const struct page *page, int base, const char *lead, const char *subject)
{
    bool measured = false;
    page_put(page, "<p class=\"verdict\"><strong>%s.</strong>", lead);
    for (unsigned i = 0; i < time_kind_count; i++) {
        const struct time_kind *kind = &time_kinds[i];
        if (page->hakmem < 0 || base < 0)
            break;
        if (!time_kind_occurs(page->s, kind))
            continue;
        struct change_mean mean = change_mean_of(page->s, page->hakmem, base, kind->metric);
        if (!mean_is_known(&mean))
            continue;
        struct tally tally = tally_of(page, page->hakmem, base, kind);
        measured = true;
        page_say(page, " %s is ", subject);
        page_say_speed(page, mean.ratio, variant_name(page, base));
        mean_say(page, &mean, ASPECT_SPEED, kind->benches);
        if (mean_is_open(&mean))
            page_say(page, " The interval contains 1, so this run does not tell which is faster.");
        tally_say(page, &tally, kind->benches);
    }
    page_put(page, "%s</p>\n", measured ? "" : " This was not measured.");
}

static void memory_say(const struct page *page)
{
    const int bases[] = {page->header, page->glibc};
    bool measured = false;
    page_put(page, "<p class=\"verdict\"><strong>Memory.</strong>");
    for (unsigned i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        if (page->hakmem < 0 || bases[i] < 0)
            continue;
        struct change_mean mean = change_mean_of(page->s, page->hakmem, bases[i], METRIC_PEAK_KB);
        if (!mean_is_known(&mean))
            continue;
        measured = true;
        page_say(page, " At its peak, hakmem ");
        page_say_memory(page, mean.ratio, variant_name(page, bases[i]));
        mean_say(page, &mean, ASPECT_MEMORY, "benches");
        if (mean_is_open(&mean))
            page_say(page, " The interval contains 1, so this run does not tell which needs less.");
    }
    page_put(page, "%s</p>\n", measured ? "" : " This was not measured.");
}

/* The row in which two runs of the same library differ most; -1: none was measured. */
static int noisiest_row(const struct page *page, double *ratio)
{
    int noisiest = -1;
    *ratio = 1;
    for (unsigned row = 0; row < page->s->row_count; row++) {
        if (!row_is_timed(page->s, row))
            continue;
        struct change change =
            change_of(page->s, row, page->again, page->hakmem, row_time_metric(page->s, row));
        if (!isfinite(change.ratio) || change.ratio <= 0)
            continue;
        if (noisiest < 0 || fabs(log(change.ratio)) > fabs(log(*ratio))) {
            noisiest = (int)row;
            *ratio = change.ratio;
        }
    }
    return noisiest;
}

static void control_say(const struct page *page)
{
    double ratio;
    page_put(page, "<p><strong>How much two runs of the same library differ.</strong> ");
    int noisiest = page->again < 0 || page->hakmem < 0 ? -1 : noisiest_row(page, &ratio);
    if (noisiest < 0)
        page_say(page, "The control was not part of this run: the same library measured twice, "
                       "under the names hakmem and hakmem-again. How small a difference still "
                       "means something is therefore not known.");
    else {
        struct change_mean mean = change_mean_of(page->s, page->again, page->hakmem,
                                                 row_time_metric(page->s, (unsigned)noisiest));
        page_say(page, "As a control, the same library was measured twice, under the names hakmem "
                       "and hakmem-again. On average the second came out ");
        page_say_speed(page, mean.ratio, "the first");
        mean_say(page, &mean, ASPECT_SPEED, "benches");
        if (mean_is_open(&mean))
            page_say(page, " The interval contains 1, as it should.");
        else if (mean_has_interval(&mean))
            page_say(page, " The interval does not contain 1 although both are the same: something "
                           "disturbed the measurement, and differences of this size mean nothing.");
        page_say(page,
                 " The two lie furthest apart on %s, by %.1f %%. A difference no larger than "
                 "that may be chance.",
                 row_name(page, (unsigned)noisiest), fabs(ratio - 1) * 100);
    }
    page_put(page, "</p>\n");
}

static void interval_say(const struct page *page)
{
    page_put(page, "<p><strong>How to read this.</strong> ");
    page_say(page, "Throughput is how much work is done in the same time. 1.10 times means a tenth "
                   "more, 1 means no difference. ");
    if (page->intervals)
        page_say(page,
                 "No measurement repeats itself exactly. A 95 %% interval says how exact it is: "
                 "if the whole comparison were repeated many times, about 95 of 100 such "
                 "intervals would contain the true figure. If the interval contains 1, the "
                 "measurement leaves open which of the two is better.");
    else
        page_say(page,
                 "No intervals were computed for this run, so nothing here says how exact the "
                 "figures are.");
    page_put(page, "</p>\n");
}

/* ---- what is missing ---------------------------------------------------------------------------
 */

static unsigned absent_say(const struct page *page)
{
    unsigned items = 0;
    for (unsigned v = 0; v < page->s->variant_count; v++) {
        const struct variant *variant = &page->s->variants[v];
        if (!variant->wanted || variant->present)
            continue;
        page_put(page, "<li>");
        page_say(page, "%s is absent: its library was not found.", variant->name);
        page_put(page, "</li>\n");
        items++;
    }
    return items;
}

/* Whether this cell failed for the same reason as that of another row. */
static bool fails_alike(const struct page *page, unsigned row, unsigned other, unsigned v)
{
    const struct cell *cell = &page->s->cells[row][v];
    const struct cell *other_cell = &page->s->cells[other][v];
    return cell->failed > 0 && other_cell->failed > 0 &&
           strcmp(cell->reason, other_cell->reason) == 0;
}

/* One item for all benches of a variant that failed for the reason that `first` did. */
static void failure_say(const struct page *page, unsigned first, unsigned v)
{
    unsigned runs = 0;
    page_put(page, "<li>");
    page_say(page, "%s failed on ", variant_name(page, (int)v));
    for (unsigned row = first; row < page->s->row_count; row++) {
        if (!fails_alike(page, row, first, v))
            continue;
        page_say(page, "%s%s", row == first ? "" : ", ", row_name(page, row));
        runs += page->s->cells[row][v].failed;
    }
    page_say(page, " (%u runs): %s. This takes part in no comparison.", runs,
             page->s->cells[first][v].reason);
    page_put(page, "</li>\n");
}

static unsigned failures_say(const struct page *page)
{
    unsigned items = 0;
    for (unsigned v = 0; v < page->s->variant_count; v++)
        for (unsigned row = 0; row < page->s->row_count; row++) {
            bool is_new = page->s->cells[row][v].failed > 0;
            for (unsigned earlier = 0; is_new && earlier < row; earlier++)
                is_new = !fails_alike(page, row, earlier, v);
            if (is_new)
                failure_say(page, row, v);
            items += is_new;
        }
    return items;
}

/* Figures that were asked for and that no tool gave. */
static unsigned uncounted_say(const struct page *page)
{
    unsigned items = 0;
    for (unsigned v = 0; v < page->s->variant_count; v++) {
        const struct variant *variant = &page->s->variants[v];
        bool lacks = page->s->options.probes && variant_runs(variant) &&
                     isnan(page->s->probes[v].pair_instructions);
        for (unsigned row = 0; page->s->options.ab && page->s->options.calls &&
                               variant_runs(variant) && !lacks && row < page->s->row_count;
             row++)
            lacks = page->s->cells[row][v].failed == 0 &&
                    isnan(page->s->cells[row][v].median[METRIC_MEMORY_CALLS]);
        if (!lacks)
            continue;
        page_put(page, "<li>");
        page_say(page, "Some counts of %s: valgrind or strace is missing, or failed.",
                 variant->name);
        page_put(page, "</li>\n");
        items++;
    }
    return items;
}

static void missing_say(const struct page *page)
{
    page_put(page, "<h3>What could not be measured</h3>\n<ul>\n");
    unsigned items = absent_say(page) + failures_say(page);
    if (!page->s->options.probes) {
        page_put(page, "<li>Instructions were not counted in this run.</li>\n");
        items++;
    }
    items += uncounted_say(page);
    if (page->s->interrupted) {
        page_put(page, "<li>What was left when the run was interrupted.</li>\n");
        items++;
    }
    if (items == 0)
        page_put(page, "<li>Nothing: all that was asked for was measured.</li>\n");
    page_put(page, "</ul>\n");
}

/* ---- warnings ----------------------------------------------------------------------------------
 */

static unsigned fewest_samples(const struct page *page)
{
    unsigned fewest = page->s->options.rounds;
    for (unsigned row = 0; row < page->s->row_count; row++)
        for (unsigned v = 0; v < page->s->variant_count; v++) {
            const struct cell *cell = &page->s->cells[row][v];
            if (variant_runs(&page->s->variants[v]) && cell->failed == 0 && cell->samples < fewest)
                fewest = cell->samples;
        }
    return fewest;
}

static void warnings_say(const struct page *page)
{
    unsigned fewest = fewest_samples(page);
    if (fewest < FEW_SAMPLES)
        page_put(page,
                 "<p class=\"warning\"><strong>Warning: few samples.</strong> Some benches ran "
                 "fewer than %d times (the fewest: %u). That is too few to tell a small difference "
                 "from chance.</p>\n",
                 FEW_SAMPLES, fewest);
    if (page->s->options.quick)
        page_put(page,
                 "<p class=\"warning\"><strong>Quick runs.</strong> Each run was shorter than "
                 "usual, so its figure is less exact.</p>\n");
    if (page->s->interrupted)
        page_put(page,
                 "<p class=\"warning\"><strong>Interrupted.</strong> The run was ended early; "
                 "this is what was measured until then.</p>\n");
}

void page_verdict(const struct page *page)
{
    page_put(page, "<section>\n<h2>The answer in short</h2>\n");
    warnings_say(page);
    if (page->s->options.ab || page->header >= 0)
        speed_say(page, page->header, "Without the header against with it",
                  "Without the header, hakmem");
    speed_say(page, page->glibc, "Against glibc", "hakmem");
    memory_say(page);
    interval_say(page);
    control_say(page);
    missing_say(page);
    page_put(page, "</section>\n");
}
