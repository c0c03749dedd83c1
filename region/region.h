/*
 * region: an address tells everything about its block.
 *
 * Purpose   the page tag table. The arena is cut into 2 MiB segments, and a segment's number,
 *           its RegionId, is (address - base) >> 21. Each segment has a row of 32 tags, one
 *           a 64 KiB page. A tag is the address of the bin that serves the page's blocks, and
 *           a heap is aligned so that the same word names the owner too:
 *
 *               page = (p - base) >> 16
 *               page >= pages             not ours
 *               tag = tags[page]
 *               tag ^ heap < bins_bytes   my block, and `tag` is its bin
 *
 *           A tag below HAK_TAG_BINS is no bin: nothing lives there, or a large block's head.
 * Owner     one table a process; the arena hands the storage over and it is never taken back.
 * Threads   look-ups from any thread. A row is written by whoever claimed its pages, before
 *           any block of them is handed out; so whoever holds a block sees its tag.
 */
#ifndef HAK_REGION_H
#define HAK_REGION_H

#include <stdatomic.h>

#include "hak_base.h"

#define HAK_PAGE_SHIFT 16
#define HAK_PAGE_BYTES ((size_t)1 << HAK_PAGE_SHIFT)
#define HAK_SEGMENT_SHIFT 21
#define HAK_SEGMENT_BYTES ((size_t)1 << HAK_SEGMENT_SHIFT)
#define HAK_SEGMENT_PAGES (HAK_SEGMENT_BYTES / HAK_PAGE_BYTES)

enum {
    HAK_TAG_NONE = 0,    /* no block starts in this page */
    HAK_TAG_LARGE = 1,   /* a large block starts at the page's first byte */
    HAK_TAG_BINS = 4096, /* tags from here on are addresses of bins */
};

struct hak_region {
    uintptr_t base;           /* [const after init] address of page 0 */
    size_t max_pages;         /* [const after init] tags that the storage can hold */
    _Atomic(uintptr_t) *tags; /* [const after init] one a page */
    _Atomic(size_t) pages;    /* [any, atomic] pages below this have storage; only grows */
};

_Static_assert(HAK_SEGMENT_PAGES == 32, "a segment's row of tags matches its 32-bit slot mask");
_Static_assert(sizeof(_Atomic(uintptr_t)) == 8, "a row of 32 tags is four cache lines");

extern HAK_HIDDEN struct hak_region hak_region;

/* Takes over storage for `max_pages` tags, all zero as far as hak_region_grow() was called. */
void hak_region_init(uintptr_t base, _Atomic(uintptr_t) *tags, size_t max_pages);

/* Publishes that tags below `pages` have storage. Never shrinks; racing calls settle at the
 * largest. */
void hak_region_grow(size_t pages);

/* Sets the tags of `count` pages that the caller has claimed. Registering a whole segment is
 * one row: hak_region_set(id * 32, 32, tag). */
void hak_region_set(size_t page_idx, size_t count, uintptr_t tag);

/* Clears a large block's tag; false if another thread did so first (a double free). */
bool hak_region_clear_large(size_t page_idx);

/* Walks the table: every tag is none, large or an aligned address. At any time. */
bool hak_region_is_valid(void);

/* Page number of any address; garbage and foreign addresses give a number out of bounds. */
static inline size_t hak_region_page_idx(const void *address)
{
    return ((uintptr_t)address - hak_region.base) >> HAK_PAGE_SHIFT;
}

/* First byte of a page that lies in the arena. */
static inline char *hak_region_page_start(size_t page_idx)
{
    return (char *)(hak_region.base + (page_idx << HAK_PAGE_SHIFT));
}

/* Pages that have tags. */
static inline size_t hak_region_pages(void)
{
    /* acquire: pairs with hak_region_grow(); the tags below the bound are readable. */
    return atomic_load_explicit(&hak_region.pages, memory_order_acquire);
}

static inline uintptr_t hak_region_tag(size_t page_idx)
{
    /* relaxed: who holds a block got it from a thread that set the tag before. */
    return atomic_load_explicit(&hak_region.tags[page_idx], memory_order_relaxed);
}

/* Raises a counter that only grows, of what can be read or written already. */
static inline void hak_counter_raise(_Atomic(size_t) *counter, size_t value)
{
    /* relaxed: a starting value for the CAS. */
    size_t old = atomic_load_explicit(counter, memory_order_relaxed);
    while (old < value) {
        /* release: pairs with the acquire loads of the counter: whoever sees the new value sees
         * memory behind it. */
        if (atomic_compare_exchange_weak_explicit(counter, &old, value, memory_order_release,
                                                  memory_order_relaxed)) {
            return;
        }
    }
}

#endif
