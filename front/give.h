/*
 * give: blocks of a bin go back to their pages.
 *
 * Purpose   the loop of a flush. Blocks that follow each other often lie in one page, so that is
 *           asked first.
 * Owner     one heap.
 * Threads   the owner's alone, in a slow path.
 */
#ifndef HAK_GIVE_H
#define HAK_GIVE_H

#include "front/layout.h"

/* Whether a block in a bin lies in a page of that tag: the heap's for the bin. If not, another heap
 * has adopted the page; or it was never ours (the header mode); or it was closed, for all of it was
 * free. */
static inline bool hak_tag_has(uintptr_t tag, const void *block)
{
    return hak_region_tag(hak_region_page_idx(block)) == tag;
}

static inline struct hak_cut hak_bin_cut(size_t bin_idx)
{
    const struct hak_geometry *geometry = &hak_classes[bin_idx].geometry;
    uint64_t limit = (uint64_t)geometry->slots * (geometry->slot_bytes / 8);
    return (struct hak_cut){geometry->magic, limit, geometry->slot_bytes};
}

/* A page in which no block lies. It is read only. */
extern HAK_HIDDEN const struct hak_page hak_nowhere;
#define HAK_NOWHERE ((struct hak_page *)(uintptr_t)&hak_nowhere)

/* A block whose page is not this heap's, or none any more. */
static inline void hak_give_elsewhere(struct hak_heap *heap, size_t bin_idx, void *block)
{
    HAK_CHECK(hak_page_is_open(hak_page_of(block), bin_idx), HAK_LAYOUT_MISPLACED);
    if (hak_remote_free(heap, block)) {
        hak_remote_flush(heap); /* another heap's: adopted while this one was idle */
    }
}

/* Gives blocks back to their pages, or on the way to another heap's: how many those were. `runs`:
 * looks for runs. */
static HAK_INLINED size_t hak_give_blocks(struct hak_heap *heap, size_t bin_idx, void **blocks,
                                          void **end, bool runs)
{
    size_t others = 0;
    struct hak_cut cut = hak_bin_cut(bin_idx);
    uintptr_t tag = hak_heap_tag(heap, bin_idx);
    struct hak_page *page = HAK_NOWHERE;
    while (blocks != end) {
        uint64_t unit = hak_cut_unit(page, *blocks);
        if (unit >= cut.limit) {
            page = hak_page_of(*blocks);
            if (HAK_UNLIKELY(!hak_tag_has(tag, *blocks))) {
                page = HAK_NOWHERE;
                hak_give_elsewhere(heap, bin_idx, *blocks++);
                others++;
                continue;
            }
            unit = hak_cut_unit(page, *blocks);
            HAK_CHECK(unit < cut.limit, HAK_MESSAGE_INSIDE);
        }
        blocks += hak_page_give(page, cut, unit, blocks, end, runs);
        if (page->list != HAK_LIST_PARTIAL || hak_page_free_count(page) == page->slots) {
            hak_shelf_freed(heap, page);
            page = HAK_NOWHERE; /* it may be closed */
        }
    }
    return others;
}

#endif
