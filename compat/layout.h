/*
 * layout of the header mode: one byte in front of each block, as hakmem had it up to Phase 12.
 *
 * Purpose   the one header that takes the place of front/layout.h in libhakmem-header, so that
 *           header and header-less are one source but for these lines.
 *           The byte is the last one of the slot before: 0x9f + bin, so 0xa0 to 0xff. Any other
 *           value, zero and ASCII among them, is no header. malloc writes the byte; free reads the
 *           bin from it, and neither tag nor owner: a block of another heap goes into this heap's
 *           magazine and home when that is flushed.
 *           The byte before a multiple of 64 KiB is another page's. So pages of small bins leave
 *           their first slot unused, and what starts at such a multiple (large blocks, the first
 *           block of a Mid span) takes the way over the tag, as without headers.
 *           A slot's user has one byte less of it.
 * Errors    a byte that is no header: the process is stopped on the slow path. A header of another
 *           bin is found when the magazine is flushed, not before: a byte says no more.
 * Threads   inline parts of the fast paths; each works on the calling thread's heap.
 */
#ifndef HAK_COMPAT_LAYOUT_H
#define HAK_COMPAT_LAYOUT_H

#include "front/heap.h"

/* Bytes of a slot that are not the user's. */
#define HAK_LAYOUT_BYTES ((size_t)1)

/* What it means that a magazine's block lies in no page of the bin. */
#define HAK_LAYOUT_MISPLACED                                                                       \
    "hakmem: free of a block that is already free, or whose header was overwritten"

/* Bytes of a page that stay unused in front of its first slot. */
#define HAK_LAYOUT_FIRST_BYTES(slot_bytes) ((slot_bytes) <= HAK_SMALL_MAX ? (slot_bytes) : 0)

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

/* Finds the bin that serves a block. False: a large block, no header, or not ours; and, without a
 * header, another owner. */
static inline bool hak_layout_find(struct hak_heap *heap, const void *block, struct hak_bin **bin)
{
    size_t page_idx = ((uintptr_t)block - heap->arena_base) >> HAK_PAGE_SHIFT;
    if (HAK_UNLIKELY(page_idx >= heap->arena_pages)) {
        return false;
    }
    if (HAK_UNLIKELY(hak_header_is_none(block))) {
        /* relaxed: who frees a block got it after its page's tag was set. */
        uintptr_t tag = atomic_load_explicit(&heap->tags[page_idx], memory_order_relaxed);
        *bin = (struct hak_bin *)tag;
        return (tag ^ (uintptr_t)heap) < sizeof heap->bins;
    }
    uint8_t header = hak_header_of(block);
    *bin = heap->bins + (header - HAK_HEADER_BASE);
    return HAK_LIKELY(header >= HAK_HEADER_MIN);
}

/* Marks a block on its way out: any; one of at most HAK_SMALL_MAX. */
static inline void hak_layout_mark_small(void *block, const struct hak_bin *bin)
{
    uintptr_t bin_idx = (uintptr_t)bin % HAK_HEAP_ALIGN / sizeof *bin;
    ((uint8_t *)block)[-1] = (uint8_t)(HAK_HEADER_BASE + bin_idx);
}

static inline void hak_layout_mark(void *block, const struct hak_bin *bin)
{
    if (!hak_header_is_none(block)) {
        hak_layout_mark_small(block, bin);
    }
}

/* Stops the process if a block of a page, on a slow path, has lost its mark. */
static inline void hak_layout_check(const void *block)
{
    HAK_CHECK(hak_header_is_none(block) || hak_header_of(block) >= HAK_HEADER_MIN ||
                  hak_page_slot(hak_page_of(block), block) < 0,
              "hakmem: the header of a block was overwritten");
}

#endif
