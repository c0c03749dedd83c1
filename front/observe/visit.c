/*
 * visit: every live block.
 *
 *   hak_heap_visit → heap_visit   of each heap: heap_hold, heap_note, let go, notes_tell; again
 *                                 until all its pages were noted
 *                  → large_visit  of each large block
 */
#include "front/observe/visit.h"

#include "front/harden/harden.h"
#include "front/layout.h"
#include "segment/os.h"

_Static_assert((int)HAK_TIER_TINY == (int)HAK_POOL_TINY &&
                   (int)HAK_TIER_SMALLMID == (int)HAK_POOL_SMALLMID &&
                   (int)HAK_TIER_MID == (int)HAK_POOL_MID &&
                   (int)HAK_TIER_LARGE == (int)HAK_POOL_LARGE,
               "a tier is a pool");

/* The notes of one hold: one record of the largest size. */
#define NOTE_BYTES (128 * HAK_KIB)
#define NOTE_WORDS (NOTE_BYTES / sizeof(uint64_t))
#define BIN_BITS 8
/* How often a heap is asked for while its thread is in a slow path; each time some microseconds
 * later. */
#define HOLD_TRIES 200

_Static_assert(HAK_BINS <= 1 << BIN_BITS, "a bin's number fits beside the page's");

bool hak_visit_tell(struct hak_walk *walk, struct hak_block block, const struct hak_heap *heap)
{
    block.is_own = heap != NULL && heap == walk->self;
    block.owner = heap;
    if (walk->result != HAK_VISIT_STOPPED && walk->visit(&block, walk->context) != 0) {
        walk->result = HAK_VISIT_STOPPED;
    }
    return walk->result != HAK_VISIT_STOPPED;
}

/* ---- a page's live slots ---- */

/* What this thread has freed, and would hand out again, is not live: also of a page that another
 * heap adopted. */
static void magazine_strike(const struct hak_heap *self, const struct hak_page *page,
                            uint64_t *live)
{
    for (size_t i = 0; i < hak_heap_cached(self, page->bin_idx); i++) {
        int64_t slot = hak_page_slot(page, hak_heap_cached_at(self, page->bin_idx, i));
        if (slot >= 0) {
            live[slot / 64] &= ~((uint64_t)1 << slot % 64);
        }
    }
}

/* For a page whose heap is held, or the own one. */
static void page_note(struct hak_walk *walk, const struct hak_page *page)
{
    uint64_t *note = walk->notes + walk->noted_words;
    note[0] = (uint64_t)hak_page_idx(page) << BIN_BITS | page->bin_idx;
    for (size_t i = 0; i < page->words; i++) {
        /* acquire: what freers did with these blocks is over when they are not told of. */
        uint64_t remote = atomic_load_explicit(&page->remote[i], memory_order_acquire);
        note[1 + i] = ~(page->free[i] | remote); /* and beyond the last slot */
    }
    magazine_strike(walk->self, page, note + 1);
    walk->noted_words += 1 + page->words;
}

static bool notes_tell(struct hak_walk *walk, const struct hak_heap *heap)
{
    for (size_t at = 0; at < walk->noted_words;) {
        const uint64_t *note = walk->notes + at;
        const struct hak_geometry *geometry =
            &hak_classes[note[0] % (1 << BIN_BITS)].geometry; /* the page may be another by now */
        char *first = hak_region_page_start(note[0] >> BIN_BITS) + geometry->first_bytes;
        for (size_t slot = 0; slot < geometry->slots; slot++) {
            if ((note[1 + slot / 64] >> slot % 64 & 1) == 0) {
                continue;
            }
            struct hak_block block = {.address = first + slot * geometry->slot_bytes,
                                      .bytes = geometry->slot_bytes - HAK_LAYOUT_BYTES,
                                      .slot_bytes = geometry->slot_bytes,
                                      .tier = (enum hak_tier)geometry->pool};
            if (!hak_visit_tell(walk, block, heap)) {
                return false;
            }
        }
        at += 1 + geometry->words;
    }
    return true;
}

/* ---- a heap ---- */

/* Notes pages of a held heap from one on, as many as fit; returns where to go on. */
static size_t heap_note(struct hak_walk *walk, const struct hak_heap *heap, size_t page_idx)
{
    walk->noted_words = 0;
    for (; page_idx < hak_region_pages(); page_idx++) {
        uintptr_t tag = hak_region_tag(page_idx);
        const struct hak_page *page = hak_page_at(page_idx);
        size_t bin_idx = (tag - hak_heap_tag(heap, 0)) / sizeof(struct hak_bin);
        /* relaxed: constant while the heap that the tag names is held. */
        if (bin_idx >= HAK_BINS || atomic_load_explicit(&page->back, memory_order_relaxed) != 0 ||
            !hak_page_is_open(page, bin_idx) || !hak_page_is_owned(page, (uintptr_t)heap)) {
            continue; /* the last two in the child of a fork, of a heap that was closing a page */
        }
        if (walk->noted_words + 1 + page->words > NOTE_WORDS) {
            break;
        }
        page_note(walk, page);
    }
    return page_idx;
}

static uint32_t heap_state(const struct hak_heap *heap)
{
    /* acquire: a frozen heap is as the fork left it; else holding decides. */
    return atomic_load_explicit(&heap->state, memory_order_acquire);
}

/* Holds a heap of another thread. `let_go` undoes; NULL if there is nothing to undo. False: its
 * thread is in a slow path, again and again. */
static bool heap_hold(struct hak_heap *heap, void (**let_go)(struct hak_heap *))
{
    *let_go = NULL;
    for (unsigned i = 0; i < HOLD_TRIES; i++) {
        if (heap_state(heap) == HAK_HEAP_FROZEN) {
            return true;
        }
        if (hak_heap_hold_orphan(heap)) {
            *let_go = hak_heap_let_go_orphan;
            return true;
        }
        if (hak_heap_hold_idle(heap)) {
            *let_go = hak_heap_let_go_idle;
            return true;
        }
        hak_os_yield();
    }
    return false;
}

/* False: the visitor wants no more. */
static bool heap_visit(struct hak_walk *walk, struct hak_heap *heap)
{
    for (size_t page_idx = 0; page_idx < hak_region_pages();) {
        void (*let_go)(struct hak_heap *) = NULL;
        if (heap != walk->self && !heap_hold(heap, &let_go)) {
            walk->result = HAK_VISIT_PART;
            return true;
        }
        page_idx = heap_note(walk, heap, page_idx);
        if (let_go != NULL) {
            let_go(heap);
        }
        if (!notes_tell(walk, heap)) {
            return false;
        }
    }
    return true;
}

/* ---- large blocks ---- */

/* Whoever has the block may resize or free it meanwhile: then the size is one that it had. */
__attribute__((no_sanitize("thread"))) static size_t large_pages(size_t page_idx)
{
    return *(const volatile uint32_t *)&hak_page_at(page_idx)->span_pages;
}

static void large_visit(struct hak_walk *walk)
{
    for (size_t page_idx = 0; page_idx < hak_region_pages(); page_idx++) {
        if (hak_region_tag(page_idx) != HAK_TAG_LARGE) {
            continue;
        }
        size_t bytes = large_pages(page_idx) << HAK_PAGE_SHIFT;
        struct hak_block block = {.address = hak_region_page_start(page_idx),
                                  .bytes = bytes,
                                  .slot_bytes = bytes,
                                  .tier = HAK_TIER_LARGE};
        if (!hak_visit_tell(walk, block, NULL)) {
            return;
        }
    }
}

/* ---- all ---- */

static void heaps_visit(struct hak_walk *walk)
{
    hak_remote_flush(walk->self); /* what this thread freed of other heaps is free from here on */
    for (struct hak_heap *at = hak_heap_first(); at != NULL; at = at->next) {
        if (!heap_visit(walk, at)) {
            return;
        }
    }
    large_visit(walk);
}

enum hak_visit hak_heap_visit(hak_visitor *visit, void *context)
{
    struct hak_walk walk = {.visit = visit, .context = context, .result = HAK_VISIT_ALL};
    if (hak_harden_is_on()) {
        hak_visit_pens(&walk);
        return walk.result;
    }
    walk.self = hak_heap_enter();
    if (walk.self == NULL) {
        return HAK_VISIT_NO_MEMORY;
    }
    walk.notes = hak_meta_take(&walk.self->meta, NOTE_BYTES);
    if (walk.notes == NULL) {
        walk.result = HAK_VISIT_NO_MEMORY;
    } else {
        heaps_visit(&walk);
        hak_meta_give(&walk.self->meta, walk.notes, NOTE_BYTES);
    }
    hak_heap_leave(walk.self);
    return walk.result;
}
