/*
 * bench_latency.h: how long single calls take: a histogram of nanoseconds, and its percentiles.
 *
 * A bucket is exact below 64 ns and a 32nd of its value wide from there on. A percentile is the
 * upper end of its bucket, or the longest call if that is shorter. Nothing is subtracted: each
 * figure holds what the clock itself costs, which is reported beside it.
 *
 * Owner: a histogram belongs to one worker until it ends; main() then adds them up.
 */
#ifndef HAK_BENCH_LATENCY_H
#define HAK_BENCH_LATENCY_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

enum {
    LATENCY_EVERY = 31, /* calls from sample to sample: odd, so mallocs and frees take turns, and
                           prime, so that no period of an allocator hides in it */
    LATENCY_FINE_BITS = 5,
    LATENCY_FINE = 1 << LATENCY_FINE_BITS, /* buckets of each doubling */
    LATENCY_BUCKETS = (64 - LATENCY_FINE_BITS + 1) * LATENCY_FINE,
};

/* samples == sum of counts [owner] */
struct bench_latency {
    uint64_t samples;
    uint64_t max_ns;
    uint64_t counts[LATENCY_BUCKETS];
};

static inline unsigned latency_bucket(uint64_t ns)
{
    if (ns < LATENCY_FINE)
        return (unsigned)ns;
    unsigned shift = 63 - (unsigned)__builtin_clzll(ns) - LATENCY_FINE_BITS;
    return shift * LATENCY_FINE + (unsigned)(ns >> shift);
}

/* The longest time that falls into a bucket. */
static inline uint64_t latency_bucket_end_ns(unsigned bucket)
{
    if (bucket < 2 * LATENCY_FINE)
        return bucket;
    unsigned shift = bucket / LATENCY_FINE - 1;
    uint64_t first = (uint64_t)(bucket - shift * LATENCY_FINE) << shift;
    return first + ((UINT64_C(1) << shift) - 1);
}

static inline void latency_add(struct bench_latency *latency, uint64_t ns)
{
    latency->samples++;
    latency->counts[latency_bucket(ns)]++;
    if (ns > latency->max_ns)
        latency->max_ns = ns;
}

static inline void latency_merge(struct bench_latency *sum, const struct bench_latency *part)
{
    sum->samples += part->samples;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        sum->counts[i] += part->counts[i];
    if (part->max_ns > sum->max_ns)
        sum->max_ns = part->max_ns;
}

/* What `per_mille` of the samples do not exceed; there is at least one sample. */
static inline uint64_t latency_percentile_ns(const struct bench_latency *latency,
                                             unsigned per_mille)
{
    uint64_t wanted = (latency->samples * per_mille + 999) / 1000;
    uint64_t seen = latency->counts[0];
    unsigned bucket = 0;
    while (seen < wanted)
        seen += latency->counts[++bucket];
    uint64_t end_ns = latency_bucket_end_ns(bucket);
    return end_ns < latency->max_ns ? end_ns : latency->max_ns;
}

/* Keys of the JSON line; none without a sample. */
static inline void latency_print(const struct bench_latency *latency, uint64_t clock_ns)
{
    if (latency->samples == 0)
        return;
    printf("\"latency_p50_ns\":%" PRIu64 ",\"latency_p99_ns\":%" PRIu64
           ",\"latency_p999_ns\":%" PRIu64 ",\"latency_max_ns\":%" PRIu64
           ",\"latency_samples\":%" PRIu64 ",\"latency_clock_ns\":%" PRIu64 ",",
           latency_percentile_ns(latency, 500), latency_percentile_ns(latency, 990),
           latency_percentile_ns(latency, 999), latency->max_ns, latency->samples, clock_ns);
}

#endif
