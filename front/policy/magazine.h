/*
 * magazine: how many blocks a bin may hold.
 *
 * Purpose   magazines grow with misses and shrink when idle, within what all of a heap may hold;
 *           or a policy says how large they are.
 * Threads   the owner of the heap, in its slow paths.
 */
#ifndef HAK_MAGAZINE_H
#define HAK_MAGAZINE_H

#include "front/profile/prof.h"

/* Gives the bin room for `capacity` blocks, not less than are in it. False: no memory. */
bool hak_magazine_replace(struct hak_heap *heap, size_t bin_idx, uint16_t capacity);

/* A miss: makes the magazine larger if it was missed often enough; true if it did. */
bool hak_magazine_grow(struct hak_heap *heap, size_t bin_idx, bool refill);

/* Brings the magazine in line with the heap's policy. */
void hak_magazine_rule(struct hak_heap *heap, size_t bin_idx);

/* Whether the heap's magazines may hold it if this one is changed to `capacity`. */
bool hak_magazine_fits(const struct hak_heap *heap, size_t bin_idx, size_t capacity);

/* Whether a refill is to get blocks, and a flush to give them back. In a profiled process mallocs
 * come to a refill even if enough is freed, and frees to a flush even if there is room: there, a
 * magazine is to be large, and not quite half full. The bin is joined. */
static inline bool hak_magazine_is_low(const struct hak_heap *heap, size_t bin_idx)
{
    return heap->bins[bin_idx].first == NULL ||
           (hak_prof_is_on() && hak_prof_is_low(heap, bin_idx));
}

static inline bool hak_magazine_is_high(const struct hak_heap *heap, size_t bin_idx)
{
    return hak_bin_is_full(&heap->bins[bin_idx]) ||
           (hak_prof_is_on() && hak_prof_is_high(heap, bin_idx));
}

/* How many blocks are wanted then, and how many can be spared. */
static inline size_t hak_magazine_wants(const struct hak_heap *heap, size_t bin_idx)
{
    return hak_prof_is_on() ? hak_prof_wants(heap, bin_idx)
                            : hak_max(heap->shelves[bin_idx].capacity / 2, 1);
}

static inline size_t hak_magazine_spares(const struct hak_heap *heap, size_t bin_idx)
{
    size_t count = hak_bin_count(&heap->bins[bin_idx]);
    return hak_prof_is_on() ? hak_prof_spares(heap, bin_idx) : (count + 1) / 2;
}

#endif
