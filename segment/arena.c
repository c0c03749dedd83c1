/*
 * arena: reservation, commit steps and the end that moves up.
 */
#include "segment/arena.h"

#include "segment/count.h"
#include "segment/huge.h"
#include "segment/maps.h"
#include "segment/meta.h"
#include "segment/os.h"
#include "segment/page.h"
#include "segment/segment.h"

#define ARENA_MIN_BYTES (8 * HAK_MIB)
#define ARENA_MAX_BYTES (64 * 1024 * HAK_GIB)
/* Metadata is at most 1 KiB of bitmaps a 64 KiB page of 16-byte blocks, heaps and magazines. */
#define META_SHARE 16
#define META_MIN_BYTES (2 * HAK_MIB)

struct hak_arena hak_arena;
HAK_CACHE_ALIGNED _Atomic(uint64_t) hak_counts[HAK_COUNTS];

static _Atomic(bool) own_turn;            /* [any, atomic] where the kernel clears no page */
static _Atomic(_Atomic(bool) *) its_turn; /* [any, atomic] NULL: nobody has tried yet */
_Thread_local volatile bool hak_arena_in_turn;

static size_t reserve_goal(const struct hak_arena_config *config)
{
    size_t limit = hak_os_address_limit_bytes();
    size_t bytes = config->reserve_bytes;
    if (bytes == 0) {
        bytes = hak_power_of_two_up(hak_os_physical_bytes()) * 4;
        bytes = hak_max(bytes, 64 * HAK_GIB);
    }
    if (limit != SIZE_MAX) {
        /* The program's own mappings and thread stacks need room too. */
        bytes = hak_min(bytes, hak_align_up(limit / 2, HAK_SEGMENT_BYTES));
    }
    return hak_max(hak_min(bytes, ARENA_MAX_BYTES), ARENA_MIN_BYTES);
}

struct table_layout {
    size_t tags, pages, segments, maps, meta, meta_bytes, total_bytes;
};

/* The tables lie behind each other, each at a boundary of kernel pages. */
static struct table_layout table_layout_of(size_t segments)
{
    size_t os_page = hak_os_page_bytes();
    size_t groups = (segments + HAK_GROUP_SEGMENTS - 1) / HAK_GROUP_SEGMENTS;
    struct table_layout at = {0};
    at.pages = hak_align_up(segments * HAK_SEGMENT_PAGES * sizeof(uintptr_t), os_page);
    at.segments =
        at.pages + hak_align_up(segments * HAK_SEGMENT_PAGES * sizeof(struct hak_page), os_page);
    at.maps = at.segments + hak_align_up(segments * sizeof(struct hak_segment), os_page);
    at.meta = at.maps + hak_align_up(groups * sizeof(struct hak_segment_maps), os_page);
    at.meta_bytes = hak_max(segments * HAK_SEGMENT_BYTES / META_SHARE, META_MIN_BYTES);
    at.total_bytes = at.meta + at.meta_bytes;
    return at;
}

/* One attempt at a size; both reservations or none. */
static bool reserve_bytes(size_t bytes)
{
    size_t segments = bytes / HAK_SEGMENT_BYTES;
    struct table_layout at = table_layout_of(segments);
    char *base = hak_os_reserve(bytes, bytes >= 4 * HAK_GIB ? HAK_GIB : HAK_SEGMENT_BYTES);
    if (base == NULL) {
        return false;
    }
    char *tables = hak_os_reserve(at.total_bytes, HAK_PAGE_BYTES);
    if (tables == NULL) {
        hak_os_unreserve(base, bytes);
        return false;
    }
    hak_arena.base = base;
    hak_arena.max_segments = segments;
    hak_arena.tables_bytes = at.total_bytes;
    hak_arena.pages = (struct hak_page *)(void *)(tables + at.pages);
    hak_arena.segments = (struct hak_segment *)(void *)(tables + at.segments);
    hak_arena.maps = (struct hak_segment_maps *)(void *)(tables + at.maps);
    hak_region_init((uintptr_t)base, (_Atomic(uintptr_t) *)(void *)(tables + at.tags),
                    segments * HAK_SEGMENT_PAGES);
    hak_os_huge_forbid(tables, at.total_bytes);
    hak_huge_forbid(0, segments);
    hak_meta_init(tables + at.meta, at.meta_bytes);
    return true;
}

bool hak_arena_init(const struct hak_arena_config *config)
{
    hak_arena.config = *config;
    size_t bytes = hak_align_down(reserve_goal(config), HAK_SEGMENT_BYTES);
    bool done;
    while (!(done = reserve_bytes(bytes)) && bytes / 2 >= ARENA_MIN_BYTES) {
        bytes = hak_align_down(bytes / 2, HAK_SEGMENT_BYTES);
    }
    return done;
}

/* Commits the part of a table that describes segments `from` to `to`. */
static bool table_commit(void *table, size_t entry_bytes, size_t from, size_t to)
{
    size_t os_page = hak_os_page_bytes();
    uintptr_t start = hak_align_down((uintptr_t)table + from * entry_bytes, os_page);
    uintptr_t end = hak_align_up((uintptr_t)table + to * entry_bytes, os_page);
    return start >= end || hak_os_commit((void *)start, end - start);
}

/* Tables for the first `segments` segments. They double, so there are few steps. */
static bool tables_ensure(size_t segments)
{
    /* acquire: pairs with hak_counter_raise(). */
    size_t have = atomic_load_explicit(&hak_arena.tabled, memory_order_acquire);
    if (segments <= have) {
        return true;
    }
    size_t want = hak_align_up(hak_max(segments, 2 * have), HAK_GROUP_SEGMENTS);
    want = hak_min(want, hak_arena.max_segments);
    size_t groups = (want + HAK_GROUP_SEGMENTS - 1) / HAK_GROUP_SEGMENTS;
    if (!table_commit((void *)hak_region.tags, HAK_SEGMENT_PAGES * sizeof(uintptr_t), have, want) ||
        !table_commit(hak_arena.pages, HAK_SEGMENT_PAGES * sizeof(struct hak_page), have, want) ||
        !table_commit(hak_arena.segments, sizeof(struct hak_segment), have, want) ||
        !table_commit(hak_arena.maps, sizeof(struct hak_segment_maps), have / HAK_GROUP_SEGMENTS,
                      groups)) {
        return false;
    }
    hak_counter_raise(&hak_arena.tabled, want);
    return true;
}

/* The commit step grows with what is committed: first, first, twice that, four times that ... */
static size_t commit_step_segments(size_t committed)
{
    const struct hak_arena_config *config = &hak_arena.config;
    size_t step = config->step_bytes;
    size_t most = hak_min(config->max_step_bytes, committed * HAK_SEGMENT_BYTES);
    for (unsigned level = 0; level < config->growth_levels && step * 2 <= most; level++) {
        step *= 2;
    }
    return (step + HAK_SEGMENT_BYTES - 1) / HAK_SEGMENT_BYTES;
}

/* A page of it is made for the first who tries; another who does just then makes one in vain. */
static _Atomic(bool) *turn_word(void)
{
    /* acquire: pairs with the CAS. */
    _Atomic(bool) *word = atomic_load_explicit(&its_turn, memory_order_acquire);
    void *page = word == NULL ? hak_meta_new_wiped() : NULL;
    _Atomic(bool) *made = page != NULL ? page : &own_turn;
    /* release: the page reads as zero; acquire: as above. */
    return word != NULL || !atomic_compare_exchange_strong_explicit(
                               &its_turn, &word, made, memory_order_acq_rel, memory_order_acquire)
               ? word
               : made;
}

bool hak_arena_turn_try(void)
{
    bool free = false;
    if (hak_arena_in_turn) {
        return false;
    }
    hak_arena_in_turn = true; /* first: a handler in between must not wait for this thread */
    /* seq_cst: pairs with hak_arena_turn_end(); hak_huge_release() relies on a failure. */
    hak_arena_in_turn = atomic_compare_exchange_strong_explicit(
        turn_word(), &free, true, memory_order_seq_cst, memory_order_seq_cst);
    hak_count(hak_arena_in_turn ? HAK_COUNT_TURNS : HAK_COUNT_TURN_WAITS);
    return hak_arena_in_turn;
}

void hak_arena_turn_end(void)
{
    /* seq_cst: what this turn changed is seen by the next, and hak_huge_settle() looks after it. */
    atomic_store_explicit(turn_word(), false, memory_order_seq_cst);
    hak_arena_in_turn = false; /* last, as above */
}

/* Segments that are committed at once, when pages of the pool are to be populated for them. */
#define POOL_STEP_SEGMENTS ((size_t)32)

/* Memory of the pool behind segments from `have` on, to `least` or some more. */
static bool commit_pooled(size_t have, size_t least, size_t border)
{
    size_t gib = HAK_GIB / HAK_SEGMENT_BYTES;
    size_t want = hak_min(least, have + (least - have >= gib ? gib : POOL_STEP_SEGMENTS));
    if (hak_huge_is_short()) { /* other pages cost nothing before they are touched */
        want = hak_max(want, have + commit_step_segments(have));
        want = hak_min(want, hak_min(border, hak_arena.max_segments));
    }
    size_t done = tables_ensure(want) ? hak_huge_back(have, want, HAK_BACKED_HUGETLB) : have;
    hak_counter_raise(&hak_arena.committed, done);
    return done != have;
}

/* The same of other pages, in a step that grows; where memory is short, to `least` just so. */
static bool commit_plain(size_t have, size_t least, size_t border, enum hak_backing goal)
{
    size_t want = hak_max(least, have + commit_step_segments(have));
    want = hak_min(want, hak_min(border, hak_arena.max_segments));
    if (!tables_ensure(want) || hak_huge_back(have, want, goal) != want) {
        want = least;
        if (!tables_ensure(want) || hak_huge_back(have, want, goal) != want) {
            return false;
        }
    }
    hak_counter_raise(&hak_arena.committed, want);
    return true;
}

bool hak_arena_commit(size_t segments)
{
    bool done = true;
    size_t have, border;
    segments = hak_min(segments, hak_arena.max_segments);
    while (done && (have = hak_arena_committed()) < segments) {
        enum hak_backing goal = hak_huge_goal(have, &border);
        bool in_turn = hak_arena.config.commits_in_turn ||
                       (hak_arena.config.maps_pool && goal != HAK_BACKED_SMALL);
        size_t least = hak_min(segments, border);
        if (in_turn && !hak_arena_turn_try()) {
            done = !hak_arena_in_turn; /* else a handler came in this thread's own: no memory */
            hak_os_yield();
            continue;
        }
        if (!in_turn || hak_arena_committed() == have) {
            done = goal == HAK_BACKED_HUGETLB ? commit_pooled(have, least, border)
                                              : commit_plain(have, least, border, goal);
        }
        if (in_turn) {
            hak_arena_turn_end();
            hak_huge_settle();
        }
    }
    return done;
}

void hak_arena_fork_child(void)
{
    /* relaxed: the child has one thread. If it was this one's, hak_arena_in_turn says so. */
    atomic_store_explicit(&own_turn, false, memory_order_relaxed);
    hak_huge_fork_child();
    for (size_t i = 0; i < hak_arena_end(); i++) { /* who cleared a bit looks again no more */
        hak_map_clear((unsigned)hak_word_pool(hak_segment_word(i)), i);
    }
}

size_t hak_arena_committed(void)
{
    /* acquire: pairs with hak_counter_raise(). */
    return atomic_load_explicit(&hak_arena.committed, memory_order_acquire);
}

size_t hak_arena_end(void)
{
    /* acquire: pairs with the CAS in hak_arena_take(); tables below the end are readable. */
    return atomic_load_explicit(&hak_arena.end, memory_order_acquire);
}

size_t hak_arena_take(size_t count, size_t align, size_t *skipped)
{
    size_t base_segment = (uintptr_t)hak_arena.base >> HAK_SEGMENT_SHIFT;
    size_t old = hak_arena_end();
    for (;;) {
        size_t start = hak_align_up(base_segment + old, align) - base_segment;
        if (start > hak_arena.max_segments || count > hak_arena.max_segments - start ||
            !hak_arena_commit(start + count)) {
            return HAK_NO_SEGMENT;
        }
        /* release: whoever sees the new end sees the tables behind it. acquire: see above. */
        if (atomic_compare_exchange_weak_explicit(&hak_arena.end, &old, start + count,
                                                  memory_order_acq_rel, memory_order_acquire)) {
            hak_region_grow((start + count) * HAK_SEGMENT_PAGES);
            hak_count(HAK_COUNT_NEW_CLAIMS);
            *skipped = start - old;
            return start;
        }
        hak_count(HAK_COUNT_CLAIM_RETRIES);
    }
}
