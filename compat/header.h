/*
 * header: one byte in front of a block, from which free reads the bin.
 *
 * Purpose   the byte is the last one of the slot before: 0x9f + bin, so 0xa0 to 0xff. Any other
 *           value, zero and ASCII among them, is no header.
 *           The byte before a multiple of 64 KiB is another page's. So pages of small bins leave
 *           their first slot unused, and what starts at such a multiple (large blocks, the first
 *           block of a Mid span) has none: its bin is found by the tag, as without headers.
 * Threads   inline parts of the fast paths; each works on the calling thread's heap.
 */
#ifndef HAK_HEADER_H
#define HAK_HEADER_H

#include "front/find.h"

#define HAK_HEADER_BASE 0x9f
#define HAK_HEADER_MIN (HAK_HEADER_BASE + 1)

_Static_assert(HAK_HEADER_BASE + HAK_BINS - 1 <= UINT8_MAX, "every bin has a header");

static inline bool hak_header_is_none(const void *block)
{
    return (uintptr_t)block % HAK_PAGE_BYTES == 0;
}

static inline uint8_t hak_header_of(const void *block)
{
    return ((const uint8_t *)block)[-1];
}

static inline void hak_header_write(void *block, const struct hak_bin *bin)
{
    uintptr_t bin_idx = (uintptr_t)bin % HAK_HEAP_ALIGN / sizeof *bin;
    ((uint8_t *)block)[-1] = (uint8_t)(HAK_HEADER_BASE + bin_idx);
}

/* Neither tag nor owner is looked at: a block of another heap goes into this heap's magazine, and
 * home when that is flushed. False: a large block, no header, or not ours; and, of those without a
 * header, another owner. */
static inline bool hak_find_by_header(struct hak_heap *heap, const void *block,
                                      struct hak_bin **bin)
{
    size_t page_idx = ((uintptr_t)block - heap->arena_base) >> HAK_PAGE_SHIFT;
    if (HAK_UNLIKELY(page_idx >= heap->arena_pages)) {
        return false;
    }
    if (HAK_UNLIKELY(hak_header_is_none(block))) {
        return hak_find_by_tag(heap, block, bin);
    }
    uint8_t header = hak_header_of(block);
    *bin = heap->bins + (header - HAK_HEADER_BASE);
    return HAK_LIKELY(header >= HAK_HEADER_MIN);
}

#endif
