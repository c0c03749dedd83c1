/*
 * purge: ticks of the decay clock, and the walk over dirty segments.
 */
#include "segment/purge.h"

#include "segment/huge.h"
#include "segment/meta.h"
#include "segment/os.h"
#include "segment/segment.h"

/* Free memory that a claim of fresh pages leaves alone: this much, and this share of the pages in
 * use. See design/ for the measurement. */
#define SLACK_BYTES (4 * HAK_MIB)
#define SLACK_SHARE 4
#define FAILURES_MAX 8

static uint64_t decay_ms;             /* [const after init] */
static _Atomic(uint64_t) last_ms;     /* [any, atomic] time of the last tick */
static _Atomic(uint32_t) ticks_count; /* [any, atomic] */

void hak_purge_init(uint64_t decay)
{
    decay_ms = decay;
    /* relaxed: called once, before other threads. */
    atomic_store_explicit(&last_ms, hak_os_now_ms(), memory_order_relaxed);
}

/* A tick gives this much back at most: its caller wants a block, and soon. The rest follows in the
 * polls after it. */
#define TICK_BYTES (64 * HAK_MIB)

static _Atomic(size_t) tick_segment; /* [who does the tick, atomic] where the walk goes on */

/* True when the walk came to its end. */
static bool purge_tick(void)
{
    size_t purged = 0;
    /* relaxed: a place to go on at; any is right. */
    size_t at = atomic_load_explicit(&tick_segment, memory_order_relaxed);
    for (at = hak_segment_next(HAK_MAP_DIRTY, at); at != HAK_NO_SEGMENT && purged < TICK_BYTES;
         at = hak_segment_next(HAK_MAP_DIRTY, at + 1)) {
        purged += hak_segment_purge(at, decay_ms == 0 ? HAK_PURGE_DIRTY : HAK_PURGE_AGED);
    }
    bool done = at == HAK_NO_SEGMENT;
    /* relaxed: the same. */
    atomic_store_explicit(&tick_segment, done ? 0 : at, memory_order_relaxed);
    return done;
}

bool hak_purge_poll(void)
{
    uint64_t now = hak_os_now_ms();
    /* relaxed: the CAS decides who does the tick. */
    uint64_t last = atomic_load_explicit(&last_ms, memory_order_relaxed);
    if (now - last < decay_ms || now < last) {
        return false;
    }
    /* relaxed: nothing is published with the time; one thread wins the tick. */
    if (!atomic_compare_exchange_strong_explicit(&last_ms, &last, now, memory_order_relaxed,
                                                 memory_order_relaxed)) {
        return false;
    }
    if (purge_tick()) {
        /* relaxed: a counter that heaps poll. */
        (void)atomic_fetch_add_explicit(&ticks_count, 1, memory_order_relaxed);
    } else {
        /* relaxed: as above; the next poll goes on at once. */
        atomic_store_explicit(&last_ms, last, memory_order_relaxed);
    }
    return true;
}

uint32_t hak_purge_ticks(void)
{
    /* relaxed: a hint that time has passed. */
    return atomic_load_explicit(&ticks_count, memory_order_relaxed);
}

void hak_purge_bound(size_t fresh)
{
    size_t dirty = hak_dirty_bytes();
    size_t slack = hak_max(SLACK_BYTES, hak_taken_bytes() / SLACK_SHARE);
    if (fresh == 0 || dirty <= slack) {
        return;
    }
    size_t goal = hak_min(fresh * HAK_PAGE_BYTES, dirty - slack);
    size_t purged = 0;
    size_t failures = 0;
    for (size_t at = hak_segment_prev(HAK_MAP_DIRTY, hak_arena_end());
         at != HAK_NO_SEGMENT && purged < goal && failures < FAILURES_MAX;
         at = hak_segment_prev(HAK_MAP_DIRTY, at)) {
        size_t bytes = hak_segment_purge(at, HAK_PURGE_DIRTY);
        purged += bytes;
        /* Somebody was faster; or, again and again, the system takes nothing back (mlockall). */
        failures += bytes == 0 && hak_segment_backing(at) < HAK_BACKED_HUGETLB;
    }
}

bool hak_purge_limit_allows(size_t bytes)
{
    size_t limit = hak_arena.config.limit_bytes;
    return limit == 0 || hak_memory_bytes() + hak_meta_used_bytes() + bytes <= limit;
}

bool hak_purge_to_limit(void)
{
    return hak_purge_limit_allows(0) || (hak_purge_all() != 0 && hak_purge_limit_allows(0));
}

bool hak_purge_keeps_limit(size_t page_idx, size_t count)
{
    if (hak_purge_to_limit()) {
        return true;
    }
    hak_pages_release(page_idx, count, false);
    return false;
}

size_t hak_purge_all(void)
{
    size_t purged = 0;
    for (size_t at = hak_segment_next(HAK_MAP_DIRTY, 0); at != HAK_NO_SEGMENT;
         at = hak_segment_next(HAK_MAP_DIRTY, at + 1)) {
        purged += hak_segment_purge(at, HAK_PURGE_TRIM);
    }
    return purged;
}
