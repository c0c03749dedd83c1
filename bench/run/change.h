/*
 * change.h: how far one variant differs from another, and whether that is more than chance.
 *
 * Owner     All is computed from the samples at each call; the same samples and --seed give the
 *           same figures.
 * Threads   One.
 * Errors    What was not measured on both sides is NAN and CHANGE_UNKNOWN.
 *
 * Metrics are those of which less is better. METRIC_NS_PER_OP and METRIC_PEAK_KB stand for a
 * program's wall clock and maxrss where the row is a program (row_metric).
 */
#ifndef HAK_BENCH_CHANGE_H
#define HAK_BENCH_CHANGE_H

#include "runner.h"

/* Of memory and the like: less, more, same. */
enum change_verdict { CHANGE_UNKNOWN, CHANGE_FASTER, CHANGE_SLOWER, CHANGE_SAME };

/*
 * With t = --threshold: faster if low > 1 + t, slower if high < 1 / (1 + t), each with
 * p_holm < 0.05; same if the interval lies within 1 / (1 + t) and 1 + t; else unknown.
 */
struct change {
    double ratio;     /* median(base) / median(variant): > 1 is better for the variant */
    double low, high; /* 95 % bootstrap interval of it; NAN below SAMPLES_LEAST samples */
    double p;         /* Mann-Whitney U, two-sided */
    double p_holm;    /* after Holm's correction over all benches of this pair and metric */
    unsigned base_samples, variant_samples;
    enum change_verdict verdict;
};
struct change change_of(const struct comparison *s, unsigned row, int variant, int base,
                        enum metric metric);

/* The geometric mean of the ratios; the bootstrap draws the samples within each bench anew. */
struct change_mean {
    double ratio, low, high;
    unsigned benches;
};
struct change_mean change_mean_of(const struct comparison *s, int variant, int base,
                                  enum metric metric);

extern const char *const change_verdict_names[];
/* The name for this metric: "less" and "more" where the metric is not a time. */
const char *change_verdict_word(enum change_verdict verdict, enum metric metric);

/* 95 % interval of a cell's median. */
struct interval cell_interval(const struct comparison *s, unsigned row, int variant,
                              enum metric metric);

/* True if no difference, however clear, can pass Holm's correction over so many benches. */
bool verdicts_out_of_reach(unsigned rounds, unsigned benches);

#endif
