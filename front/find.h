/*
 * find: the bin that serves a block, by its page's tag.
 *
 * Threads   inline, on the calling thread's heap.
 */
#ifndef HAK_FIND_H
#define HAK_FIND_H

#include "front/tag.h"

/* False: another owner, a large block, not ours. */
static inline bool hak_find_by_tag(struct hak_heap *heap, const void *block, struct hak_bin **bin)
{
    size_t page_idx = ((uintptr_t)block - heap->arena_base) >> HAK_PAGE_SHIFT;
    if (HAK_UNLIKELY(page_idx >= heap->arena_pages)) {
        return false;
    }
    /* relaxed: who frees a block got it after its page's tag was set. */
    uintptr_t tag = atomic_load_explicit(&heap->tags[page_idx], memory_order_relaxed);
    *bin = (struct hak_bin *)tag;
    return HAK_LIKELY((tag ^ (uintptr_t)heap) < sizeof heap->bins);
}

#endif
