/*
 * samples.c: statistics over plain arrays.
 *
 * Distributions, random numbers and quantiles are GSL's; what GSL lacks is here: the exact
 * distribution of U, Holm's correction, the bootstrap itself.
 */
#include "samples.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_rng.h>
#include <gsl/gsl_sf_gamma.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>

enum {
    EXACT_MOST = 20, /* samples on each side */
    RESAMPLES = 4000,
};

static const double tail = 0.025; /* on either side of a 95 % interval */
static const struct interval unknown_interval = {NAN, NAN};

/* ---- medians ---- */

double median_of(double *values, unsigned count)
{
    gsl_sort(values, 1, count);
    return samples_median((struct samples){values, count});
}

double samples_median(struct samples samples)
{
    return samples.count == 0 ? NAN
                              : gsl_stats_median_from_sorted_data(samples.values, 1, samples.count);
}

/* The median lies below the k-th least sample with the probability that fewer than k of them fall
 * below it: Binomial(count, 1/2). The largest k that keeps this within the tail. */
struct interval samples_median_interval(struct samples samples)
{
    unsigned k = 0;
    while (k < samples.count && gsl_cdf_binomial_P(k, 0.5, samples.count) <= tail)
        k++;
    if (k == 0)
        return unknown_interval;
    return (struct interval){samples.values[k - 1], samples.values[samples.count - k]};
}

/* ---- ratios ---- */

double samples_ratio(const struct sample_pair *pairs, unsigned count)
{
    double log_sum = 0;
    for (unsigned i = 0; i < count; i++) {
        double base = samples_median(pairs[i].base);
        double variant = samples_median(pairs[i].variant);
        if (!(base > 0 && variant > 0))
            return NAN;
        log_sum += log(base / variant);
    }
    return count == 0 ? NAN : exp(log_sum / count);
}

/* The median of as many samples, drawn with replacement. */
static double median_redrawn(struct samples samples, gsl_rng *random)
{
    static unsigned drawn[SAMPLES_MOST];
    memset(drawn, 0, samples.count * sizeof *drawn);
    for (unsigned i = 0; i < samples.count; i++)
        drawn[gsl_rng_uniform_int(random, samples.count)]++;
    unsigned lower_rank = (samples.count - 1) / 2;
    unsigned upper_rank = samples.count / 2;
    unsigned passed = drawn[0];
    unsigned at = 0;
    while (passed <= lower_rank)
        passed += drawn[++at];
    double lower = samples.values[at];
    while (passed <= upper_rank)
        passed += drawn[++at];
    return (lower + samples.values[at]) / 2;
}

static bool can_redraw(struct samples samples)
{
    return samples.count >= SAMPLES_LEAST && samples.count <= SAMPLES_MOST && samples.values[0] > 0;
}

struct interval samples_ratio_interval(const struct sample_pair *pairs, unsigned count,
                                       uint64_t seed)
{
    static double means[RESAMPLES];
    for (unsigned i = 0; i < count; i++)
        if (!can_redraw(pairs[i].base) || !can_redraw(pairs[i].variant))
            return unknown_interval;
    if (count == 0)
        return unknown_interval;
    gsl_rng *random = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(random, seed);
    for (unsigned resample = 0; resample < RESAMPLES; resample++) {
        double log_sum = 0;
        for (unsigned i = 0; i < count; i++) {
            double base = median_redrawn(pairs[i].base, random);
            log_sum += log(base / median_redrawn(pairs[i].variant, random));
        }
        means[resample] = exp(log_sum / count);
    }
    gsl_rng_free(random);
    gsl_sort(means, 1, RESAMPLES);
    return (struct interval){gsl_stats_quantile_from_sorted_data(means, 1, RESAMPLES, tail),
                             gsl_stats_quantile_from_sorted_data(means, 1, RESAMPLES, 1 - tail)};
}

/* ---- Mann-Whitney ---- */

/* Pairs in which b is the smaller, ties by half. */
static double u_of(struct samples a, struct samples b)
{
    double u = 0;
    for (unsigned i = 0; i < a.count; i++)
        for (unsigned j = 0; j < b.count; j++)
            u += b.values[j] < a.values[i] ? 1 : b.values[j] == a.values[i] ? 0.5 : 0;
    return u;
}

/* The sum of t^3 - t over all groups of t equal values in both arrays; 0: no ties. */
static double tie_sum(struct samples a, struct samples b)
{
    double sum = 0;
    unsigned i = 0;
    unsigned j = 0;
    while (i < a.count || j < b.count) {
        bool from_a = j == b.count || (i < a.count && a.values[i] <= b.values[j]);
        double value = from_a ? a.values[i] : b.values[j];
        double equal = 0;
        for (; i < a.count && a.values[i] == value; i++)
            equal++;
        for (; j < b.count && b.values[j] == value; j++)
            equal++;
        sum += equal * equal * equal - equal;
    }
    return sum;
}

/*
 * P(U <= u) for untied samples. The largest of all is either in a, above all of b, or in b:
 *     ways(i, j, u) = ways(i - 1, j, u - j) + ways(i, j - 1, u)
 * for i samples in a and j in b; ways(0, j, 0) = ways(i, 0, 0) = 1.
 */
static double u_probability(unsigned a_count, unsigned b_count, unsigned u)
{
    static double ways[EXACT_MOST + 1][EXACT_MOST * EXACT_MOST + 1];
    double below = 0;
    double all = 0;
    for (unsigned i = 0; i <= a_count; i++) {
        memset(ways[i], 0, sizeof ways[i]);
        ways[i][0] = 1;
    }
    for (unsigned j = 1; j <= b_count; j++)
        for (unsigned i = 1; i <= a_count; i++)
            for (unsigned sum = j; sum <= i * j; sum++)
                ways[i][sum] += ways[i - 1][sum - j];
    for (unsigned sum = 0; sum <= a_count * b_count; sum++) {
        all += ways[a_count][sum];
        below += sum <= u ? ways[a_count][sum] : 0;
    }
    return below / all;
}

double mann_whitney(struct samples a, struct samples b)
{
    if (a.count == 0 || b.count == 0)
        return NAN;
    double product = (double)a.count * b.count;
    double total = (double)a.count + b.count;
    double u = u_of(a, b);
    double smaller = fmin(u, product - u);
    double ties = tie_sum(a, b);
    if (ties == 0 && a.count <= EXACT_MOST && b.count <= EXACT_MOST)
        return fmin(1, 2 * u_probability(a.count, b.count, (unsigned)smaller));
    double variance = product / 12 * (total + 1 - ties / (total * (total - 1)));
    double distance = product / 2 - smaller - 0.5;
    if (!(variance > 0) || distance <= 0)
        return 1;
    return 2 * gsl_cdf_ugaussian_Q(distance / sqrt(variance));
}

double mann_whitney_least(unsigned a_count, unsigned b_count)
{
    return fmin(1, 2 * exp(-gsl_sf_lnchoose(a_count + b_count, a_count)));
}

/* ---- Holm ---- */

void holm(const double *p, unsigned count, double *adjusted)
{
    static double known[SAMPLES_MOST];
    static unsigned place[SAMPLES_MOST];
    static size_t order[SAMPLES_MOST];
    unsigned known_count = 0;
    double most = 0;
    for (unsigned i = 0; i < count; i++) {
        adjusted[i] = NAN;
        if (isnan(p[i]))
            continue;
        place[known_count] = i;
        known[known_count++] = p[i];
    }
    gsl_sort_index(order, known, 1, known_count);
    for (unsigned rank = 0; rank < known_count; rank++) {
        most = fmax(most, fmin(1, known[order[rank]] * (known_count - rank)));
        adjusted[place[order[rank]]] = most;
    }
}
