/*
 * count: how often something happened in the process.
 *
 * Purpose   figures for front/observe/stats.h. One row a counter: its name there and what it means.
 *           They are counted in slow paths only.
 * Owner     the process; a child of a fork goes on from its parent's figures.
 * Threads   any. Nothing is decided by a counter, so none orders anything.
 */
#ifndef HAK_COUNT_H
#define HAK_COUNT_H

#include <stdatomic.h>

#include "hak_base.h"

/* X(counter, name, help) */
#define HAK_COUNT_EVENTS(X)                                                                        \
    X(REFUSED, refused_requests, "requests that were answered with ENOMEM")                        \
    X(FOREIGN_FREE, foreign_frees, "frees of pointers that are not ours")                          \
    X(FOREIGN_REALLOC, foreign_reallocs, "reallocs of pointers that are not ours")                 \
    X(FOREIGN_SIZE, foreign_sizes, "malloc_usable_size of pointers that are not ours")             \
    X(FORWARDED, foreign_forwarded, "of all these, calls that were passed on to libc")             \
    X(ADOPTED, adopted_pages, "pages taken over from heaps that did not use them")                 \
    X(PURGES, purges, "segments of which memory was given back to the system")                     \
    X(PURGED_BYTES, purged_bytes, "bytes given back to the system")

/* What stands for the mutexes of other allocators. Claims and new segments say how many times there
 * was something to lock. */
#define HAK_COUNT_LOCKS(X)                                                                         \
    X(POOL_CLAIMS, stage1_claims, "page claims served by a segment of their pool")                 \
    X(FREE_CLAIMS, stage2_claims, "page claims served by a free segment")                          \
    X(NEW_CLAIMS, stage3_claims, "times segments were taken from the arena")                       \
    X(CLAIM_RETRIES, retries, "claims and releases repeated because another thread was faster")    \
    X(TURNS, turns, "turns to commit memory, hardened or with a pool of huge pages")               \
    X(TURN_WAITS, turn_waits, "such turns that another thread had")                                \
    X(HEAP_WAITS, heap_waits, "waits for a thread that swept the own heap")                        \
    X(PEN_TAKES, pen_locks, "locks of size classes taken, in a hardened process")                  \
    X(PEN_WAITS, pen_waits, "of these, those that another thread had")                             \
    X(FENCE_TAKES, fence_locks, "locks of large blocks taken, in a hardened process")              \
    X(FENCE_WAITS, fence_waits, "of these, those that another thread had")

/* System calls that change mappings or wait. */
#define HAK_COUNT_CALLS(X)                                                                         \
    X(MMAP, mmap, "")                                                                              \
    X(MUNMAP, munmap, "")                                                                          \
    X(MPROTECT, mprotect, "")                                                                      \
    X(MADVISE, madvise, "")                                                                        \
    X(MREMAP, mremap, "")                                                                          \
    X(MEMBARRIER, membarrier, "")                                                                  \
    X(NANOSLEEP, nanosleep, "")

enum hak_count {
#define HAK_COUNT_NAME(counter, ...) HAK_COUNT_##counter,
    HAK_COUNT_EVENTS(HAK_COUNT_NAME) HAK_COUNT_LOCKS(HAK_COUNT_NAME) HAK_COUNT_CALLS(HAK_COUNT_NAME)
#undef HAK_COUNT_NAME
        HAK_COUNTS,
};

extern HAK_HIDDEN _Atomic(uint64_t) hak_counts[HAK_COUNTS]; /* [any, atomic] in arena.c */

static inline uint64_t hak_figure(const _Atomic(uint64_t) *figure)
{
    /* relaxed: a figure. */
    return atomic_load_explicit(figure, memory_order_relaxed);
}

/* Wrap-around subtracts. The second is for a figure with one writer at a time. */
static inline void hak_figure_add(_Atomic(uint64_t) *figure, uint64_t count)
{
    /* relaxed: a figure. */
    (void)atomic_fetch_add_explicit(figure, count, memory_order_relaxed);
}

static inline void hak_figure_add_own(_Atomic(uint64_t) *figure, uint64_t count)
{
    /* relaxed: a figure with one writer. */
    atomic_store_explicit(figure, hak_figure(figure) + count, memory_order_relaxed);
}

static inline void hak_count_add(enum hak_count counter, uint64_t count)
{
    hak_figure_add(&hak_counts[counter], count);
}

static inline void hak_count(enum hak_count counter)
{
    hak_count_add(counter, 1);
}

#endif
