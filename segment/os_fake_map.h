/*
 * os_fake_map: where moves have split the mappings of the kernel for tests.
 *
 * Purpose   hak_os_move() may only be asked to move one mapping. A kernel takes the offset of a
 *           mapping along when it moves, so neighbours join only where their offsets follow each
 *           other: a page's shift is how far it came. A range is one mapping if its pages have the
 *           same shift. Renewed memory has none. What else splits mappings (access, huge pages) is
 *           not noted.
 * Owner     os_fake.c; the process.
 * Threads   a page's shift is written by whoever may move or renew it.
 */
#ifndef HAK_OS_FAKE_MAP_H
#define HAK_OS_FAKE_MAP_H

#include <stdatomic.h>

#include "hak_base.h"

#define HAK_FAKE_MAP_SHIFT 16 /* moves are of whole pages of 64 KiB */
/* Those of one reservation of 128 GiB; what lies beyond is not noted. */
#define HAK_FAKE_MAP_PAGES ((size_t)1 << 21)

static _Atomic(int32_t) hak_fake_shifts[HAK_FAKE_MAP_PAGES]; /* [who moves, atomic] in pages */

/* `base` is the start of the reservation, which is a multiple of 64 KiB. */
static inline size_t hak_fake_map_page(uintptr_t base, const void *start)
{
    return ((uintptr_t)start - base) >> HAK_FAKE_MAP_SHIFT;
}

static inline int32_t hak_fake_map_shift(size_t page)
{
    /* relaxed: the caller has the range to itself. */
    return page < HAK_FAKE_MAP_PAGES
               ? atomic_load_explicit(&hak_fake_shifts[page], memory_order_relaxed)
               : 0;
}

static inline void hak_fake_map_set(size_t page, int32_t shift)
{
    if (page < HAK_FAKE_MAP_PAGES) {
        /* relaxed: as above. */
        atomic_store_explicit(&hak_fake_shifts[page], shift, memory_order_relaxed);
    }
}

static inline bool hak_fake_map_is_one(uintptr_t base, const void *start, size_t bytes)
{
    size_t first = hak_fake_map_page(base, start);
    for (size_t i = 1; i < bytes >> HAK_FAKE_MAP_SHIFT; i++) {
        if (hak_fake_map_shift(first + i) != hak_fake_map_shift(first)) {
            return false;
        }
    }
    return true;
}

static inline void hak_fake_map_moved(uintptr_t base, const void *from, const void *to,
                                      size_t bytes)
{
    size_t old = hak_fake_map_page(base, from);
    size_t new = hak_fake_map_page(base, to);
    int32_t way = (int32_t)((int64_t) new - (int64_t)old);
    for (size_t i = 0; i < bytes >> HAK_FAKE_MAP_SHIFT; i++) {
        hak_fake_map_set(new + i, hak_fake_map_shift(old + i) + way);
    }
}

static inline void hak_fake_map_renewed(uintptr_t base, const void *start, size_t bytes)
{
    size_t first = hak_fake_map_page(base, start);
    for (size_t i = 0; i < bytes >> HAK_FAKE_MAP_SHIFT; i++) {
        hak_fake_map_set(first + i, 0);
    }
}

#endif
