/*
 * maps: how a claim finds a segment, for segment.c.
 *
 * Purpose   one bit a segment and map, and hints where a search may start. Both only hint: the
 *           segment's word decides.
 * Owner     the arena's tables; one a process.
 * Threads   any; no lock. Who clears a bit reads the segment's word after that and sets the bit
 * again if there is room: whoever made room may have seen it still set, and left it so.
 */
#ifndef HAK_MAPS_H
#define HAK_MAPS_H

#include "segment/segment.h"

/* ---- a segment's word: taken slots, and the pool ---- */

#define ALL_SLOTS UINT32_MAX

static inline uint64_t hak_word_of(uint32_t taken, enum hak_pool pool)
{
    return taken == 0 ? 0 : taken | (uint64_t)pool << 32;
}

static inline uint32_t hak_word_taken(uint64_t word)
{
    return (uint32_t)word;
}

static inline enum hak_pool hak_word_pool(uint64_t word)
{
    return (enum hak_pool)(word >> 32);
}

static inline uint64_t hak_segment_word(size_t segment_idx)
{
    /* seq_cst: a bit of a map is cleared first and the word read again after that; see
     * hak_map_clear(). */
    return atomic_load_explicit(&hak_arena.segments[segment_idx].word, memory_order_seq_cst);
}

/* ---- maps ---- */

/* Says that a map's segment has something, or (unless it has room) nothing. */
void hak_map_set(unsigned map, size_t segment_idx);
void hak_map_clear(unsigned map, size_t segment_idx);

/* Whether the segment belongs to the pool and has a free slot. */
bool hak_segment_has_room(size_t segment_idx, unsigned map);

/* The lowest segment from `from` on whose bits are set in both maps, or HAK_NO_SEGMENT. */
size_t hak_segment_next_of(unsigned map, unsigned with, size_t from);

/* ---- hints: no segment of the pool below has a run of `count` slots ---- */

/* Where a search for `count` slots in a row may start; of HAK_POOL_FREE, segments in a row. */
uint32_t hak_hint_of(enum hak_pool pool, size_t count);

/* There is room again at a segment. */
void hak_hints_lower(enum hak_pool pool, size_t segment_idx);

/* A search from `old`, as hak_hint_of() gave it, found nothing before `segment_idx`. */
void hak_hint_raise(enum hak_pool pool, size_t count, uint32_t old, size_t segment_idx);

/* Whether a search that has just failed should look everywhere: before the arena grows, every so
 * often; `now`, where it cannot. */
bool hak_hint_forget(enum hak_pool pool, size_t count, bool now);

#endif
