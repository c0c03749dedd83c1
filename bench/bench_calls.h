/*
 * bench_calls.h: malloc, free and realloc as a workload calls them when it is watched.
 *
 *     BENCH_LATENCY=1   every 31st call of the steady state is timed (bench_latency.h)
 *     BENCH_VERIFY=1    every block is filled, and checked when it is freed (bench_verify.h)
 *
 * A watched run is a run of its own: its times and memory are not the allocator's alone. In any
 * other run a workload asks `watched` at most once a visit and calls malloc and free itself.
 *
 * Owner: each worker has its own; main() adds up what they saw after it joined them.
 */
#ifndef HAK_BENCH_CALLS_H
#define HAK_BENCH_CALLS_H

#include "bench_report.h"
#include "bench_verify.h"

/* [worker] */
struct bench_calls {
    bool watched; /* == (latency != NULL || verify) */
    bool verify;
    unsigned until_sample;         /* calls up to the next that is timed, itself included */
    struct bench_latency *latency; /* NULL: nothing is timed */
    struct bench_latency *sampled; /* latency while the steady state lasts, else NULL */
    uint64_t generation;           /* of the next block; a worker's own in its upper half */
    uint64_t verified;             /* blocks checked, once at their free and once at each growth */
};

static inline bool bench_switch(const char *name)
{
    const char *value = getenv(name);
    if (value == NULL || value[0] == '\0' || strcmp(value, "0") == 0)
        return false;
    if (strcmp(value, "1") == 0)
        return true;
    fprintf(stderr, "bench: %s is '%s', not 0 or 1\n", name, value);
    exit(2);
}

static inline struct bench_calls calls_open(unsigned worker)
{
    struct bench_calls calls = {
        .verify = bench_switch("BENCH_VERIFY"),
        .until_sample = LATENCY_EVERY,
        .generation = (uint64_t)worker << 40,
    };
    if (bench_switch("BENCH_LATENCY"))
        calls.latency = bench_table(1, sizeof *calls.latency);
    calls.watched = calls.verify || calls.latency != NULL;
    return calls;
}

/* Where the steady state begins and ends. */
static inline void calls_sample(struct bench_calls *calls, bool steady)
{
    calls->sampled = steady ? calls->latency : NULL;
}

/* The time, if the next call is to be timed; else 0. */
static inline uint64_t calls_start_ns(struct bench_calls *calls)
{
    if (calls->sampled == NULL || --calls->until_sample != 0)
        return 0;
    calls->until_sample = LATENCY_EVERY;
    return bench_now_ns();
}

static inline void calls_timed(struct bench_calls *calls, uint64_t start_ns)
{
    if (start_ns != 0)
        latency_add(calls->sampled, bench_now_ns() - start_ns);
}

/* Fills a block that is to be verified. */
static inline void calls_mark(struct bench_calls *calls, void *block, size_t bytes, uint64_t place,
                              struct block_mark *mark)
{
    if (!calls->verify)
        return;
    *mark = (struct block_mark){place, calls->generation++, bytes};
    mark_fill(mark, block);
}

/* bench_block, watched; `place` says where in the workload the block will be. */
static inline void *calls_block(struct bench_calls *calls, size_t bytes, uint64_t place,
                                struct block_mark *mark)
{
    uint64_t start_ns = calls_start_ns(calls);
    void *block = malloc(bytes);
    calls_timed(calls, start_ns);
    bench_touch_ends(block, bytes);
    calls_mark(calls, block, bytes, place, mark);
    return block;
}

static inline void calls_free(struct bench_calls *calls, void *block, const struct block_mark *mark)
{
    if (calls->verify) {
        mark_check(mark, block);
        calls->verified++;
    }
    uint64_t start_ns = calls_start_ns(calls);
    free(block);
    calls_timed(calls, start_ns);
}

/* Grows a block; NULL is one of no bytes. What it held is checked where it lies then. */
static inline void *calls_grow(struct bench_calls *calls, void *block, size_t bytes, uint64_t place,
                               struct block_mark *mark)
{
    bool holds = block != NULL;
    uint64_t start_ns = calls_start_ns(calls);
    void *grown = realloc(block, bytes);
    calls_timed(calls, start_ns);
    if (grown == NULL)
        bench_die("realloc");
    if (calls->verify && holds) {
        mark_check(mark, grown);
        calls->verified++;
    }
    calls_mark(calls, grown, bytes, place, mark);
    return grown;
}

/* One byte of each os page of block[from .. bytes); a verified block is written already. */
static inline void calls_touch(const struct bench_calls *calls, void *block, size_t from,
                               size_t bytes)
{
    if (!calls->verify)
        bench_touch_pages(block, from, bytes);
}

/* [main] */
static inline void calls_report(const struct bench_calls *calls, struct bench_report *report)
{
    report->verify = calls->verify;
    report->verified += calls->verified;
    if (calls->latency == NULL)
        return;
    if (report->latency == NULL)
        report->latency = bench_table(1, sizeof *report->latency);
    latency_merge(report->latency, calls->latency);
}

#endif
