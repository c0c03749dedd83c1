/*
 * refill: blocks go from pages to magazines and back, by runs.
 */
#include "front/layout.h"

/*
 * A small magazine doubles at every second miss (refill or flush). A larger one, by blocks or by
 * bytes, holds enough for blocks that come and go at random. It grows on in a burst only: when it
 * is missed again while the heap was in few other slow paths, in the same direction or repeatedly.
 */
#define MISSES_TO_GROW 2
#define SMALL_CAPACITY 31
#define SMALL_CAPACITY_BYTES (16 * HAK_KIB)
#define NEAR_ENTRIES 4
#define NEAR_MISSES_TO_GROW 4
#define BURST_ENTRIES 8
/* What all magazines of a heap together can hold at most: its share of a sum for all threads. */
#define HEAP_MAGAZINE_BYTES (8 * HAK_MIB)
#define HEAP_MAGAZINE_BYTES_MIN (1 * HAK_MIB)
#define ALL_MAGAZINE_BYTES (64 * HAK_MIB)

/* Gives the bin room for `capacity` blocks. */
static bool magazine_replace(struct hak_heap *heap, size_t bin_idx, uint16_t capacity)
{
    struct hak_shelf *shelf = &heap->shelves[bin_idx];
    size_t slot_bytes = hak_classes[bin_idx].geometry.slot_bytes;
    if (!hak_bin_resize(&heap->bins[bin_idx], &heap->meta, shelf->capacity, capacity)) {
        return false;
    }
    heap->magazine_bytes += (capacity - (size_t)shelf->capacity) * slot_bytes;
    shelf->capacity = capacity;
    return true;
}

/* Whether this miss speaks for a larger magazine. */
static bool miss_counts(struct hak_heap *heap, size_t bin_idx, bool refill)
{
    struct hak_shelf *shelf = &heap->shelves[bin_idx];
    uint32_t since = hak_heap_entries(heap) - shelf->last_miss;
    bool burst = shelf->last_was_refill == refill && since <= BURST_ENTRIES;
    shelf->last_was_refill = refill;
    shelf->last_miss = hak_heap_entries(heap);
    shelf->idle = false;
    if (shelf->capacity < SMALL_CAPACITY &&
        shelf->capacity * hak_classes[bin_idx].geometry.slot_bytes < SMALL_CAPACITY_BYTES / 2) {
        return ++shelf->misses >= MISSES_TO_GROW;
    }
    bool near = since <= NEAR_ENTRIES && shelf->misses < NEAR_MISSES_TO_GROW;
    shelf->misses = near ? shelf->misses + 1 : 0;
    return burst || shelf->misses >= NEAR_MISSES_TO_GROW;
}

/* Whether the heap's magazines may hold that much more. */
static bool magazines_may_grow(const struct hak_heap *heap, size_t more_bytes)
{
    size_t share = ALL_MAGAZINE_BYTES / hak_max(hak_heap_owned(), 1);
    size_t limit = hak_min(hak_max(share, HEAP_MAGAZINE_BYTES_MIN), HEAP_MAGAZINE_BYTES);
    return heap->magazine_bytes + more_bytes <= limit;
}

static bool magazine_grow(struct hak_heap *heap, size_t bin_idx, bool refill)
{
    const struct hak_class *class = &hak_classes[bin_idx];
    struct hak_shelf *shelf = &heap->shelves[bin_idx];
    bool wanted = miss_counts(heap, bin_idx, refill);
    if (shelf->capacity == 0) {
        size_t bytes = class->first_capacity * class->geometry.slot_bytes;
        bool fits = magazines_may_grow(heap, bytes);
        return magazine_replace(heap, bin_idx, fits ? class->first_capacity : 1);
    }
    if (!wanted || shelf->capacity >= class->max_capacity) {
        return false;
    }
    shelf->misses = 0;
    uint16_t capacity = (uint16_t)(shelf->capacity * 2 + 1);
    size_t more_bytes = (capacity - (size_t)shelf->capacity) * class->geometry.slot_bytes;
    return magazines_may_grow(heap, more_bytes) && magazine_replace(heap, bin_idx, capacity);
}

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

/* Fills an empty bin with about `count` blocks, at least one. */
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
    return left < count;
}

void *hak_heap_refill(struct hak_heap *heap, size_t bin_idx)
{
    struct hak_bin *bin = &heap->bins[bin_idx];
    struct hak_shelf *shelf = &heap->shelves[bin_idx];
    if (bin->first == NULL) {
        (void)magazine_grow(heap, bin_idx, true);
        if (shelf->capacity == 0 || !bin_fill(heap, bin_idx, hak_max(shelf->capacity / 2, 1))) {
            return NULL;
        }
    }
    void *block = bin->first;
    hak_bin_pop(bin);
    return block;
}

/* Gives blocks of a bin back to their pages, or on the way to another heap's. */
static void blocks_give(struct hak_heap *heap, size_t bin_idx, void **blocks, size_t count)
{
    for (size_t done = 0; done < count;) {
        struct hak_page *page = hak_page_of(blocks[done]);
        HAK_CHECK(hak_page_is_open(page, bin_idx), HAK_LAYOUT_MISPLACED);
        if (HAK_LIKELY(hak_page_is_owned(page, (uintptr_t)heap))) {
            done += hak_page_give(page, blocks + done, count - done);
            hak_shelf_freed(heap, page);
        } else if (hak_remote_free(heap, blocks[done++])) {
            hak_remote_flush(heap); /* another heap's: adopted while this one was idle */
        }
    }
}

void hak_heap_flush(struct hak_heap *heap, size_t bin_idx, size_t count)
{
    struct hak_bin *bin = &heap->bins[bin_idx];
    void *places[HAK_BIN_PLACES];
    while (count > 0) {
        void **blocks;
        size_t taken = hak_bin_oldest(bin, count, places, &blocks);
        blocks_give(heap, bin_idx, blocks, taken);
        hak_bin_drop(bin, taken);
        count -= taken;
    }
}

void hak_heap_make_room(struct hak_heap *heap, size_t bin_idx)
{
    if (!magazine_grow(heap, bin_idx, false)) {
        hak_heap_flush(heap, bin_idx, (hak_bin_count(&heap->bins[bin_idx]) + 1) / 2);
    }
}

void hak_heap_warm(struct hak_heap *heap, size_t bin_idx, size_t blocks)
{
    struct hak_shelf *shelf = &heap->shelves[bin_idx];
    uint16_t capacity = (uint16_t)(hak_power_of_two_up(blocks + 1) - 1);
    if (heap->bins[bin_idx].first == NULL &&
        (shelf->capacity >= capacity || magazine_replace(heap, bin_idx, capacity))) {
        (void)bin_fill(heap, bin_idx, blocks);
    }
}

/* What was not missed since the last tick gives half of its blocks back, and shrinks. */
static void bin_idle(struct hak_heap *heap, size_t bin_idx)
{
    struct hak_shelf *shelf = &heap->shelves[bin_idx];
    size_t count = hak_bin_count(&heap->bins[bin_idx]);
    if (shelf->idle) {
        hak_heap_flush(heap, bin_idx, (count + 1) / 2);
        uint16_t half = shelf->capacity / 2;
        if (half >= hak_classes[bin_idx].first_capacity && count / 2 <= half) {
            (void)magazine_replace(heap, bin_idx, half);
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
