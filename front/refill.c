/*
 * refill: blocks go from pages to magazines and back, by runs.
 */
#include "front/give.h"
#include "front/harden/twice.h"
#include "front/policy/learner.h"
#include "front/policy/magazine.h"
#include "hak_probe.h"
#include "segment/large.h"

/* A page with free slots; when memory is out, once more after everything spare was given back. */
static struct hak_page *page_find(struct hak_heap *heap, size_t bin_idx)
{
    struct hak_page *page = hak_shelf_page(heap, bin_idx);
    if (HAK_UNLIKELY(page == NULL)) {
        (void)hak_heap_trim();
        hak_heap_release_all(heap);
        page = hak_shelf_page(heap, bin_idx);
    }
    return page;
}

/* Pages that a refill takes blocks from at most: nearly full ones give a few each. */
#define REFILL_PAGES 4

/* Puts about `count` blocks into a bin, at least one. */
static bool bin_fill(struct hak_heap *heap, size_t bin_idx, size_t count)
{
    struct hak_bin *bin = &heap->bins[bin_idx];
    struct hak_page *page = page_find(heap, bin_idx);
    size_t left = count;
    for (size_t pages = 0; page != NULL && left > 0 && pages < REFILL_PAGES; pages++) {
        size_t take = hak_min(left, hak_page_free_count(page));
        hak_bin_take(bin, page, take);
        left -= take;
        page = left > 0 ? hak_shelf_current(heap, bin_idx) : NULL;
    }
    hak_tally_add(&heap->shelves[bin_idx].tally.refills, 1);
    hak_tally_add(&heap->shelves[bin_idx].tally.taken, count - left);
    return left < count;
}

/* Of a class whose route is LARGE. */
static void *large_take(struct hak_heap *heap, size_t bin_idx)
{
    size_t slot_bytes = hak_classes[bin_idx].geometry.slot_bytes;
    void *block = hak_large_alloc(slot_bytes, HAK_PAGE_BYTES);
    hak_learner_tell(bin_idx, (struct hak_learner_use){1, 1, 0, 1});
    if (HAK_UNLIKELY(block == NULL)) {
        /* Once more, after everything spare was given back. */
        (void)hak_heap_trim();
        hak_heap_release_all(heap);
        block = hak_large_alloc(slot_bytes, HAK_PAGE_BYTES);
    }
    return block;
}

void *hak_heap_refill(struct hak_heap *heap, size_t bin_idx)
{
    struct hak_bin *bin = &heap->bins[bin_idx];
    struct hak_shelf *shelf = &heap->shelves[bin_idx];
    hak_policy_look(heap);
    if (bin->first == NULL) {
        if (HAK_UNLIKELY(heap->policy->classes[bin_idx].route == HAK_ROUTE_LARGE)) {
            return large_take(heap, bin_idx);
        }
        (void)hak_magazine_grow(heap, bin_idx, true);
        if (shelf->capacity == 0 || !bin_fill(heap, bin_idx, hak_max(shelf->capacity / 2, 1))) {
            return NULL;
        }
        HAK_PROBE3(refill, heap, bin_idx, hak_bin_count(bin));
    }
    void *block = bin->first;
    hak_bin_pop(bin);
    return block;
}

const struct hak_page hak_nowhere;

/* Gives blocks of a bin back to their pages, or on the way to another heap's. */
static void blocks_give(struct hak_heap *heap, size_t bin_idx, void **blocks, size_t count)
{
    size_t others = count < HAK_RUNS_FROM
                        ? hak_give_blocks(heap, bin_idx, blocks, blocks + count, false)
                        : hak_give_blocks(heap, bin_idx, blocks, blocks + count, true);
    hak_tally_add(&heap->shelves[bin_idx].tally.given, count - others);
}

void hak_heap_flush(struct hak_heap *heap, size_t bin_idx, size_t count)
{
    struct hak_bin *bin = &heap->bins[bin_idx];
    void *places[HAK_BIN_PLACES];
    HAK_PROBE3(flush, heap, bin_idx, count);
    hak_tally_add(&heap->shelves[bin_idx].tally.flushes, count != 0);
    size_t marks = hak_twice_mark(heap, bin_idx, count);
    while (count > 0) {
        void **blocks;
        size_t taken = hak_bin_oldest(bin, count, places, &blocks);
        blocks_give(heap, bin_idx, blocks, taken);
        hak_bin_drop(bin, taken);
        count -= taken;
    }
    hak_twice_unmark(heap, marks);
}

void hak_heap_make_room(struct hak_heap *heap, size_t bin_idx)
{
    hak_policy_look(heap); /* may make room already */
    if (hak_bin_is_full(&heap->bins[bin_idx]) && !hak_magazine_grow(heap, bin_idx, false)) {
        hak_heap_flush(heap, bin_idx, (hak_bin_count(&heap->bins[bin_idx]) + 1) / 2);
    }
}

void hak_heap_warm(struct hak_heap *heap, size_t bin_idx, size_t blocks)
{
    struct hak_bin *bin = &heap->bins[bin_idx];
    struct hak_shelf *shelf = &heap->shelves[bin_idx];
    size_t ruled = hak_policy_capacity(heap->policy, bin_idx);
    uint16_t capacity = (uint16_t)(ruled != 0 ? ruled : hak_power_of_two_up(blocks + 1) - 1);
    if (heap->policy->classes[bin_idx].route == HAK_ROUTE_LARGE || bin->first != NULL ||
        (shelf->capacity < capacity && !hak_magazine_replace(heap, bin_idx, capacity))) {
        return;
    }
    size_t count = hak_min(blocks, shelf->capacity);
    size_t before;
    do { /* a fill takes one new page at most; where memory is out, it gives blocks back first */
        before = hak_bin_count(bin);
    } while (bin_fill(heap, bin_idx, count - before) && hak_bin_count(bin) > before &&
             hak_bin_count(bin) < count);
}

/* What was not missed since the last tick gives half of its blocks back, and shrinks. */
static void bin_idle(struct hak_heap *heap, size_t bin_idx)
{
    struct hak_shelf *shelf = &heap->shelves[bin_idx];
    size_t count = hak_bin_count(&heap->bins[bin_idx]);
    if (shelf->idle) {
        hak_heap_flush(heap, bin_idx, (count + 1) / 2);
        uint16_t half = shelf->capacity / 2;
        if (hak_policy_capacity(heap->policy, bin_idx) == 0 &&
            half >= hak_classes[bin_idx].first_capacity && count / 2 <= half) {
            (void)hak_magazine_replace(heap, bin_idx, half);
        }
    }
    shelf->idle = true;
}

/* Partial pages that one tidying looks at: it must not become noticeable. */
#define SWEEP_PAGES 512

void hak_heap_tidy(struct hak_heap *heap)
{
    hak_shelf_drain(heap, false);
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        bin_idle(heap, bin_idx);
    }
    hak_remote_flush(heap);
    hak_shelf_sweep(heap, SWEEP_PAGES);
}

void hak_heap_flush_all(struct hak_heap *heap)
{
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        hak_heap_flush(heap, bin_idx, hak_bin_count(&heap->bins[bin_idx]));
    }
    hak_remote_flush(heap); /* also what the magazines had of other heaps */
}

void hak_heap_release_all(struct hak_heap *heap)
{
    hak_shelf_drain(heap, false);
    hak_heap_flush_all(heap);
    hak_shelf_sweep(heap, SIZE_MAX);
}
