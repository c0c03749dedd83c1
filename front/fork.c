/*
 * fork: what the child makes of the heaps of threads that it does not have.
 *
 * There is no lock that a vanished thread could hold: everything shared changes by single CAS
 * steps, so it is consistent at any instant of the fork. What remains is to be mended here:
 *   - Heaps of other threads are frozen. Their owners may have stood in the middle of an operation.
 *     Blocks in them stay valid; frees of them go to remote bits that nobody collects.
 *   - A vanished thread may have freed a block of ours without getting to notify us, or have set
 *     PENDING without getting to push the page: every full page is looked at once.
 */
#include "front/heap.h"

void hak_fork_mend(struct hak_heap *heap)
{
    heap->mend = false;
    hak_remote_drain(heap, false);
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        struct hak_page *page = heap->shelves[bin_idx].full_head;
        while (page != NULL) {
            struct hak_page *next = page->next;
            hak_page_clear_pending(page);
            if (hak_page_collect(page) != 0 || hak_page_set_full(page)) {
                hak_shelf_freed(heap, page);
            }
            page = next;
        }
        for (page = heap->shelves[bin_idx].partial_head; page != NULL; page = page->next) {
            hak_page_clear_pending(page);
        }
    }
}

void hak_fork_child(void)
{
    struct hak_heap *self = hak_heap_self;
    for (struct hak_heap *at = hak_heap_first(); at != NULL; at = at->next) {
        /* relaxed: the child has one thread. */
        uint32_t state = atomic_load_explicit(&at->state, memory_order_relaxed);
        if (at != self && state != HAK_HEAP_ORPHAN) {
            /* relaxed: the same. */
            atomic_store_explicit(&at->state, HAK_HEAP_FROZEN, memory_order_relaxed);
        }
    }
    if (!hak_heap_is_real(self)) {
        return;
    }
    /* A fork from a signal handler may have interrupted this thread in a slow path. */
    self->mend = true;
    if (!self->busy) {
        hak_fork_mend(self);
    }
}
