/*
 * valid: the walker over the calling thread's heap, for tests.
 */
#include "front/tag.h"

static bool bin_is_valid(const struct hak_heap *heap, size_t bin_idx)
{
    const struct hak_bin *bin = &heap->bins[bin_idx];
    const struct hak_shelf *shelf = &heap->shelves[bin_idx];
    if (!hak_bin_is_sound(bin, shelf->capacity)) {
        return false;
    }
    for (size_t i = 0; i < hak_heap_cached(heap, bin_idx); i++) {
        const void *block = hak_heap_cached_at(heap, bin_idx, i);
        const struct hak_page *page = hak_page_of(block);
        if (hak_page_slot(page, block) < 0 ||
            !hak_page_is_open(page, bin_idx)) { /* another heap's, if it was adopted */
            return false;
        }
    }
    return true;
}

static bool list_is_valid(const struct hak_heap *heap, enum hak_list list, size_t bin_idx,
                          size_t *count)
{
    const struct hak_page *page = heap->shelves[bin_idx].lists[list].head;
    const struct hak_page *prev = NULL;
    for (; page != NULL; prev = page, page = page->next) {
        /* relaxed: owner and ACTIVE change by the calling thread only. */
        uintptr_t word = atomic_load_explicit(&page->word, memory_order_relaxed);
        if (page->prev != prev || page->list != list || page->bin_idx != bin_idx ||
            (word & ~(uintptr_t)HAK_PAGE_FLAGS) != (uintptr_t)heap ||
            (word & HAK_PAGE_ACTIVE) == 0 || !hak_page_is_valid(page) ||
            (list == HAK_LIST_FULL && hak_page_free_count(page) != 0)) {
            return false;
        }
        ++*count;
    }
    return true;
}

static bool heap_is_valid(const struct hak_heap *heap)
{
    size_t pages = 0;
    for (size_t bin_idx = 0; bin_idx < HAK_BINS; bin_idx++) {
        if (!bin_is_valid(heap, bin_idx) ||
            !list_is_valid(heap, HAK_LIST_PARTIAL, bin_idx, &pages) ||
            !list_is_valid(heap, HAK_LIST_FULL, bin_idx, &pages) ||
            !list_is_valid(heap, HAK_LIST_RESTING, bin_idx, &pages) ||
            !list_is_valid(heap, HAK_LIST_SPARE, bin_idx, &pages)) {
            return false;
        }
    }
    /* relaxed: this thread is the writer. */
    return pages == atomic_load_explicit(&heap->page_count, memory_order_relaxed);
}

bool hak_heap_is_valid(void)
{
    if (!hak_heap_is_real(hak_heap_self)) {
        return true;
    }
    struct hak_heap *heap = hak_heap_enter(); /* so that nobody sweeps it meanwhile */
    bool valid = heap_is_valid(heap);
    hak_heap_leave(heap);
    return valid;
}
