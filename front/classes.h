/*
 * classes: which bin serves which size, and how the pages of a bin are cut.
 *
 * Purpose   bins 1 to 64 hold slots of 16, 32 ... 1024 bytes: the bin of a small size is the size
 *           in units of 16, found by arithmetic alone. Bins 65 to 96 hold 8 sizes a doubling from
 *           1152 bytes to 4 KiB and 4 from there to 64 KiB, found by one look-up. Bin 0 serves
 * nothing: a size of zero falls into it, finds it empty and takes the slow path. Tiers (Tiny,
 * Small-Mid, Mid) differ in pool and in pages a span only, so changing them costs the fast path
 * nothing. Owner     tables filled once at start. Threads   read only after that.
 */
#ifndef HAK_CLASSES_H
#define HAK_CLASSES_H

#include "segment/page.h"

#define HAK_GRAIN_SHIFT 4
#define HAK_GRAIN ((size_t)1 << HAK_GRAIN_SHIFT)
#define HAK_SMALL_MAX ((size_t)1024)
#define HAK_SMALL_BINS (HAK_SMALL_MAX / HAK_GRAIN)
#define HAK_MEDIUM_MAX ((size_t)64 * 1024)
#define HAK_MEDIUM_SHIFT 7 /* medium sizes differ by 128 bytes at least */
#define HAK_MEDIUM_BINS ((size_t)32)
#define HAK_BINS (1 + HAK_SMALL_BINS + HAK_MEDIUM_BINS)

struct hak_class {
    struct hak_geometry geometry;
    uint16_t first_capacity; /* blocks that a bin's first magazine holds; 2^k - 1 */
    uint16_t max_capacity;   /* that its largest holds; 2^k - 1 */
};

extern HAK_HIDDEN struct hak_class hak_classes[HAK_BINS];
extern HAK_HIDDEN uint8_t hak_medium_bins[HAK_MEDIUM_MAX >> HAK_MEDIUM_SHIFT];

/* Fills the tables. `tiny_max` is the largest size of the Tiny tier (256 or 1024); without
 * `smallmid` the sizes above it up to 4 KiB go to Tiny (to 1024) and Mid (from there). */
void hak_classes_init(size_t tiny_max, bool smallmid);

/* The bin of a size of slot, 1 to HAK_MEDIUM_MAX. */
static inline size_t hak_class_bin(size_t slot_bytes)
{
    return slot_bytes <= HAK_SMALL_MAX ? (slot_bytes + HAK_GRAIN - 1) >> HAK_GRAIN_SHIFT
                                       : hak_medium_bins[(slot_bytes - 1) >> HAK_MEDIUM_SHIFT];
}

/* The smallest bin whose slots are that large and lie at multiples of `alignment` (a power of two),
 * or 0 if there is none. Pages start at multiples of 64 KiB, so that holds if the size does. */
size_t hak_class_aligned_bin(size_t slot_bytes, size_t alignment);

#endif
