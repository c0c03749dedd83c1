/*
 * tag: which bin a page's tag names.
 *
 * Purpose   a tag is the address of a bin of the heap that owns the page. In a profiled process
 *           each heap has a second set of bins right below it, and pages are tagged with those:
 *           frees go to them, and mallocs take from the bins of the heap; see front/profile/prof.h.
 * Threads   any; these read tags and constants.
 */
#ifndef HAK_TAG_H
#define HAK_TAG_H

#include "front/heap.h"

/* [const after start] Bins below each heap: HAK_BINS in a profiled process, else 0. */
extern HAK_HIDDEN size_t hak_bins_below;

static inline uintptr_t hak_heap_tag(const struct hak_heap *heap, size_t bin_idx)
{
    return (uintptr_t)heap + (bin_idx - hak_bins_below) * sizeof(struct hak_bin);
}

/* Blocks in the magazine of a bin. [owner] */
static inline size_t hak_heap_cached(const struct hak_heap *heap, size_t bin_idx)
{
    const struct hak_bin *bin = &heap->bins[bin_idx];
    return hak_bin_count(bin) + (hak_bins_below == 0 ? 0 : hak_bin_count(bin - hak_bins_below));
}

/* The i-th of them, the oldest first. */
static inline const void *hak_heap_cached_at(const struct hak_heap *heap, size_t bin_idx, size_t i)
{
    const struct hak_bin *bin = &heap->bins[bin_idx];
    size_t count = hak_bin_count(bin);
    return i < count ? hak_bin_at(bin, i) : hak_bin_at(bin - hak_bins_below, i - count);
}

/* The number of a bin of the heap, or of one below it. */
static inline size_t hak_heap_bin_idx(const struct hak_heap *heap, const struct hak_bin *bin)
{
    return ((uintptr_t)bin - hak_heap_tag(heap, 0)) / sizeof *bin % HAK_BINS;
}

/* Whether a tag names a bin of the heap: as hak_find_by_tag() finds out. */
static inline bool hak_heap_has_tag(const struct hak_heap *heap, uintptr_t tag)
{
    return (tag ^ (uintptr_t)heap) < sizeof heap->bins;
}

/* The bin's number, of a tag. A heap lies at a multiple of HAK_HEAP_ALIGN; with bins below it, so
 * does what comes after its bin 0. */
static inline size_t hak_tag_bin(uintptr_t tag)
{
    size_t before = hak_bins_below + (hak_bins_below != 0);
    return (tag + before * sizeof(struct hak_bin)) % HAK_HEAP_ALIGN / sizeof(struct hak_bin);
}

#endif
