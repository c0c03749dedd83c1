/*
 * refill: blocks go from pages to magazines and back, by runs.
 */
#include "front/give.h"
#include "front/harden/twice.h"
#include "front/policy/learner.h"
#include "front/policy/magazine.h"
#include "front/profile/prof.h"
#include "hak_probe.h"
#include "segment/large.h"

/* A page with free slots; when memory is out, once more after everything spare was given back, and
 * then one of any heap that can be held: each look asks one. */
static struct hak_page *page_find(struct hak_heap *heap, size_t bin_idx)
{
    struct hak_page *page = hak_shelf_page(heap, bin_idx);
    if (HAK_UNLIKELY(page == NULL)) {
        (void)hak_heap_trim();
        hak_heap_release_all(heap);
        page = hak_shelf_page(heap, bin_idx);
        const struct hak_heap *last = heap->idle_at != NULL ? heap->idle_at : heap;
        while (page == NULL && (hak_shelf_adopt(heap, bin_idx) || heap->idle_at != last)) {
            page = hak_shelf_current(heap, bin_idx);
        }
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

void *hak_heap_large(struct hak_heap *heap, size_t size, size_t alignment)
{
    void *block = hak_large_alloc(size, alignment);
    if (HAK_UNLIKELY(block == NULL) && hak_large_fits(size, alignment)) {
        /* Once more, after everything spare was given back. */
        hak_heap_release_all(heap);
        (void)hak_heap_trim();
        block = hak_large_alloc(size, alignment);
    }
    return block;
}

void *hak_heap_refill(struct hak_heap *heap, size_t bin_idx)
{
    struct hak_bin *bin = &heap->bins[bin_idx];
    struct hak_shelf *shelf = &heap->shelves[bin_idx];
    hak_policy_look(heap);
    void *block = hak_prof_take(heap, bin_idx);
    if (HAK_UNLIKELY(block != NULL)) {
        return block;
    }
    if (hak_magazine_is_low(heap, bin_idx)) {
        if (bin->first == NULL && heap->policy->classes[bin_idx].route == HAK_ROUTE_LARGE) {
            hak_learner_tell(bin_idx, (struct hak_learner_use){1, 1, 0, 1});
            return hak_heap_large(heap, hak_classes[bin_idx].geometry.slot_bytes, HAK_PAGE_BYTES);
        }
        (void)hak_magazine_grow(heap, bin_idx, true);
        size_t count = hak_magazine_wants(heap, bin_idx);
        if (shelf->capacity == 0 || (!bin_fill(heap, bin_idx, count) && bin->first == NULL)) {
            return NULL;
        }
        HAK_PROBE3(refill, heap, bin_idx, hak_bin_count(bin));
    }
    block = bin->first;
    hak_bin_pop(bin);
    hak_prof_split(heap, bin_idx);
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
    hak_prof_join(heap, bin_idx);
    if (hak_magazine_is_high(heap, bin_idx) && !hak_magazine_grow(heap, bin_idx, false)) {
        hak_heap_flush(heap, bin_idx, hak_magazine_spares(heap, bin_idx));
    }
    hak_prof_split(heap, bin_idx);
}

void hak_heap_warm(struct hak_heap *heap, size_t bin_idx, size_t blocks)
{
    struct hak_bin *bin = &heap->bins[bin_idx];
    struct hak_shelf *shelf = &heap->shelves[bin_idx];
    size_t ruled = hak_policy_capacity(heap->policy, bin_idx);
    hak_prof_join(heap, bin_idx);
    uint16_t capacity = (uint16_t)(ruled != 0 ? ruled : hak_power_of_two_up(blocks + 1) - 1);
    if (heap->policy->classes[bin_idx].route != HAK_ROUTE_LARGE && bin->first == NULL &&
        (shelf->capacity >= capacity || hak_magazine_replace(heap, bin_idx, capacity))) {
        size_t count = hak_min(blocks, shelf->capacity);
        size_t before;
        do { /* a fill takes one new page at most; without memory, it gives blocks back first */
            before = hak_bin_count(bin);
        } while (bin_fill(heap, bin_idx, count - before) && hak_bin_count(bin) > before &&
                 hak_bin_count(bin) < count);
    }
    hak_prof_split(heap, bin_idx);
}

/* What was not missed since the last tick gives half of its blocks back, and shrinks. */
static void bin_idle(struct hak_heap *heap, size_t bin_idx)
{
    struct hak_shelf *shelf = &heap->shelves[bin_idx];
    hak_prof_join(heap, bin_idx);
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
    hak_prof_split(heap, bin_idx);
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
        hak_prof_join(heap, bin_idx);
        hak_heap_flush(heap, bin_idx, hak_bin_count(&heap->bins[bin_idx]));
        hak_prof_split(heap, bin_idx);
    }
    hak_remote_flush(heap); /* also what the magazines had of other heaps */
}

void hak_heap_release_all(struct hak_heap *heap)
{
    hak_shelf_drain(heap, false);
    hak_heap_flush_all(heap);
    hak_shelf_sweep(heap, SIZE_MAX);
}
