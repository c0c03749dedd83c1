/*
 * segment: claim and release of page slots.
 *
 *   hak_pages_claim      → claim_from_map → claim_in_segment        Stage 1: room in the pool
 *                                                                   Stage 2: a free segment
 *                          both first where memory is still there, then anywhere
 *                        → claim_from_arena                         Stage 3: a new segment
 *   hak_pages_release    → release_in_segment
 *   hak_segment_purge    → claims free dirty slots, gives memory back, releases them clean
 */
#include "segment/segment.h"

#include "hak_probe.h"
#include "segment/count.h"
#include "segment/huge.h"
#include "segment/maps.h"
#include "segment/os.h"

/* [any, atomic] Taken slots, and above them free ones with memory: no step loses one of the sum. */
static _Atomic(uint64_t) slot_counts;
#define DIRTY_SHIFT 32

static void slots_count(size_t taken, size_t dirty)
{
    uint64_t change = taken + ((uint64_t)dirty << DIRTY_SHIFT);
    /* relaxed: figures, in one order; wrap-around subtracts. */
    (void)atomic_fetch_add_explicit(&slot_counts, change, memory_order_relaxed);
}

static uint32_t run_mask(size_t first, size_t count)
{
    return (count == HAK_SEGMENT_PAGES ? ALL_SLOTS : ((uint32_t)1 << count) - 1) << first;
}

/* First slot of the lowest run of `count` free slots at a multiple of `align`, or -1. */
static int run_find(uint32_t taken, size_t count, size_t align)
{
    static const uint32_t aligned[] = {ALL_SLOTS,  0x55555555, 0x11111111,
                                       0x01010101, 0x00010001, 0x00000001};
    uint32_t starts = ~taken;
    size_t have = 1; /* a bit of `starts` is the start of that many free slots */
    while (have < count && starts != 0) {
        size_t more = hak_min(have, count - have);
        starts &= starts >> more;
        have += more;
    }
    starts &= aligned[__builtin_ctzll(align)];
    return starts == 0 ? -1 : __builtin_ctz(starts);
}

/* The caller has just claimed these slots: they are neither free memory nor up for purge. */
static void slots_claimed(struct hak_segment *segment, uint32_t run)
{
    /* relaxed: bits of slots that are ours alone now. */
    uint32_t dirty = atomic_load_explicit(&segment->dirty, memory_order_relaxed) & run;
    slots_count((size_t)hak_popcount(run), 0 - (size_t)hak_popcount(dirty));
    if (dirty != 0) {
        /* relaxed: at worst the purge finds the slots taken. */
        (void)atomic_fetch_and_explicit(&segment->aged, ~run, memory_order_relaxed);
    }
}

/* Also for a purge, which takes a free segment as one of large blocks and gives it back. */
static inline void segment_probe(size_t segment_idx, enum hak_pool from, enum hak_pool to)
{
    if (to != HAK_POOL_FREE) {
        HAK_PROBE2(segment_claim, segment_idx, to);
    } else {
        HAK_PROBE2(segment_release, segment_idx, from);
    }
}

/* Replaces the word if it is still `old`, and keeps the maps true. */
static bool word_replace(size_t segment_idx, uint64_t old, uint64_t new)
{
    struct hak_segment *segment = &hak_arena.segments[segment_idx];
    /* seq_cst: in one order with the maps' bits; acquire and release hand the slots over. */
    if (!atomic_compare_exchange_strong_explicit(&segment->word, &old, new, memory_order_seq_cst,
                                                 memory_order_seq_cst)) {
        hak_count(HAK_COUNT_CLAIM_RETRIES);
        return false;
    }
    if (hak_word_pool(old) != hak_word_pool(new)) {
        segment_probe(segment_idx, hak_word_pool(old), hak_word_pool(new));
        hak_map_clear((unsigned)hak_word_pool(old), segment_idx);
    }
    if (hak_word_pool(old) != hak_word_pool(new) ||
        (hak_word_taken(old) & ~hak_word_taken(new)) != 0) {
        hak_hints_lower(hak_word_pool(new), segment_idx);
    }
    if (hak_word_taken(new) == ALL_SLOTS) {
        hak_map_clear((unsigned)hak_word_pool(new), segment_idx);
    } else {
        hak_map_set((unsigned)hak_word_pool(new), segment_idx);
    }
    return true;
}

/* What a claim asks for. */
struct claim {
    enum hak_pool pool;
    size_t count, align;
    bool dirty; /* only slots whose memory is still there */
};

/* Claims a run in a segment of the pool, or in a free one. -1 when it has none. */
static int claim_in_segment(size_t segment_idx, const struct claim *claim)
{
    struct hak_segment *segment = &hak_arena.segments[segment_idx];
    for (;;) {
        uint64_t old = hak_segment_word(segment_idx);
        if (old != 0 && hak_word_pool(old) != claim->pool) {
            return -1;
        }
        uint32_t unfit = hak_word_taken(old);
        if (claim->dirty) {
            /* relaxed: a hint; a clean slot instead costs faults, no more. */
            unfit |= ~atomic_load_explicit(&segment->dirty, memory_order_relaxed);
        }
        int first = run_find(unfit, claim->count, claim->align);
        if (first < 0) {
            return -1;
        }
        uint32_t run = run_mask((size_t)first, claim->count);
        if (word_replace(segment_idx, old, hak_word_of(hak_word_taken(old) | run, claim->pool))) {
            slots_claimed(segment, run);
            return first;
        }
    }
}

/* Stages 1 and 2: the lowest segment of a map that serves the run. */
static size_t claim_from_map(unsigned map, const struct claim *claim)
{
    unsigned with = claim->dirty ? HAK_MAP_DIRTY : map;
    /* Whether what this search learns is true of every claim of that many slots of the pool. */
    bool teaches = map != HAK_POOL_FREE && !claim->dirty &&
                   (claim->align == 1 || claim->pool != HAK_POOL_LARGE);
    uint32_t hint = map == HAK_POOL_FREE ? 0 : hak_hint_of(claim->pool, claim->count);
    size_t page_idx = HAK_NO_PAGE;
    size_t at = hak_segment_next_of(map, with, hint);
    for (; at != HAK_NO_SEGMENT; at = hak_segment_next_of(map, with, at + 1)) {
        int first = claim_in_segment(at, claim);
        if (first >= 0) {
            page_idx = at * HAK_SEGMENT_PAGES + (size_t)first;
            hak_count(map == HAK_POOL_FREE ? HAK_COUNT_FREE_CLAIMS : HAK_COUNT_POOL_CLAIMS);
            break;
        }
        if (!hak_segment_has_room(at, map)) {
            hak_map_clear(map, at);
        }
    }
    if (teaches) {
        hak_hint_raise(claim->pool, claim->count, hint,
                       at != HAK_NO_SEGMENT ? at : hak_arena_end());
    }
    return page_idx;
}

/* Segments that the arena has just handed out are anybody's from here on. */
static void segments_publish(size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        hak_hints_lower(HAK_POOL_FREE, i);
        hak_map_set(HAK_POOL_FREE, i);
    }
}

/* Stage 3. Somebody else may be faster on the new segment: then another one. */
static size_t claim_from_arena(const struct claim *claim)
{
    size_t skipped;
    size_t at;
    while ((at = hak_arena_take(1, 1, &skipped)) != HAK_NO_SEGMENT) {
        segments_publish(at, 1);
        int first = claim_in_segment(at, claim);
        if (first >= 0) {
            return at * HAK_SEGMENT_PAGES + (size_t)first;
        }
    }
    return HAK_NO_PAGE;
}

static size_t claim_anywhere(struct claim claim)
{
    size_t page_idx = HAK_NO_PAGE;
    claim.dirty = hak_dirty_bytes() != 0;
    for (int pass = claim.dirty ? 0 : 1; pass < 2 && page_idx == HAK_NO_PAGE; pass++) {
        page_idx = claim_from_map((unsigned)claim.pool, &claim);
        if (page_idx == HAK_NO_PAGE) {
            page_idx = claim_from_map(HAK_POOL_FREE, &claim);
        }
        claim.dirty = false;
    }
    return page_idx;
}

size_t hak_pages_claim(enum hak_pool pool, size_t count, size_t align)
{
    HAK_ASSERT(count >= 1 && count <= HAK_SEGMENT_PAGES && align <= HAK_SEGMENT_PAGES);
    struct claim claim = {pool, count, align, false};
    size_t page_idx = claim_anywhere(claim);
    if (page_idx == HAK_NO_PAGE && hak_hint_forget(pool, count, false)) {
        page_idx = claim_anywhere(claim);
    }
    if (page_idx == HAK_NO_PAGE) {
        page_idx = claim_from_arena(&claim);
    }
    if (page_idx == HAK_NO_PAGE && hak_hint_forget(pool, count, true)) {
        page_idx = claim_anywhere(claim); /* there is no more: what is free must be found */
    }
    return page_idx;
}

static void release_in_segment(size_t segment_idx, uint32_t run, bool dirty)
{
    struct hak_segment *segment = &hak_arena.segments[segment_idx];
    if (dirty) {
        /* relaxed: the CAS of the word hands the bits over with the slots. */
        (void)atomic_fetch_or_explicit(&segment->dirty, run, memory_order_relaxed);
    }
    /* relaxed: bits of slots that are still ours. */
    uint32_t left = atomic_load_explicit(&segment->dirty, memory_order_relaxed) & run;
    slots_count(0 - (size_t)hak_popcount(run), (size_t)hak_popcount(left));
    uint64_t old;
    do {
        old = hak_segment_word(segment_idx);
        HAK_CHECK((hak_word_taken(old) & run) == run, "hakmem: page slots released twice");
    } while (!word_replace(segment_idx, old,
                           hak_word_of(hak_word_taken(old) & ~run, hak_word_pool(old))));
    if (left != 0) {
        hak_map_set(HAK_MAP_DIRTY, segment_idx);
    }
}

/* The part of a range of pages that lies in one segment. */
struct slice {
    size_t segment_idx;
    size_t first, count;
};

static struct slice slice_first(size_t page_idx, size_t count)
{
    struct slice part = {page_idx / HAK_SEGMENT_PAGES, page_idx % HAK_SEGMENT_PAGES, 0};
    part.count = hak_min(count, HAK_SEGMENT_PAGES - part.first);
    return part;
}

void hak_pages_release(size_t page_idx, size_t count, bool dirty)
{
    for (struct slice part; count > 0; page_idx += part.count, count -= part.count) {
        part = slice_first(page_idx, count);
        release_in_segment(part.segment_idx, run_mask(part.first, part.count), dirty);
    }
}

bool hak_pages_claim_at(size_t page_idx, size_t count)
{
    size_t at = page_idx;
    size_t end = page_idx + count;
    while (at < end) {
        struct slice part = slice_first(at, end - at);
        if (part.segment_idx >= hak_arena_end()) {
            break;
        }
        uint32_t run = run_mask(part.first, part.count);
        uint64_t old = hak_segment_word(part.segment_idx);
        bool fits = old != 0
                        ? hak_word_pool(old) == HAK_POOL_LARGE && (hak_word_taken(old) & run) == 0
                        : hak_segment_next(HAK_POOL_FREE, part.segment_idx) == part.segment_idx;
        if (!fits) {
            break; /* a segment that is not published yet has no bit in the map of free ones */
        }
        if (word_replace(part.segment_idx, old,
                         hak_word_of(hak_word_taken(old) | run, HAK_POOL_LARGE))) {
            slots_claimed(&hak_arena.segments[part.segment_idx], run);
            at += part.count;
        }
    }
    if (at == end) {
        return true;
    }
    hak_pages_release(page_idx, at - page_idx, false);
    return false;
}

/* The lowest run of free segments from `from` on, as the map shows them; HAK_NO_SEGMENT if there is
 * none. First fit: best fit was measured to take more than twice the faults, see design/. */
static size_t free_run_find(size_t segments, size_t align, size_t from)
{
    size_t base_segment = (uintptr_t)hak_arena.base >> HAK_SEGMENT_SHIFT;
    size_t start = hak_segment_next(HAK_POOL_FREE, from);
    while (start != HAK_NO_SEGMENT) {
        size_t aligned = hak_align_up(base_segment + start, align) - base_segment;
        size_t at = aligned;
        while (at < aligned + segments && hak_segment_next(HAK_POOL_FREE, at) == at) {
            at++;
        }
        if (at == aligned + segments) {
            return aligned;
        }
        start = hak_segment_next(HAK_POOL_FREE, at + 1);
    }
    return HAK_NO_SEGMENT;
}

static size_t claim_long_from_map(size_t count, size_t segments, size_t align)
{
    uint32_t hint = hak_hint_of(HAK_POOL_FREE, segments);
    size_t start = hint;
    while ((start = free_run_find(segments, align, start)) != HAK_NO_SEGMENT) {
        if (hak_pages_claim_at(start * HAK_SEGMENT_PAGES, count)) {
            hak_count(HAK_COUNT_FREE_CLAIMS);
            break;
        }
        start++;
    }
    if (align == 1) {
        hak_hint_raise(HAK_POOL_FREE, segments, hint,
                       start != HAK_NO_SEGMENT ? start : hak_arena_end());
    }
    return start;
}

size_t hak_pages_claim_long(size_t count, size_t align_segments)
{
    size_t segments = (count + HAK_SEGMENT_PAGES - 1) / HAK_SEGMENT_PAGES;
    size_t start = claim_long_from_map(count, segments, align_segments);
    if (start == HAK_NO_SEGMENT && hak_hint_forget(HAK_POOL_FREE, segments, false)) {
        start = claim_long_from_map(count, segments, align_segments);
    }
    while (start == HAK_NO_SEGMENT) {
        size_t skipped;
        size_t taken = hak_arena_take(segments, align_segments, &skipped);
        if (taken == HAK_NO_SEGMENT) {
            (void)hak_hint_forget(HAK_POOL_FREE, segments, true);
            start = claim_long_from_map(count, segments, align_segments);
            return start == HAK_NO_SEGMENT ? HAK_NO_PAGE : start * HAK_SEGMENT_PAGES;
        }
        segments_publish(taken - skipped, skipped + segments);
        /* Somebody else may be faster on one of them: then others. */
        if (hak_pages_claim_at(taken * HAK_SEGMENT_PAGES, count)) {
            start = taken;
        }
    }
    return start * HAK_SEGMENT_PAGES;
}

size_t hak_pages_dirty(size_t page_idx, size_t count)
{
    size_t dirty_count = 0;
    for (struct slice part; count > 0; page_idx += part.count, count -= part.count) {
        part = slice_first(page_idx, count);
        struct hak_segment *segment = &hak_arena.segments[part.segment_idx];
        /* relaxed: the caller holds the slots. */
        uint32_t dirty = atomic_load_explicit(&segment->dirty, memory_order_relaxed);
        dirty_count += (size_t)hak_popcount(dirty & run_mask(part.first, part.count));
    }
    return dirty_count;
}

static uint64_t slot_counts_now(void)
{
    /* relaxed: figures; who has counted a claim of its own sees it, and what was counted before. */
    return atomic_load_explicit(&slot_counts, memory_order_relaxed);
}

void hak_pages_uncount(size_t count)
{
    slots_count(0 - count, 0);
}

size_t hak_taken_bytes(void)
{
    return (uint32_t)slot_counts_now() * HAK_PAGE_BYTES;
}

size_t hak_dirty_bytes(void)
{
    return (slot_counts_now() >> DIRTY_SHIFT) * HAK_PAGE_BYTES;
}

size_t hak_memory_bytes(void)
{
    uint64_t counts = slot_counts_now();
    return ((uint32_t)counts + (counts >> DIRTY_SHIFT)) * HAK_PAGE_BYTES;
}

uint32_t hak_segment_taken(size_t segment_idx, enum hak_pool *pool)
{
    uint64_t word = hak_segment_word(segment_idx);
    *pool = hak_word_pool(word);
    return hak_word_taken(word);
}

/* Gives the memory of slots back that the caller has claimed; returns those that are zero now.
 * `lost`: the slots may be unmapped, nobody may have them any more. */
static uint32_t slots_purge(size_t segment_idx, uint32_t slots, bool *lost)
{
    struct hak_segment *segment = &hak_arena.segments[segment_idx];
    char *start = hak_region_page_start(segment_idx * HAK_SEGMENT_PAGES);
    /* relaxed: a moved range was released before we claimed it. */
    uint32_t moved = atomic_load_explicit(&segment->moved, memory_order_relaxed);
    if (hak_segment_backing(segment_idx) == HAK_BACKED_HUGETLB) {
        *lost = !hak_huge_release(segment_idx);
        return *lost ? 0 : slots;
    }
    if (moved != 0 && slots == ALL_SLOTS) {
        *lost = !hak_os_renew(start, HAK_SEGMENT_BYTES);
        hak_huge_forbid(segment_idx, segment_idx + 1);
        hak_segment_moved(segment_idx, *lost);
        return *lost ? 0 : slots;
    }
    uint32_t done = 0;
    for (uint32_t left = slots; left != 0;) {
        size_t first = (size_t)__builtin_ctz(left);
        uint32_t shifted = left >> first;
        size_t count = shifted == ALL_SLOTS ? HAK_SEGMENT_PAGES : (size_t)__builtin_ctz(~shifted);
        uint32_t run = run_mask(first, count);
        if (hak_os_purge(start + first * HAK_PAGE_BYTES, count * HAK_PAGE_BYTES)) {
            done |= run;
        }
        left &= ~run;
    }
    return done;
}

/* What is dirty and free now is aged from here on; the map's bit goes when there is nothing. The
 * bit is cleared first: a release that we do not see then sets it after us. */
static void segment_age(size_t segment_idx)
{
    struct hak_segment *segment = &hak_arena.segments[segment_idx];
    hak_map_clear(HAK_MAP_DIRTY, segment_idx);
    uint32_t taken = hak_word_taken(hak_segment_word(segment_idx));
    /* seq_cst: read after the bit was cleared and after the word. */
    uint32_t left = atomic_load_explicit(&segment->dirty, memory_order_seq_cst) & ~taken;
    /* relaxed: hints of the purge alone. */
    atomic_store_explicit(&segment->aged, left, memory_order_relaxed);
    if (left != 0) {
        hak_map_set(HAK_MAP_DIRTY, segment_idx);
    }
}

/* Of free dirty slots, those whose memory is to go back, by what backs the segment. */
static uint32_t slots_to_purge(size_t segment_idx, uint32_t slots, bool all_free,
                               enum hak_purge which)
{
    const struct hak_segment *segment = &hak_arena.segments[segment_idx];
    enum hak_backing backing = hak_segment_backing(segment_idx);
    bool trims = which == HAK_PURGE_TRIM;
    if (slots == 0 ||
        (backing == HAK_BACKED_HUGETLB && !(all_free && (trims || hak_huge_is_short()))) ||
        backing == HAK_BACKED_GIGANTIC || (backing == HAK_BACKED_THP && !(all_free || trims))) {
        return 0;
    }
    /* relaxed: a hint; at worst the mappings merge another time. */
    bool moved = atomic_load_explicit(&segment->moved, memory_order_relaxed) != 0;
    return all_free && (moved || backing != HAK_BACKED_SMALL) ? ALL_SLOTS : slots;
}

size_t hak_segment_purge(size_t segment_idx, enum hak_purge which)
{
    struct hak_segment *segment = &hak_arena.segments[segment_idx];
    uint64_t old = hak_segment_word(segment_idx);
    /* relaxed: bits of free slots; the claim below makes them ours. */
    uint32_t slots = atomic_load_explicit(&segment->dirty, memory_order_relaxed);
    if (which == HAK_PURGE_AGED) {
        /* relaxed: written by this function only, a hint. */
        slots &= atomic_load_explicit(&segment->aged, memory_order_relaxed);
    }
    slots &= ~hak_word_taken(old);
    size_t purged = 0;
    uint32_t wanted = slots;
    slots = slots_to_purge(segment_idx, slots, hak_word_taken(old) == 0, which);
    if (slots != 0) {
        enum hak_pool pool = old == 0 ? HAK_POOL_LARGE : hak_word_pool(old);
        if (!word_replace(segment_idx, old, hak_word_of(hak_word_taken(old) | slots, pool))) {
            return 0; /* in use right now: another time */
        }
        slots_claimed(segment, slots);
        bool lost = false;
        uint32_t clean = slots_purge(segment_idx, slots, &lost);
        if (lost) {
            return 0;
        }
        /* relaxed: bits of slots that we hold; the release hands them over. */
        (void)atomic_fetch_and_explicit(&segment->dirty, ~clean, memory_order_relaxed);
        /* relaxed: the same. Nothing is known of what did not go back, even if it was clean. */
        (void)atomic_fetch_or_explicit(&segment->dirty, slots & ~clean, memory_order_relaxed);
        release_in_segment(segment_idx, slots, false);
        purged = (size_t)hak_popcount(wanted & clean) * HAK_PAGE_BYTES;
        hak_count_add(HAK_COUNT_PURGES, purged != 0);
        hak_count_add(HAK_COUNT_PURGED_BYTES, purged);
    }
    segment_age(segment_idx);
    return purged;
}

void hak_pages_clean(size_t page_idx, size_t count)
{
    for (struct slice part; count > 0; page_idx += part.count, count -= part.count) {
        part = slice_first(page_idx, count);
        struct hak_segment *segment = &hak_arena.segments[part.segment_idx];
        /* relaxed: bits of slots that the caller holds; the release hands them over. */
        (void)atomic_fetch_and_explicit(&segment->dirty, ~run_mask(part.first, part.count),
                                        memory_order_relaxed);
    }
}

static _Atomic(size_t) moved_segments; /* [any, atomic] segments marked as moved */

void hak_segment_moved(size_t segment_idx, bool moved)
{
    struct hak_segment *segment = &hak_arena.segments[segment_idx];
    /* relaxed: a mark on memory that the caller holds, and a figure that bounds mappings. */
    uint32_t old = atomic_exchange_explicit(&segment->moved, moved, memory_order_relaxed);
    if (old != (uint32_t)moved) {
        /* relaxed: see above; unsigned wrap-around subtracts. */
        (void)atomic_fetch_add_explicit(&moved_segments, moved ? 1 : SIZE_MAX,
                                        memory_order_relaxed);
    }
}

size_t hak_pages_moved(size_t page_idx, size_t count)
{
    size_t marked = 0;
    size_t last = (page_idx + count - 1) / HAK_SEGMENT_PAGES;
    for (size_t i = page_idx / HAK_SEGMENT_PAGES; i <= last; i++) {
        /* relaxed: a mark on memory that the caller holds. */
        marked += atomic_load_explicit(&hak_arena.segments[i].moved, memory_order_relaxed) != 0;
    }
    return marked;
}

size_t hak_segments_moved(void)
{
    /* relaxed: a figure that bounds mappings. */
    return atomic_load_explicit(&moved_segments, memory_order_relaxed);
}

bool hak_segment_is_valid(void)
{
    size_t end = hak_arena_end();
    for (size_t i = 0; i < end; i++) {
        uint64_t word = hak_segment_word(i);
        if ((hak_word_taken(word) == 0) != (hak_word_pool(word) == HAK_POOL_FREE) ||
            hak_word_pool(word) >= HAK_POOL_COUNT) {
            return false;
        }
        if (hak_word_taken(word) != ALL_SLOTS &&
            hak_segment_next((unsigned)hak_word_pool(word), i) != i) {
            return false;
        }
    }
    return true;
}
