/*
 * twice: a flush also looks at what it leaves in the magazine.
 *
 * Purpose   a page finds a block that was freed twice when both copies have come back to it. A
 *           flush gives it the older half of a magazine only; so the free bits of the other half
 *           are set as long as that takes, and a block that is there twice, or in its page
 *           already, is met. The heap's own pages alone: nobody else's `free` may be read.
 * Threads   the owner's alone, in a slow path.
 */
#ifndef HAK_TWICE_H
#define HAK_TWICE_H

#include "front/heap.h"

/* Sets the free bits of what stays in the bin when its `count` oldest blocks have gone; returns how
 * many marks that made. Stops the process at a block that is free, or that is none. Until the bits
 * are cleared, no slot may be taken from a page of the bin; pages do not count them as free. */
size_t hak_twice_mark(struct hak_heap *heap, size_t bin_idx, size_t count);

/* Clears the bits again. */
void hak_twice_unmark(struct hak_heap *heap, size_t marks);

#endif
