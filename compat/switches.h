/*
 * switches: front/layout.h with each part of a header switched by itself.
 *
 * Purpose   the header mode and the single-factor variants are one source, so that each factor's
 *           cost is the difference of two builds.
 * Errors    where a header is written, one that was overwritten stops the process on the slow path.
 *           A header of another bin is found when the magazine is flushed, not before: a byte says
 *           no more.
 * Threads   inline parts of the fast paths; each works on the calling thread's heap.
 */
#ifndef HAK_SWITCHES_H
#define HAK_SWITCHES_H

#include "compat/header.h"

/* Bytes of a slot that are not the user's. */
#define HAK_LAYOUT_BYTES ((size_t)HAK_SWITCH_SPACE)

/* A header names the bin that malloc took from: there is no other for free. */
#define HAK_LAYOUT_PROFILES false

/* What it means that a magazine's block lies in no page of the bin. */
#define HAK_LAYOUT_MISPLACED                                                                       \
    "hakmem: free of a block that is already free, or whose header was overwritten"

/* Bytes of a page that stay unused in front of its first slot. */
#define HAK_LAYOUT_FIRST_BYTES(slot_bytes)                                                         \
    (HAK_SWITCH_SPACE != 0 && (slot_bytes) <= HAK_SMALL_MAX ? (slot_bytes) : 0)

/* The header is loaded, whatever the compiler thinks of it. */
static inline void hak_switch_read(const void *block)
{
    if (!hak_header_is_none(block)) {
        uint8_t header = hak_header_of(block);
        __asm__ volatile("" : : "r"(header));
    }
}

static inline void hak_switch_check(const void *block)
{
    HAK_CHECK(hak_header_is_none(block) || hak_header_of(block) >= HAK_HEADER_MIN ||
                  hak_page_slot(hak_page_of(block), block) < 0,
              "hakmem: the header of a block was overwritten");
}

/*
 * The layout in which
 *   space   slots have a byte less for the user
 *   writes  malloc writes the header
 *   reads   free reads it and makes nothing of it
 *   find    is how free finds the bin
 */
#define HAK_SWITCHED_LAYOUT(space, writes, reads, find)                                            \
    enum { HAK_SWITCH_SPACE = (space) };                                                           \
    static inline bool hak_layout_find(struct hak_heap *heap, const void *block,                   \
                                       struct hak_bin **bin)                                       \
    {                                                                                              \
        bool found = find(heap, block, bin);                                                       \
        if ((reads) && HAK_LIKELY(found)) {                                                        \
            hak_switch_read(block);                                                                \
        }                                                                                          \
        return found;                                                                              \
    }                                                                                              \
    static inline void hak_layout_mark_small(void *block, const struct hak_bin *bin)               \
    {                                                                                              \
        if (writes) {                                                                              \
            hak_header_write(block, bin);                                                          \
        }                                                                                          \
    }                                                                                              \
    static inline void hak_layout_mark(void *block, const struct hak_bin *bin)                     \
    {                                                                                              \
        if (!hak_header_is_none(block)) {                                                          \
            hak_layout_mark_small(block, bin);                                                     \
        }                                                                                          \
    }                                                                                              \
    static inline void hak_layout_check(const void *block)                                         \
    {                                                                                              \
        if (writes) {                                                                              \
            hak_switch_check(block);                                                               \
        }                                                                                          \
    }                                                                                              \
    _Static_assert(true, "a semicolon follows")

#endif
