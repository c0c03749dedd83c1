/*
 * The statistics of the benches' runner, against known answers and against chance.
 *
 * "R" is R 4.2.2: wilcox.test, p.adjust and pbinom of its package stats.
 *
 * ctest: labels=quick timeout=60 bench
 */
#include "change.h"
#include "support.h"

#define SAMPLES(...)                                                                               \
    ((struct samples){(const double[]){__VA_ARGS__},                                               \
                      sizeof((const double[]){__VA_ARGS__}) / sizeof(double)})

static void near(double value, double wanted)
{
    if (!(fabs(value - wanted) <= 1e-9 * fabs(wanted)))
        print_error("%.12g is not %.12g\n", value, wanted);
    assert_true(fabs(value - wanted) <= 1e-9 * fabs(wanted));
}

/* Roughly normal, of mean 0 and deviation 1: the sum of twelve uniform numbers. */
static double noise(uint64_t *state)
{
    double sum = -6;
    for (unsigned i = 0; i < 12; i++)
        sum += (double)(support_random(state) >> 11) / (double)(UINT64_C(1) << 53);
    return sum;
}

/* ---- medians ---- */

static void median__odd_even_none__middle(void **state)
{
    double odd[] = {3, 1, 2};
    double even[] = {4, 1, 3, 2};
    (void)state;
    near(median_of(odd, 3), 2);
    near(median_of(even, 4), 2.5);
    assert_true(isnan(median_of(even, 0)));
}

/* By R: the k-th from either end, with k = qbinom(0.025, n, 0.5); n = 6 gives 96.9 %. */
static void median_interval__by_the_binomial__order_statistics(void **state)
{
    double values[100];
    const unsigned counts[][2] = {{6, 1}, {7, 1}, {9, 2}, {10, 2}, {20, 6}, {100, 40}};
    (void)state;
    for (unsigned i = 0; i < SUPPORT_COUNT(values); i++)
        values[i] = i + 1;
    for (size_t i = 0; i < SUPPORT_COUNT(counts); i++) {
        unsigned count = counts[i][0];
        struct interval interval = samples_median_interval((struct samples){values, count});
        near(interval.low, counts[i][1]);
        near(interval.high, count + 1 - counts[i][1]);
    }
    assert_true(isnan(samples_median_interval((struct samples){values, 5}).low));
}

/* ---- Mann-Whitney ---- */

/* Hollander and Wolfe, Nonparametric Statistical Methods, the permeability of membranes: one-sided
 * p = 0.1272, as R's help page of wilcox.test cites it. The others by R. */
static void mann_whitney__without_ties__exact(void **state)
{
    double even[20];
    double steep[20];
    (void)state;
    struct samples term = SAMPLES(0.73, 0.80, 0.83, 1.04, 1.38, 1.45, 1.46, 1.64, 1.89, 1.91);
    struct samples early = SAMPLES(0.74, 0.88, 0.90, 1.15, 1.21);
    near(mann_whitney(term, early), 0.254412254412254);
    near(mann_whitney(early, term), 0.254412254412254);
    near(mann_whitney(SAMPLES(1, 2, 3), SAMPLES(4, 5, 6)), 0.1);
    near(mann_whitney(SAMPLES(1, 2, 3, 4, 5, 6), SAMPLES(7, 8, 9, 10, 11, 12)), 0.00216450216450);
    near(mann_whitney_least(6, 6), 0.00216450216450);
    near(mann_whitney(SAMPLES(11.8, 11.9, 12, 12.1, 12.2, 12.3, 12.4, 12.5, 12.6, 12.8),
                      SAMPLES(12.35, 12.45, 12.55, 12.7, 12.9, 12.95, 13, 13.1, 13.2, 13.3)),
         0.0015046872632012);
    near(mann_whitney(SAMPLES(1.5, 2.5, 9.5, 11.5),
                      SAMPLES(1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 14, 15)),
         0.548739495798);
    for (unsigned i = 0; i < 20; i++) {
        even[i] = i + 1.25;
        steep[i] = (i + 1) * 1.3 + 1;
    }
    near(mann_whitney((struct samples){even, 20}, (struct samples){steep, 20}), 0.108077073914);
}

/* By R with exact = FALSE, correct = TRUE. */
static void mann_whitney__ties_or_many__corrected_normal(void **state)
{
    double even[21];
    double steep[21];
    (void)state;
    near(mann_whitney(SAMPLES(1, 2, 2, 3, 4, 4, 4, 5), SAMPLES(2, 3, 3, 4, 5, 5, 6, 7)),
         0.165164712942254);
    near(mann_whitney(SAMPLES(100, 100, 100, 100, 100, 100), SAMPLES(120, 120, 120, 120, 120, 120)),
         0.00126194476738797);
    for (unsigned i = 0; i < 21; i++) {
        even[i] = i + 1.25;
        steep[i] = (i + 1) * 1.3 + 1;
    }
    near(mann_whitney((struct samples){even, 21}, (struct samples){steep, 21}), 0.102023242114);
}

static void mann_whitney__nothing_to_tell__one_or_nan(void **state)
{
    (void)state;
    near(mann_whitney(SAMPLES(5, 5, 5), SAMPLES(5, 5, 5)), 1);
    near(mann_whitney(SAMPLES(1, 4), SAMPLES(2, 3)), 1);
    assert_true(isnan(mann_whitney(SAMPLES(1), (struct samples){NULL, 0})));
}

/* ---- Holm ---- */

/* By R's p.adjust. */
static void holm__known_values__as_adjusted_by_r(void **state)
{
    const double p[] = {0.01, 0.04, 0.03, 0.005, 0.2, 0.0021645};
    const double wanted[] = {0.04, 0.09, 0.09, 0.025, 0.2, 0.012987};
    const double gaps[] = {0.9, 0.6, NAN, 0.5, 0.04};
    double adjusted[6];
    (void)state;
    holm(p, 6, adjusted);
    for (unsigned i = 0; i < 6; i++)
        near(adjusted[i], wanted[i]);
    holm(gaps, 5, adjusted);
    assert_true(isnan(adjusted[2]));
    near(adjusted[4], 0.16);
    near(adjusted[3], 1);
    near(adjusted[0], 1);
}

/* ---- the bootstrap ---- */

static void ratio__medians_and_their_mean__geometric(void **state)
{
    const struct sample_pair pairs[] = {
        {SAMPLES(1, 2, 30), SAMPLES(1, 1, 1)},
        {SAMPLES(8, 8), SAMPLES(1, 1)},
        {SAMPLES(0, 0), SAMPLES(1, 1)},
    };
    (void)state;
    near(samples_ratio(pairs, 1), 2);
    near(samples_ratio(pairs, 2), 4);
    assert_true(isnan(samples_ratio(pairs, 3)));
    assert_true(isnan(samples_ratio(pairs, 0)));
}

static void bootstrap__same_seed__same_interval(void **state)
{
    const struct sample_pair pair = {SAMPLES(10, 11, 12, 13, 14, 15, 16, 19),
                                     SAMPLES(5, 6, 7, 8, 9, 10, 11, 12)};
    const struct sample_pair few = {SAMPLES(1, 2, 3, 4, 5), SAMPLES(1, 2, 3, 4, 5, 6)};
    (void)state;
    struct interval first = samples_ratio_interval(&pair, 1, 7);
    struct interval again = samples_ratio_interval(&pair, 1, 7);
    assert_memory_equal(&first, &again, sizeof first);
    assert_true(first.low < samples_ratio(&pair, 1) && first.high > samples_ratio(&pair, 1));
    assert_true(isnan(samples_ratio_interval(&few, 1, 7).low));
    assert_true(isnan(samples_ratio_interval(&pair, 0, 7).low));
}

/* The interval of 95 % holds the true ratio, 1.25, in about 95 of 100 cases. */
static void bootstrap__synthetic_data__covers_the_truth(void **state)
{
    enum { TRIALS = 500 };
    const unsigned counts[] = {6, 10, 30};
    uint64_t random = 1;
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(counts); i++) {
        unsigned held = 0;
        for (unsigned trial = 0; trial < TRIALS; trial++) {
            double base[30];
            double variant[30];
            for (unsigned k = 0; k < counts[i]; k++) {
                base[k] = 100 + 5 * noise(&random);
                variant[k] = 80 + 4 * noise(&random);
            }
            median_of(base, counts[i]);
            median_of(variant, counts[i]);
            const struct sample_pair pair = {{base, counts[i]}, {variant, counts[i]}};
            struct interval interval = samples_ratio_interval(&pair, 1, trial);
            held += interval.low <= 1.25 && interval.high >= 1.25;
        }
        print_message("%u samples: %u of %u intervals hold the ratio\n", counts[i], held, TRIALS);
        assert_in_range(held, TRIALS * 93 / 100, TRIALS * 98 / 100);
    }
}

/* ---- verdicts over a comparison ---- */

enum { BENCHES = 12, ROUNDS = 7 };

static struct comparison comparison; /* large */

/* Two variants on the first benches; the second's times are those of the first over `speedup`. */
static void comparison_make(double speedup, double deviation, uint64_t seed)
{
    static struct sample samples[2 * BENCHES * ROUNDS];
    uint64_t random = seed;
    memset(&comparison, 0, sizeof comparison);
    comparison.options.seed = seed;
    comparison.options.threshold_percent = 1;
    comparison.samples = samples;
    comparison.variant_count = 2;
    comparison.row_count = BENCHES;
    for (unsigned row = 0; row < BENCHES; row++)
        comparison.rows[row] = row;
    for (unsigned i = 0; i < SUPPORT_COUNT(samples); i++) {
        struct sample *sample = &samples[comparison.sample_count++];
        *sample = (struct sample){.row = i / 2 % BENCHES, .variant = i % 2, .ok = true};
        for (unsigned metric = 0; metric < METRIC_COUNT; metric++)
            sample->value[metric] = NAN;
        double ns = (10 + sample->row) * (1 + deviation * noise(&random));
        sample->value[METRIC_NS_PER_OP] = i % 2 == 1 ? ns / speedup : ns;
        sample->value[METRIC_PEAK_KB] = i % 2 == 1 ? 500 : 1000;
    }
    cells_fill(&comparison);
}

static void verdict__a_against_a__none(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        comparison_make(1, 0.05, seed);
        for (unsigned row = 0; row < BENCHES; row++) {
            struct change change = change_of(&comparison, row, 1, 0, METRIC_NS_PER_OP);
            assert_true(change.verdict == CHANGE_UNKNOWN || change.verdict == CHANGE_SAME);
            assert_true(change.p_holm >= change.p);
        }
        struct change_mean mean = change_mean_of(&comparison, 1, 0, METRIC_NS_PER_OP);
        assert_int_equal(mean.benches, BENCHES);
        assert_true(mean.low < mean.ratio && mean.ratio < mean.high);
    }
}

static enum change_verdict verdict_at(double speedup, double deviation)
{
    comparison_make(speedup, deviation, 3);
    return change_of(&comparison, 4, 1, 0, METRIC_NS_PER_OP).verdict;
}

static void verdict__clear_difference__by_threshold(void **state)
{
    (void)state;
    assert_int_equal(verdict_at(1.2, 0.01), CHANGE_FASTER);
    assert_int_equal(verdict_at(1 / 1.2, 0.01), CHANGE_SLOWER);
    assert_int_equal(verdict_at(1.005, 0.0002), CHANGE_SAME);
    assert_int_equal(verdict_at(1.02, 0.05), CHANGE_UNKNOWN);
    comparison.options.threshold_percent = 30;
    assert_int_equal(change_of(&comparison, 4, 1, 0, METRIC_NS_PER_OP).verdict, CHANGE_SAME);
    struct change memory = change_of(&comparison, 4, 1, 0, METRIC_PEAK_KB);
    near(memory.ratio, 2);
    near(memory.low, 2);
    assert_string_equal(change_verdict_word(memory.verdict, METRIC_PEAK_KB), "less");
}

static void verdict__failed_or_few__unknown(void **state)
{
    (void)state;
    comparison_make(1.5, 0.01, 3);
    comparison.samples[9].ok = false; /* row 4, variant 1 */
    cells_fill(&comparison);
    struct change failed = change_of(&comparison, 4, 1, 0, METRIC_NS_PER_OP);
    assert_true(isnan(failed.ratio) && isnan(failed.p) && isnan(failed.p_holm));
    assert_int_equal(failed.verdict, CHANGE_UNKNOWN);
    assert_int_equal(change_mean_of(&comparison, 1, 0, METRIC_NS_PER_OP).benches, BENCHES - 1);
    assert_int_equal(change_of(&comparison, 3, 1, -1, METRIC_NS_PER_OP).verdict, CHANGE_UNKNOWN);
    comparison_make(1.5, 0.01, 3);
    comparison.sample_count = 2 * BENCHES * (SAMPLES_LEAST - 1);
    cells_fill(&comparison);
    struct change few = change_of(&comparison, 4, 1, 0, METRIC_NS_PER_OP);
    assert_true(few.ratio > 1.4 && isnan(few.low));
    assert_int_equal(few.verdict, CHANGE_UNKNOWN);
}

/* 2 / C(12, 6) = 1 / 462: below 0.05 for up to 23 benches. */
static void verdict__many_benches__need_more_rounds(void **state)
{
    (void)state;
    assert_false(verdicts_out_of_reach(6, 23));
    assert_true(verdicts_out_of_reach(6, 24));
    assert_false(verdicts_out_of_reach(7, 42));
    assert_true(verdicts_out_of_reach(3, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(median__odd_even_none__middle),
        cmocka_unit_test(median_interval__by_the_binomial__order_statistics),
        cmocka_unit_test(mann_whitney__without_ties__exact),
        cmocka_unit_test(mann_whitney__ties_or_many__corrected_normal),
        cmocka_unit_test(mann_whitney__nothing_to_tell__one_or_nan),
        cmocka_unit_test(holm__known_values__as_adjusted_by_r),
        cmocka_unit_test(ratio__medians_and_their_mean__geometric),
        cmocka_unit_test(bootstrap__same_seed__same_interval),
        cmocka_unit_test(bootstrap__synthetic_data__covers_the_truth),
        cmocka_unit_test(verdict__a_against_a__none),
        cmocka_unit_test(verdict__clear_difference__by_threshold),
        cmocka_unit_test(verdict__failed_or_few__unknown),
        cmocka_unit_test(verdict__many_benches__need_more_rounds),
    };
    return cmocka_run_group_tests_name("statistics", tests, NULL, NULL);
}
