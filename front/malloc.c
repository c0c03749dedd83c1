/*
 * malloc: the fast paths. Start reading here.
 *
 *   malloc   size → bin → its first block                  front/malloc.c   hak_malloc
 *              empty  → blocks of a page's bitmap          front/refill.c   hak_heap_refill
 *              no page → a page of a segment               front/shelf.c    hak_shelf_page
 *                                                          segment/segment.c hak_pages_claim
 *              above 64 KiB → pages of their own           segment/large.c  hak_large_alloc
 *   free     address → tag → bin → its magazine            front/malloc.c   hak_free
 *              full   → the older half to its pages        front/refill.c   hak_heap_flush
 *              other owner → a buffer, then his bitmap     front/remote.c   hak_remote_free
 *              large  → the pages go back                  segment/large.c  hak_large_free
 *
 * Synchronisation: a heap is its thread's alone, so neither path synchronises. A thread's first
 * heap is a constant one with empty bins and no pages: no path asks whether it is initialised.
 * What stands in a magazine is neither read nor written.
 * Threads of a hardened process keep that first heap: every call leaves for front/harden/.
 */
#include <stdint.h>

#include "front/harden/harden.h"
#include "front/layout.h"
#include "front/observe/guard.h"
#include "front/profile/prof.h"
#include "front/take.h"
#include "hakmem.h"
#include "segment/large.h"

static HAK_NOINLINE void *malloc_refill(size_t bin_idx)
{
    void *block = hak_prof_retake(bin_idx);
    struct hak_heap *heap = block == NULL ? hak_heap_enter() : NULL;
    if (heap != NULL) {
        block = hak_heap_refill(heap, bin_idx);
        if (HAK_LIKELY(block != NULL)) {
            hak_layout_mark(block, &heap->bins[bin_idx]);
            hak_prof_note(heap, block, __builtin_frame_address(0));
        }
        hak_heap_leave(heap);
    }
    return HAK_LIKELY(block != NULL) ? block : hak_take_nothing();
}

HAK_NOINLINE void *hak_take_large(size_t size, size_t alignment)
{
    struct hak_heap *heap = hak_heap_enter();
    void *block = NULL;
    if (heap != NULL) {
        block = hak_heap_large(heap, size, alignment);
        hak_prof_note_large(heap, block, __builtin_frame_address(0));
        hak_heap_leave(heap);
    }
    return HAK_LIKELY(block != NULL) ? block : hak_take_nothing();
}

/* A small bin is empty; also the way of size zero. */
static HAK_NOINLINE void *malloc_small_slow(size_t size)
{
    return hak_harden_is_on() ? hak_harden_take(size, HAK_GRAIN)
                              : malloc_refill(hak_class_bin(hak_max(size + HAK_LAYOUT_BYTES, 1)));
}

void *hak_take_bin(size_t bin_idx)
{
    struct hak_bin *bin = &hak_heap_self->bins[bin_idx];
    void *block = bin->first;
    if (HAK_UNLIKELY(block == NULL)) {
        return malloc_refill(bin_idx);
    }
    hak_bin_pop(bin);
    hak_layout_mark(block, bin);
    return block;
}

static HAK_NOINLINE void *malloc_medium(size_t size)
{
    if (hak_harden_is_on()) { /* or not started, and then the table is empty */
        return hak_harden_take(size, HAK_GRAIN);
    }
    if (HAK_UNLIKELY(size > HAK_MEDIUM_MAX - HAK_LAYOUT_BYTES)) {
        return hak_take_large(size, HAK_PAGE_BYTES);
    }
    return hak_take_bin(hak_medium_bins[(size + HAK_LAYOUT_BYTES - 1) >> HAK_MEDIUM_SHIFT]);
}

void *hak_malloc(size_t size)
{
    if (HAK_UNLIKELY(size > HAK_SMALL_MAX - HAK_LAYOUT_BYTES)) {
        return malloc_medium(size); /* by table, or large */
    }
    size_t slot_bytes = (size + HAK_LAYOUT_BYTES + HAK_GRAIN - 1) & ~(HAK_GRAIN - 1);
    char *bins = (char *)hak_heap_self;
    struct hak_bin *bin = (struct hak_bin *)(void *)(bins + slot_bytes * 2);
    void *block = bin->first;
    HAK_TO_RETURN(block);
    if (HAK_UNLIKELY(block == NULL)) {
        return malloc_small_slow(size); /* the bin is empty */
    }
    hak_bin_pop(bin);
    hak_layout_mark_small(block, bin);
    return block;
}

/* A block of a bin: this heap's whose magazine is full, or another heap's. */
static HAK_NOINLINE void free_slot(void *block)
{
    struct hak_heap *heap = hak_heap_has_ended() ? NULL : hak_heap_enter();
    struct hak_bin *bin;
    if (HAK_UNLIKELY(heap == NULL)) {
        hak_remote_free_now(block); /* a thread at its end, or no memory for its first heap */
        return;
    }
    if (hak_layout_find(heap, block, &bin)) {
        if (hak_bin_is_full(bin)) {
            hak_heap_make_room(heap, hak_heap_bin_idx(heap, bin));
        }
        hak_bin_push(bin, block);
    } else if (hak_remote_free(heap, block)) {
        hak_remote_flush(heap);
    }
    hak_heap_leave(heap);
}

/* Not a block of this heap with room in its bin: find out what it is. */
static HAK_NOINLINE void free_slow(void *block)
{
    if (block == NULL) {
        hak_heap_freed_null();
        return;
    }
    if (hak_harden_frees(block)) {
        return;
    }
    size_t page_idx = hak_region_page_idx(block);
    if (page_idx >= hak_region_pages()) {
        hak_guard_foreign(block);
        return;
    }
    uintptr_t tag = hak_region_tag(page_idx);
    struct hak_heap *heap = hak_heap_self;
    if (tag < HAK_TAG_BINS) {
        hak_prof_lift(block);
        hak_large_free(block);
        hak_heap_poll();
        return;
    }
    hak_layout_check(block);
    if (hak_heap_has_tag(heap, tag) || !hak_heap_is_real(heap)) {
        free_slot(block);
    } else if (HAK_UNLIKELY(hak_remote_free(heap, block))) {
        heap = hak_heap_enter(); /* in the child of a fork perhaps another one */
        if (heap != NULL) {
            hak_remote_flush(heap);
            hak_heap_leave(heap);
        }
    }
}

void hak_free(void *block)
{
    struct hak_heap *heap = hak_heap_self;
    struct hak_bin *bin;
    if (HAK_UNLIKELY(!hak_layout_find(heap, block, &bin))) {
        free_slow(block); /* other owner, large, foreign or NULL */
        return;
    }
    if (HAK_UNLIKELY(hak_bin_is_full(bin))) {
        free_slow(block); /* the magazine is full */
        return;
    }
    hak_bin_push(bin, block);
}
