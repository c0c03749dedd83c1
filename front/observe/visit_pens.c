/*
 * visit_pens: the live blocks of a hardened process, as pens and fences know them.
 *
 * Each block is looked at under its lock, and told of when that is dropped.
 */
#include "front/harden/pen.h"
#include "front/observe/visit.h"

/* A slot of a page that had this tag a moment ago: whether a block lives in it, and which. */
static bool slot_look(size_t page_idx, uintptr_t tag, size_t slot, struct hak_block *block)
{
    const struct hak_page *page = hak_page_at(page_idx);
    struct hak_pen *pen = &hak_pens[hak_pen_bin(tag)];
    hak_lock_take(&pen->lock);
    /* relaxed: the lock orders it. */
    bool live = hak_region_tag(page_idx) == tag &&
                atomic_load_explicit(&page->back, memory_order_relaxed) == 0 &&
                slot < page->slots && !hak_notes_of(page)->retired && hak_slot_is_live(page, slot);
    if (live) {
        block->address = hak_slot_start(page, slot);
        block->slot_bytes = page->slot_bytes;
        block->bytes = page->slot_bytes - hak_slot_slack(hak_notes_of(page), slot);
    }
    hak_lock_drop(&pen->lock);
    return live;
}

/* False: the visitor wants no more. */
static bool page_visit(struct hak_walk *walk, size_t page_idx, uintptr_t tag)
{
    const struct hak_geometry *geometry = &hak_classes[hak_pen_bin(tag)].geometry;
    for (size_t slot = 1; slot < geometry->slots; slot++) {
        struct hak_block block = {.tier = (enum hak_tier)geometry->pool};
        if (slot_look(page_idx, tag, slot, &block) && !hak_visit_tell(walk, block, NULL)) {
            return false;
        }
    }
    return true;
}

void hak_visit_pens(struct hak_walk *walk)
{
    for (size_t page_idx = 0; page_idx < hak_region_pages(); page_idx++) {
        uintptr_t tag = hak_region_tag(page_idx);
        struct hak_block block = {.tier = HAK_TIER_LARGE};
        /* relaxed: a hint that saves looking at each slot; slot_look() decides. */
        bool first = atomic_load_explicit(&hak_page_at(page_idx)->back, memory_order_relaxed) == 0;
        if (hak_slots_own(tag)
                ? first && !page_visit(walk, page_idx, tag)
                : tag == HAK_TAG_LARGE &&
                      hak_fence_look(page_idx, &block.address, &block.bytes, &block.slot_bytes) &&
                      !hak_visit_tell(walk, block, NULL)) {
            return;
        }
    }
}
