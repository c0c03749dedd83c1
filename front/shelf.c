/*
 * shelf: the pages behind a bin.
 *
 * The order in which a bin looks for a page: pending pages of the heap (remote frees), the current
 * page and its remote bits, other partial pages, pages of orphans, a new page of a segment.
 */
#include "front/heap.h"
#include "segment/purge.h"

static void list_push_head(struct hak_shelf *shelf, struct hak_page *page)
{
    page->prev = NULL;
    page->next = shelf->partial_head;
    *(page->next != NULL ? &page->next->prev : &shelf->partial_tail) = page;
    shelf->partial_head = page;
    page->list = HAK_LIST_PARTIAL;
}

static void list_push_tail(struct hak_shelf *shelf, struct hak_page *page)
{
    page->next = NULL;
    page->prev = shelf->partial_tail;
    *(page->prev != NULL ? &page->prev->next : &shelf->partial_head) = page;
    shelf->partial_tail = page;
    page->list = HAK_LIST_PARTIAL;
}

static void list_push_full(struct hak_shelf *shelf, struct hak_page *page)
{
    page->prev = NULL;
    page->next = shelf->full_head;
    if (page->next != NULL) {
        page->next->prev = page;
    }
    shelf->full_head = page;
    page->list = HAK_LIST_FULL;
}

static void list_remove(struct hak_shelf *shelf, struct hak_page *page)
{
    bool partial = page->list == HAK_LIST_PARTIAL;
    if (page->prev != NULL) {
        page->prev->next = page->next;
    } else {
        *(partial ? &shelf->partial_head : &shelf->full_head) = page->next;
    }
    if (page->next != NULL) {
        page->next->prev = page->prev;
    } else if (partial) {
        shelf->partial_tail = page->prev;
    }
    page->list = HAK_LIST_NONE;
}

static void page_count_add(struct hak_heap *heap, size_t count)
{
    /* relaxed: one writer; others read it as a hint. */
    size_t old = atomic_load_explicit(&heap->page_count, memory_order_relaxed);
    /* relaxed: the same. */
    atomic_store_explicit(&heap->page_count, old + count, memory_order_relaxed);
}

/* Closes a page on `partial` whose slots are all free. It stays if a notice is on its way. */
static void page_close(struct hak_heap *heap, struct hak_page *page)
{
    struct hak_shelf *shelf = &heap->shelves[page->bin_idx];
    list_remove(shelf, page);
    if (hak_page_close(page, (uintptr_t)heap, &heap->meta)) {
        page_count_add(heap, SIZE_MAX);
    } else {
        list_push_tail(shelf, page);
    }
}

/* The heap wants to hear of the next remote free; true if that brought slots at once. */
static bool page_set_aside(struct hak_shelf *shelf, struct hak_page *page)
{
    list_remove(shelf, page);
    if (hak_page_set_full(page)) {
        hak_page_clear_full(page);
        list_push_head(shelf, page);
        return true;
    }
    list_push_full(shelf, page);
    return false;
}

/* How many pages are compared when a bin goes on to another one. */
#define CHOICE_PAGES 8

/* Makes the fullest of the next pages the current one: the emptier ones may then become free. */
static void page_choose(struct hak_shelf *shelf)
{
    struct hak_page *best = shelf->partial_head;
    if (best == NULL) {
        return;
    }
    struct hak_page *page = best->next;
    for (size_t i = 1; page != NULL && i < CHOICE_PAGES; i++, page = page->next) {
        uint32_t count = hak_page_free_count(page);
        if (count != 0 && count < hak_page_free_count(best)) {
            best = page;
        }
    }
    if (best != shelf->partial_head) {
        list_remove(shelf, best);
        list_push_head(shelf, best);
    }
}

static struct hak_page *page_partial(struct hak_shelf *shelf)
{
    struct hak_page *page;
    while ((page = shelf->partial_head) != NULL) {
        if (hak_page_free_count(page) != 0 || hak_page_collect(page) != 0 ||
            page_set_aside(shelf, page)) {
            return page;
        }
        page_choose(shelf);
    }
    return NULL;
}

static struct hak_page *page_new(struct hak_heap *heap, size_t bin_idx)
{
    const struct hak_geometry *geometry = &hak_classes[bin_idx].geometry;
    size_t page_idx =
        hak_pages_claim((enum hak_pool)geometry->pool, geometry->span_pages, geometry->span_pages);
    if (page_idx == HAK_NO_PAGE) {
        return NULL;
    }
    struct hak_page *page =
        hak_page_open(page_idx, geometry, (uint8_t)bin_idx, (uintptr_t)heap, &heap->meta);
    if (page == NULL) {
        hak_pages_release(page_idx, geometry->span_pages, false);
        return NULL;
    }
    hak_purge_bound(geometry->span_pages - hak_pages_dirty(page_idx, geometry->span_pages));
    hak_region_set(page_idx, geometry->span_pages, (uintptr_t)&heap->bins[bin_idx]);
    heap->arena_pages = hak_region_pages();
    list_push_head(&heap->shelves[bin_idx], page);
    page_count_add(heap, 1);
    return page;
}

struct hak_page *hak_shelf_page(struct hak_heap *heap, size_t bin_idx)
{
    struct hak_shelf *shelf = &heap->shelves[bin_idx];
    /* relaxed: a hint; hak_remote_drain() takes the list with acquire. */
    if (atomic_load_explicit(&heap->pending, memory_order_relaxed) != NULL) {
        hak_remote_drain(heap, false);
    }
    struct hak_page *page = page_partial(shelf);
    if (page == NULL && hak_shelf_adopt(heap, bin_idx)) {
        page = page_partial(shelf);
    }
    return page != NULL ? page : page_new(heap, bin_idx);
}

void hak_shelf_freed(struct hak_heap *heap, struct hak_page *page)
{
    struct hak_shelf *shelf = &heap->shelves[page->bin_idx];
    if (page->list == HAK_LIST_FULL) {
        hak_page_clear_full(page);
        list_remove(shelf, page);
        list_push_tail(shelf, page);
    }
    if (hak_page_free_count(page) == page->slots) {
        page_close(heap, page); /* its memory stays for whoever claims the slots next */
    }
}

void hak_shelf_sweep(struct hak_heap *heap, size_t budget)
{
    for (size_t bins = 1; bins < HAK_BINS && budget > 0; bins++) {
        heap->sweep_bin = heap->sweep_bin % (HAK_BINS - 1) + 1;
        struct hak_page *page = heap->shelves[heap->sweep_bin].partial_head;
        while (page != NULL && budget > 0) {
            struct hak_page *next = page->next;
            (void)hak_page_collect(page);
            if (hak_page_free_count(page) == page->slots) {
                page_close(heap, page);
            }
            page = next;
            budget--;
        }
    }
}

/* A page whose link was read from the pending list. */
static void page_drain(struct hak_heap *heap, struct hak_page *page, bool orphan)
{
    struct hak_shelf *shelf = &heap->shelves[page->bin_idx];
    hak_page_clear_pending(page);
    (void)hak_page_collect(page);
    if (orphan || hak_page_free_count(page) == 0) {
        /* Nobody allocates here, or nothing is left: the next remote free must be heard. */
        if (hak_page_set_full(page) && !orphan) {
            hak_page_clear_full(page);
        }
    }
    if (hak_page_free_count(page) != 0 && page->list == HAK_LIST_FULL) {
        list_remove(shelf, page);
        list_push_tail(shelf, page);
    }
    if (hak_page_free_count(page) == page->slots) {
        page_close(heap, page);
    }
}

void hak_remote_drain(struct hak_heap *heap, bool orphan)
{
    /* acquire: pairs with the push in remote.c; the links are readable. */
    struct hak_page *page = atomic_exchange_explicit(&heap->pending, NULL, memory_order_acquire);
    while (page != NULL) {
        /* relaxed: written before the push; read before PENDING is cleared. */
        struct hak_page *next = atomic_load_explicit(&page->pending_next, memory_order_relaxed);
        page_drain(heap, page, orphan);
        page = next;
    }
}

/* Every page still in use must say so when a block of it comes back. */
void hak_shelf_abandon(struct hak_heap *heap)
{
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        struct hak_page *page = heap->shelves[bin_idx].partial_head;
        while (page != NULL) {
            struct hak_page *next = page->next;
            (void)hak_page_set_full(page);
            if (hak_page_free_count(page) == page->slots) {
                page_close(heap, page);
            }
            page = next;
        }
    }
}

void hak_shelf_move(struct hak_heap *from, struct hak_heap *to, struct hak_page *page)
{
    if (!hak_page_adopt(page, (uintptr_t)from, (uintptr_t)to)) {
        return; /* a notice to `from` is on its way */
    }
    list_remove(&from->shelves[page->bin_idx], page);
    page_count_add(from, SIZE_MAX);
    hak_region_set(hak_page_idx(page), page->span_pages, (uintptr_t)&to->bins[page->bin_idx]);
    to->arena_pages = hak_region_pages();
    list_push_head(&to->shelves[page->bin_idx], page);
    page_count_add(to, 1);
    hak_page_clear_full(page);
}

/* How many pages are taken from orphans at once, and how many heaps are looked at for them. */
#define ADOPT_PAGES 4
#define ADOPT_HEAPS 16

bool hak_shelf_adopt(struct hak_heap *heap, size_t bin_idx)
{
    size_t adopted = 0;
    size_t looked = 0;
    for (struct hak_heap *at = hak_heap_first(); at != NULL && looked < ADOPT_HEAPS;
         at = at->next) {
        /* relaxed: hints; holding the heap decides. */
        if (atomic_load_explicit(&at->state, memory_order_relaxed) != HAK_HEAP_ORPHAN ||
            atomic_load_explicit(&at->page_count, memory_order_relaxed) == 0) {
            continue;
        }
        looked++;
        if (!hak_heap_hold(at)) {
            continue;
        }
        hak_remote_drain(at, true);
        struct hak_page *page = at->shelves[bin_idx].partial_head;
        while (page != NULL && adopted < ADOPT_PAGES) {
            struct hak_page *next = page->next;
            hak_shelf_move(at, heap, page);
            page = next;
            adopted++;
        }
        hak_heap_let_go(at);
        if (adopted != 0) {
            break;
        }
    }
    return adopted != 0;
}
