/*
 * maps: bitmaps and hints that lead to a segment with room.
 */
#include "segment/maps.h"

/* A search that ends with a new segment starts at the very front every so often: hints may miss. */
#define HINT_PATIENCE 16

/*
 * Where a search starts: no segment of the pool below this one has a run of that many slots. The
 * row of HAK_POOL_FREE counts free segments in a row instead. Hints: a release that races with a
 * search may be missed until the next one, or until HINT_PATIENCE is over.
 */
static _Atomic(uint32_t) hints[HAK_POOL_COUNT][HAK_SEGMENT_PAGES + 1]; /* [any, atomic] */
static _Atomic(uint32_t) growths; /* [any, atomic] searches that found nothing */

/* There is room again at a segment. */
void hak_hints_lower(enum hak_pool pool, size_t segment_idx)
{
    /* Free segments before this one may join it to a longer run. */
    uint32_t at = (uint32_t)segment_idx;
    if (pool == HAK_POOL_FREE) {
        at -= (uint32_t)hak_min(segment_idx, HAK_SEGMENT_PAGES);
    }
    for (size_t count = 1; count <= HAK_SEGMENT_PAGES; count++) {
        /* relaxed: hints. */
        uint32_t old = atomic_load_explicit(&hints[pool][count], memory_order_relaxed);
        while (old > at &&
               /* relaxed: hints. */
               !atomic_compare_exchange_weak_explicit(&hints[pool][count], &old, at,
                                                      memory_order_relaxed, memory_order_relaxed)) {
        }
    }
}

uint32_t hak_hint_of(enum hak_pool pool, size_t count)
{
    /* relaxed: a hint. */
    return atomic_load_explicit(&hints[pool][hak_min(count, HAK_SEGMENT_PAGES)],
                                memory_order_relaxed);
}

/* A search from `old` on found nothing before `segment_idx`. */
void hak_hint_raise(enum hak_pool pool, size_t count, uint32_t old, size_t segment_idx)
{
    if (count <= HAK_SEGMENT_PAGES && segment_idx > old) {
        /* relaxed: a hint; it stays if somebody lowered it meanwhile. */
        (void)atomic_compare_exchange_strong_explicit(&hints[pool][count], &old,
                                                      (uint32_t)segment_idx, memory_order_relaxed,
                                                      memory_order_relaxed);
    }
}

/* Whether the search that has just failed should look everywhere before the arena grows. */
bool hak_hint_forget(enum hak_pool pool, size_t count, bool now)
{
    /* relaxed: a counter that spreads the work. */
    uint32_t turn = atomic_fetch_add_explicit(&growths, 1, memory_order_relaxed);
    if (hak_hint_of(pool, count) == 0 || (!now && turn % HINT_PATIENCE != 0)) {
        return false;
    }
    /* relaxed: a hint. */
    atomic_store_explicit(&hints[pool][hak_min(count, HAK_SEGMENT_PAGES)], 0, memory_order_relaxed);
    return true;
}

static _Atomic(uint64_t) *map_word(unsigned map, size_t segment_idx)
{
    return &hak_arena.maps[segment_idx / HAK_GROUP_SEGMENTS].bits[map];
}

void hak_map_set(unsigned map, size_t segment_idx)
{
    uint64_t bit = (uint64_t)1 << (segment_idx % HAK_GROUP_SEGMENTS);
    _Atomic(uint64_t) *word = map_word(map, segment_idx);
    /* seq_cst: a reader that finds the bit clear after this has seen our segment word too. */
    if ((atomic_load_explicit(word, memory_order_seq_cst) & bit) == 0) {
        /* seq_cst: in one order with hak_map_clear() and the segment's word. */
        (void)atomic_fetch_or_explicit(word, bit, memory_order_seq_cst);
    }
}

bool hak_segment_has_room(size_t segment_idx, unsigned map)
{
    uint64_t word = hak_segment_word(segment_idx);
    return (unsigned)hak_word_pool(word) == map && hak_word_taken(word) != ALL_SLOTS;
}

/* Clears a hint, and sets it again if somebody made room meanwhile: he may have seen our bit still
 * set and so have left it to us. */
void hak_map_clear(unsigned map, size_t segment_idx)
{
    uint64_t bit = (uint64_t)1 << (segment_idx % HAK_GROUP_SEGMENTS);
    /* seq_cst: before the second look at the word, in one order with hak_map_set(). */
    (void)atomic_fetch_and_explicit(map_word(map, segment_idx), ~bit, memory_order_seq_cst);
    if (hak_segment_has_room(segment_idx, map)) {
        hak_map_set(map, segment_idx);
    }
}

/* The lowest segment from `from` on whose bits are set in both maps. */
size_t hak_segment_next_of(unsigned map, unsigned with, size_t from)
{
    size_t end = hak_arena_end();
    while (from < end) {
        /* seq_cst: see hak_map_set(); a hint, the segment's word decides. */
        uint64_t bits = atomic_load_explicit(map_word(map, from), memory_order_seq_cst);
        if (with != map) {
            /* relaxed: memory that is still there is a wish only. */
            bits &= atomic_load_explicit(map_word(with, from), memory_order_relaxed);
        }
        bits &= ~(uint64_t)0 << (from % HAK_GROUP_SEGMENTS);
        if (bits != 0) {
            size_t found = hak_align_down(from, HAK_GROUP_SEGMENTS) + (size_t)__builtin_ctzll(bits);
            return found < end ? found : HAK_NO_SEGMENT;
        }
        from = hak_align_down(from, HAK_GROUP_SEGMENTS) + HAK_GROUP_SEGMENTS;
    }
    return HAK_NO_SEGMENT;
}

size_t hak_segment_next(unsigned map, size_t from)
{
    return hak_segment_next_of(map, map, from);
}

size_t hak_segment_prev(unsigned map, size_t below)
{
    while (below > 0) {
        size_t start = hak_align_down(below - 1, HAK_GROUP_SEGMENTS);
        /* seq_cst: as in hak_segment_next(). */
        uint64_t bits = atomic_load_explicit(map_word(map, start), memory_order_seq_cst);
        bits &= ~(uint64_t)0 >> (HAK_GROUP_SEGMENTS - (below - start));
        if (bits != 0) {
            return start + 63 - (size_t)__builtin_clzll(bits);
        }
        below = start;
    }
    return HAK_NO_SEGMENT;
}
