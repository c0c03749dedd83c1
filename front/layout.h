/*
 * layout: what a block carries beside the user's bytes. Here: nothing.
 *
 * Purpose   the one header that the header mode replaces through the include path (compat/).
 * Threads   inline parts of the fast paths; each works on the calling thread's heap.
 */
#ifndef HAK_LAYOUT_H
#define HAK_LAYOUT_H

#include "front/find.h"

/* Bytes of a slot that are not the user's. */
#define HAK_LAYOUT_BYTES ((size_t)0)

/* Whether free finds the bin by the tag alone, and so the one below the heap if there is one. */
#define HAK_LAYOUT_PROFILES true

/* What it means that a magazine's block lies in no page of the bin. */
#define HAK_LAYOUT_MISPLACED "hakmem: free of a block that is already free"

/* Bytes of a page that stay unused in front of its first slot. */
#define HAK_LAYOUT_FIRST_BYTES(slot_bytes) (0 * (slot_bytes))

/* Finds the bin that serves a block of this heap. False: another owner, a large block, not ours. */
static inline bool hak_layout_find(struct hak_heap *heap, const void *block, struct hak_bin **bin)
{
    return hak_find_by_tag(heap, block, bin);
}

/* Marks a block on its way out: any; one of at most HAK_SMALL_MAX. */
static inline void hak_layout_mark(void *block, const struct hak_bin *bin)
{
    (void)block;
    (void)bin;
}

static inline void hak_layout_mark_small(void *block, const struct hak_bin *bin)
{
    (void)block;
    (void)bin;
}

/* Stops the process if a block of a page, on a slow path, has lost its mark. */
static inline void hak_layout_check(const void *block)
{
    (void)block;
}

#endif
