/*
 * change.c: changes between two variants, with their intervals, tests and verdicts.
 */
#include "change.h"

#include <string.h>

#define SIGNIFICANT_P 0.05

_Static_assert((int)MAX_ROUNDS <= (int)SAMPLES_MOST, "a cell's samples fit");
_Static_assert((int)MAX_ROWS <= (int)SAMPLES_MOST, "a p-value for each bench");

/* The sorted samples of one bench under two variants. */
struct arms {
    double base[MAX_ROUNDS], variant[MAX_ROUNDS];
};
static struct arms all_arms[MAX_ROWS]; /* scratch of one call */

const char *const change_verdict_names[] = {"unknown", "faster", "slower", "same"};

static bool is_time(enum metric metric)
{
    return metric == METRIC_NS_PER_OP || metric == METRIC_WALL_S || metric == METRIC_USER_S ||
           metric == METRIC_SYSTEM_S || metric == METRIC_SECONDS ||
           metrics[metric].run == RUN_LATENCY;
}

const char *change_verdict_word(enum change_verdict verdict, enum metric metric)
{
    if (is_time(metric) || verdict == CHANGE_UNKNOWN || verdict == CHANGE_SAME)
        return change_verdict_names[verdict];
    return verdict == CHANGE_FASTER ? "less" : "more";
}

/* Empty where cell_median has none, or where a time means nothing. */
static struct samples arm_fill(const struct comparison *s, unsigned row, int variant,
                               enum metric metric, double *values)
{
    bool meant = !is_time(metric) || row_is_timed(s, row);
    unsigned count = 0;
    if (meant && !isnan(cell_median(s, row, variant, metric)))
        count = cell_values(s, row, (unsigned)variant, metric, values);
    median_of(values, count); /* which sorts them */
    return (struct samples){values, count};
}

static struct sample_pair pair_of(const struct comparison *s, unsigned row, int variant, int base,
                                  enum metric metric)
{
    struct arms *arms = &all_arms[row];
    metric = row_metric(s, row, metric);
    return (struct sample_pair){
        .base = arm_fill(s, row, base, metric, arms->base),
        .variant = arm_fill(s, row, variant, metric, arms->variant),
    };
}

/* A seed of its own for each figure, so that none depends on which were computed before. */
static uint64_t figure_seed(const struct comparison *s, unsigned row, int variant, int base,
                            enum metric metric)
{
    uint64_t place =
        ((row * MAX_VARIANTS + (unsigned)variant) * MAX_VARIANTS + (unsigned)base) * METRIC_COUNT +
        metric;
    uint64_t z = s->options.seed + (place + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z >> 32; /* as much as the generator takes */
}

static enum change_verdict verdict_of(const struct change *change, double threshold_percent)
{
    double above = 1 + threshold_percent / 100;
    bool significant = change->p_holm < SIGNIFICANT_P;
    if (significant && change->low > above)
        return CHANGE_FASTER;
    if (significant && change->high < 1 / above)
        return CHANGE_SLOWER;
    if (change->low >= 1 / above && change->high <= above)
        return CHANGE_SAME;
    return CHANGE_UNKNOWN; /* also where any of these is NAN */
}

struct change change_of(const struct comparison *s, unsigned row, int variant, int base,
                        enum metric metric)
{
    double p[MAX_ROWS];
    double adjusted[MAX_ROWS];
    for (unsigned i = 0; i < s->row_count; i++) {
        struct sample_pair other = pair_of(s, i, variant, base, metric);
        p[i] = mann_whitney(other.base, other.variant);
    }
    holm(p, s->row_count, adjusted);
    struct sample_pair pair = pair_of(s, row, variant, base, metric);
    struct interval interval =
        samples_ratio_interval(&pair, 1, figure_seed(s, row, variant, base, metric));
    struct change change = {
        .ratio = samples_ratio(&pair, 1),
        .low = interval.low,
        .high = interval.high,
        .p = p[row],
        .p_holm = adjusted[row],
        .base_samples = pair.base.count,
        .variant_samples = pair.variant.count,
    };
    change.verdict = verdict_of(&change, s->options.threshold_percent);
    return change;
}

struct change_mean change_mean_of(const struct comparison *s, int variant, int base,
                                  enum metric metric)
{
    struct sample_pair pairs[MAX_ROWS];
    struct change_mean mean = {0};
    for (unsigned row = 0; row < s->row_count; row++) {
        pairs[mean.benches] = pair_of(s, row, variant, base, metric);
        mean.benches += !isnan(samples_ratio(&pairs[mean.benches], 1));
    }
    /* Against itself there is nothing to tell. */
    struct interval interval = samples_ratio_interval(
        pairs, variant == base ? 0 : mean.benches, figure_seed(s, MAX_ROWS, variant, base, metric));
    mean.ratio = samples_ratio(pairs, mean.benches);
    mean.low = interval.low;
    mean.high = interval.high;
    return mean;
}

struct interval cell_interval(const struct comparison *s, unsigned row, int variant,
                              enum metric metric)
{
    return samples_median_interval(arm_fill(s, row, variant, metric, all_arms[row].variant));
}

bool verdicts_out_of_reach(unsigned rounds, unsigned benches)
{
    return mann_whitney_least(rounds, rounds) * benches >= SIGNIFICANT_P;
}
