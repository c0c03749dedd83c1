/*
 * stats: the figures of the process, one set for every form that they are asked for in.
 *
 * Purpose   a row a figure: its name and what it means. hak_stats_json(), hak_stats_prometheus(),
 *           HAKMEM_STATS, malloc_stats(), malloc_info() and mallinfo2() all show these.
 *           Kept are counts of slow paths only; what is in use is counted page by page when asked.
 * Exact     when no other thread runs; else each figure is true of some moment. Not known, and so
 *           counted as live, is what other threads have at hand in their magazines, and in their
 *           remote tables (up to 128 KiB each).
 * Version   HAK_STATS_VERSION changes when a figure's name or meaning does, not when one is added.
 * Threads   any. Nothing is allocated and, but in a hardened process, no lock is taken.
 */
#ifndef HAK_STATS_H
#define HAK_STATS_H

#include "front/heap.h"
#include "front/observe/out.h"
#include "segment/count.h"
#include "segment/huge.h"

#define HAK_STATS_VERSION 1

/* X(name, help) */
#define HAK_STATS_MEMORY(X)                                                                        \
    X(used_bytes, "blocks handed out, in whole slots and pages")                                   \
    X(large_bytes, "of these, large blocks")                                                       \
    X(large_blocks, "how many large blocks")                                                       \
    X(elsewhere_max_bytes, "what other threads' magazines can hold at most, counted as used")      \
    X(free_bytes, "slots of open pages that are not handed out and do not rest")                   \
    X(free_slots, "how many such slots")                                                           \
    X(resting_bytes, "freed slots of open pages that a hardened process keeps from use")           \
    X(retired_bytes, "pages and large blocks that it keeps from use as a whole")                   \
    X(page_bytes, "open pages and spans")                                                          \
    X(dirty_bytes, "free pages whose memory was not given back yet")                               \
    X(record_bytes, "the allocator's own records")                                                 \
    X(limit_bytes, "HAKMEM_LIMIT, 0 for none")                                                     \
    X(reserved_bytes, "address space of the arena")                                                \
    X(committed_bytes, "of it, what was made writable so far")                                     \
    X(pinned_bytes, "huge pages that are free but kept")                                           \
    X(spilled_bytes, "huge pages on another node than was asked for")                              \
    X(thp_bytes, "transparent huge pages that the process has, if any were asked for")

/* By state; see heap.h. */
#define HAK_STATS_HEAPS(X) X(idle, "") X(busy, "") X(orphan, "") X(held, "") X(frozen, "")

/* By pool; see segment.h. */
#define HAK_STATS_POOLS(X) X(free, "") X(tiny, "") X(smallmid, "") X(mid, "") X(large, "")

/* By what backs it; see huge.h. */
#define HAK_STATS_BACKINGS(X) X(small, "") X(thp, "") X(hugetlb, "") X(gigantic, "")

/* By class. slots == live + free + cached + returning + resting. */
#define HAK_STATS_CLASS(X)                                                                         \
    X(pages, "open pages or spans")                                                                \
    X(slots, "their slots")                                                                        \
    X(live, "slots handed out")                                                                    \
    X(free, "slots that are free in their page")                                                   \
    X(cached, "slots in the magazine of the thread that asks")                                     \
    X(returning, "slots freed by other threads than their page's, not yet collected there")        \
    X(resting, "freed slots that a hardened process keeps from use")
#define HAK_STATS_CLASS_COUNTS(X)                                                                  \
    X(refills, "times a magazine was refilled from pages")                                         \
    X(flushes, "times a magazine was flushed to pages")                                            \
    X(taken, "blocks that refills took")                                                           \
    X(given, "blocks that flushes gave back")                                                      \
    X(remote, "blocks that were freed to other heaps' pages")

#define HAK_STATS_FIELD(name, help) uint64_t name;
struct hak_class_stats {
    HAK_STATS_CLASS(HAK_STATS_FIELD)
    HAK_STATS_CLASS_COUNTS(HAK_STATS_FIELD)
};

struct hak_stats {
    struct {
        HAK_STATS_MEMORY(HAK_STATS_FIELD)
    } memory;
    uint64_t heaps[HAK_HEAP_FROZEN + 1];
    uint64_t segments[HAK_POOL_COUNT];
    uint64_t taken_pages[HAK_POOL_COUNT];
    uint64_t backed_bytes[HAK_BACKINGS];
    uint64_t counts[HAK_COUNTS];
    struct hak_class_stats classes[HAK_BINS];
};
#undef HAK_STATS_FIELD

/* Counts everything. About 10 KiB: for the stack. */
void hak_stats_read(struct hak_stats *stats);

/* Whether there is anything to say of a class. */
static inline bool hak_stats_has(const struct hak_class_stats *of)
{
    return (of->slots | of->taken | of->remote) != 0;
}

/* Values of HAKMEM_STATS. */
enum { HAK_STATS_OFF, HAK_STATS_AS_TEXT, HAK_STATS_AS_JSON, HAK_STATS_AS_PROMETHEUS };

/* The lines of malloc_stats(), or of HAKMEM_LOCK_STATS, to standard error. */
void hak_stats_text(bool locks_only);

#endif
