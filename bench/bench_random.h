/*
 * bench_random.h: streams of random numbers for the workloads.
 *
 * Owner: a stream belongs to the thread that draws from it.
 */
#ifndef HAK_BENCH_RANDOM_H
#define HAK_BENCH_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* A stream of random numbers; two streams of one seed are unrelated. [owner] */
struct bench_rng {
    uint64_t state;
};

static inline uint64_t rng_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline struct bench_rng rng_seeded(uint64_t seed, uint64_t stream)
{
    struct bench_rng rng = {rng_mix(rng_mix(seed + 1) ^ (stream + 1))};
    return rng;
}

/* Only one addition lies between two numbers, so the generator hides behind the work. */
static inline uint64_t rng_next(struct bench_rng *rng)
{
    rng->state += UINT64_C(0x9e3779b97f4a7c15);
    return rng_mix(rng->state);
}

/* 0 .. bound-1, without a division. */
static inline uint32_t rng_below(struct bench_rng *rng, uint32_t bound)
{
    return (uint32_t)(((rng_next(rng) >> 32) * bound) >> 32);
}

static inline size_t rng_size(struct bench_rng *rng, uint32_t min_bytes, uint32_t max_bytes)
{
    return min_bytes + rng_below(rng, max_bytes - min_bytes + 1);
}

#endif
