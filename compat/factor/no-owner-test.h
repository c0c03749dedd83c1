/*
 * Factor: the tag leads to the class, and the owner is not looked at. A block of another heap goes
 * into this heap's magazine, and home when that is flushed.
 * An experiment of design/0013; remove by 2027-06-30, when its answer is old.
 */
#ifndef HAK_FACTOR_H
#define HAK_FACTOR_H

#include "compat/switches.h"

static inline bool hak_find_without_owner(struct hak_heap *heap, const void *block,
                                          struct hak_bin **bin)
{
    size_t page_idx = ((uintptr_t)block - heap->arena_base) >> HAK_PAGE_SHIFT;
    if (HAK_UNLIKELY(page_idx >= heap->arena_pages)) {
        return false;
    }
    /* relaxed: who frees a block got it after its page's tag was set. */
    uintptr_t tag = atomic_load_explicit(&heap->tags[page_idx], memory_order_relaxed);
    *bin = (struct hak_bin *)((uintptr_t)heap + tag % HAK_HEAP_ALIGN);
    return HAK_LIKELY(tag >= HAK_TAG_BINS);
}

HAK_SWITCHED_LAYOUT(false, false, false, hak_find_without_owner);

#endif
