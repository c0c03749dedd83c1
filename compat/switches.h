/*
 * switches: front/layout.h with each part of a header switched by itself.
 *
 * Purpose   the header mode and the single-factor variants are one source, so that each factor's
 *           cost is the difference of two builds. Whoever includes this says, by constants:
 *
 *               HAK_SWITCH_SPACE   slots have a byte less for the user
 *               HAK_SWITCH_WRITE   malloc writes the header
 *               HAK_SWITCH_READ    free reads it and makes nothing of it
 *               HAK_SWITCH_FIND    the function by which free finds the bin
 *
 * Errors    where a header is both written and made use of, one that was overwritten stops the
 *           process on the slow path. A header of another bin is found when the magazine is
 *           flushed, not before: a byte says no more.
 * Threads   inline parts of the fast paths; each works on the calling thread's heap.
 */
#ifndef HAK_SWITCHES_H
#define HAK_SWITCHES_H

#include "compat/header.h"

/* Bytes of a slot that are not the user's. */
#define HAK_LAYOUT_BYTES ((size_t)(HAK_SWITCH_SPACE))

/* What it means that a magazine's block lies in no page of the bin. */
#define HAK_LAYOUT_MISPLACED                                                                       \
    "hakmem: free of a block that is already free, or whose header was overwritten"

/* Bytes of a page that stay unused in front of its first slot. */
#define HAK_LAYOUT_FIRST_BYTES(slot_bytes)                                                         \
    ((HAK_SWITCH_SPACE) && (slot_bytes) <= HAK_SMALL_MAX ? (slot_bytes) : 0)

/* Finds the bin that serves a block; see the function that does. */
static inline bool hak_layout_find(struct hak_heap *heap, const void *block, struct hak_bin **bin)
{
    bool found = HAK_SWITCH_FIND(heap, block, bin);
    if (HAK_SWITCH_READ && HAK_LIKELY(found) && !hak_header_is_none(block)) {
        uint8_t header = hak_header_of(block);
        __asm__ volatile("" : : "r"(header)); /* it is loaded, whatever the compiler thinks */
    }
    return found;
}

/* Marks a block on its way out: any; one of at most HAK_SMALL_MAX. */
static inline void hak_layout_mark_small(void *block, const struct hak_bin *bin)
{
    if (HAK_SWITCH_WRITE) {
        hak_header_write(block, bin);
    }
}

static inline void hak_layout_mark(void *block, const struct hak_bin *bin)
{
    if (HAK_SWITCH_WRITE && !hak_header_is_none(block)) {
        hak_header_write(block, bin);
    }
}

/* Stops the process if a block of a page, on a slow path, has lost its header. */
static inline void hak_layout_check(const void *block)
{
    HAK_CHECK(!HAK_SWITCH_WRITE || hak_header_is_none(block) ||
                  hak_header_of(block) >= HAK_HEADER_MIN ||
                  hak_page_slot(hak_page_of(block), block) < 0,
              "hakmem: the header of a block was overwritten");
}

#endif
