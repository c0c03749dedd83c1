/*
 * region: storage and changes of the page tag table; look-ups are inline in the header.
 */
#include "region/region.h"

struct hak_region hak_region;

void hak_region_init(uintptr_t base, _Atomic(uintptr_t) *tags, size_t max_pages)
{
    hak_region.base = base;
    hak_region.tags = tags;
    hak_region.max_pages = max_pages;
    /* relaxed: called once, before a second thread can know of the table. */
    atomic_store_explicit(&hak_region.pages, 0, memory_order_relaxed);
}

void hak_region_grow(size_t pages)
{
    hak_counter_raise(&hak_region.pages, pages);
}

void hak_region_set(size_t page_idx, size_t count, uintptr_t tag)
{
    for (size_t i = page_idx; i < page_idx + count; i++) {
        /* relaxed: the hand-over of a block orders the tag before its first look-up. */
        atomic_store_explicit(&hak_region.tags[i], tag, memory_order_relaxed);
    }
}

bool hak_region_clear_large(size_t page_idx)
{
    uintptr_t expected = HAK_TAG_LARGE;
    /* acq_rel: one thread wins the block; its writes precede the next owner's claim. */
    return atomic_compare_exchange_strong_explicit(&hak_region.tags[page_idx], &expected,
                                                   HAK_TAG_NONE, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

bool hak_region_is_valid(void)
{
    size_t pages = hak_region_pages();
    if (pages > hak_region.max_pages) {
        return false;
    }
    for (size_t i = 0; i < pages; i++) {
        uintptr_t tag = hak_region_tag(i);
        if (tag >= HAK_TAG_BINS ? tag % sizeof(void *) != 0 : tag > HAK_TAG_LARGE) {
            return false;
        }
    }
    return true;
}
