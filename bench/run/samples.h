/*
 * samples.h: statistics over plain arrays: medians, their intervals, ratios, tests.
 *
 * Purpose   What the runner claims of its samples, free of benches and variants, so that it can be
 *           checked against known answers.
 * Owner     Arrays belong to the caller and are only read, unless said otherwise.
 * Threads   One: larger scratch arrays are static.
 * Errors    What cannot be said of the samples given is NAN.
 */
#ifndef HAK_BENCH_SAMPLES_H
#define HAK_BENCH_SAMPLES_H

#include <stdint.h>

enum {
    SAMPLES_MOST = 1000, /* in one array */
    SAMPLES_LEAST = 6,   /* below, no interval of a median reaches 95 % */
};

struct interval {
    double low, high;
};

/* In ascending order. */
struct samples {
    const double *values;
    unsigned count;
};

/* One bench under two variants. */
struct sample_pair {
    struct samples base, variant;
};

/* Sorts; NAN of none. */
double median_of(double *values, unsigned count);
double samples_median(struct samples samples);

/* At least 95 % for the median, whatever the distribution: two of the samples, chosen by the
 * binomial distribution. NAN below SAMPLES_LEAST. */
struct interval samples_median_interval(struct samples samples);

/* median(base) / median(variant), over several pairs the geometric mean; NAN if any median is not
 * above zero. */
double samples_ratio(const struct sample_pair *pairs, unsigned count);

/* 95 % percentile bootstrap of that: each array is drawn anew by itself. The same seed gives the
 * same interval. NAN if any array is shorter than SAMPLES_LEAST or has a value not above zero. */
struct interval samples_ratio_interval(const struct sample_pair *pairs, unsigned count,
                                       uint64_t seed);

/* Two-sided p of the Mann-Whitney U test: exact for up to 20 samples each without ties, else by the
 * normal distribution with corrections for ties and continuity. */
double mann_whitney(struct samples a, struct samples b);
/* The least p that so many samples can give. */
double mann_whitney_least(unsigned a_count, unsigned b_count);

/* Holm's correction of up to SAMPLES_MOST p-values; NAN stays NAN and does not count. */
void holm(const double *p, unsigned count, double *adjusted);

#endif
