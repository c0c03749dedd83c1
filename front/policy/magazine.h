/*
 * magazine: how many blocks a bin may hold.
 *
 * Purpose   magazines grow with misses and shrink when idle, within what all of a heap may hold;
 *           or a policy says how large they are.
 * Threads   the owner of the heap, in its slow paths.
 */
#ifndef HAK_MAGAZINE_H
#define HAK_MAGAZINE_H

#include "front/heap.h"

/* Gives the bin room for `capacity` blocks, not less than are in it. False: no memory. */
bool hak_magazine_replace(struct hak_heap *heap, size_t bin_idx, uint16_t capacity);

/* A miss: makes the magazine larger if it was missed often enough; true if it did. */
bool hak_magazine_grow(struct hak_heap *heap, size_t bin_idx, bool refill);

/* Brings the magazine in line with the heap's policy. */
void hak_magazine_rule(struct hak_heap *heap, size_t bin_idx);

#endif
