/*
 * shelf: the pages behind a bin.
 *
 * The order in which a bin looks for a page: pending pages of the heap (remote frees), the current
 * page and its remote bits, other partial pages, resting ones, pages of orphans and of idle heaps,
 * a new page of a segment.
 */
#include "front/policy/learner.h"
#include "front/tag.h"
#include "hak_probe.h"
#include "segment/count.h"
#include "segment/purge.h"

/* Says to other threads how many pages they may adopt. */
static void spare_add(struct hak_shelf *shelf, enum hak_list kind, uint32_t count)
{
    if (kind == HAK_LIST_SPARE) {
        /* relaxed: one writer; others read it as a hint. */
        uint32_t old = atomic_load_explicit(&shelf->spare, memory_order_relaxed);
        atomic_store_explicit(&shelf->spare, old + count, memory_order_relaxed);
    }
}

static void list_push(struct hak_shelf *shelf, enum hak_list kind, struct hak_page *page, bool head)
{
    struct hak_page_list *list = &shelf->lists[kind];
    page->prev = head ? NULL : list->tail;
    page->next = head ? list->head : NULL;
    *(page->prev != NULL ? &page->prev->next : &list->head) = page;
    *(page->next != NULL ? &page->next->prev : &list->tail) = page;
    page->list = (uint8_t)kind;
    spare_add(shelf, kind, 1);
}

static void list_push_head(struct hak_shelf *shelf, enum hak_list kind, struct hak_page *page)
{
    list_push(shelf, kind, page, true);
}

static void list_push_tail(struct hak_shelf *shelf, enum hak_list kind, struct hak_page *page)
{
    list_push(shelf, kind, page, false);
}

static void list_remove(struct hak_shelf *shelf, struct hak_page *page)
{
    struct hak_page_list *list = &shelf->lists[page->list];
    *(page->prev != NULL ? &page->prev->next : &list->head) = page->next;
    *(page->next != NULL ? &page->next->prev : &list->tail) = page->prev;
    spare_add(shelf, page->list, UINT32_MAX);
    page->list = HAK_LIST_NONE;
}

static struct hak_shelf *shelf_of(struct hak_heap *heap, const struct hak_page *page)
{
    return &heap->shelves[page->bin_idx];
}

static void page_count_add(struct hak_heap *heap, size_t count)
{
    /* relaxed: one writer; others read it as a hint. */
    size_t old = atomic_load_explicit(&heap->page_count, memory_order_relaxed);
    atomic_store_explicit(&heap->page_count, old + count, memory_order_relaxed);
}

static bool page_is_empty(const struct hak_page *page)
{
    return hak_page_free_count(page) == page->slots;
}

/* Whether a notice to the owner is under way: the page cannot be closed now. */
static bool page_is_pending(const struct hak_page *page)
{
    /* relaxed: a hint; the CAS in hak_page_close() decides. */
    return (atomic_load_explicit(&page->word, memory_order_relaxed) & HAK_PAGE_PENDING) != 0;
}

/* Closes a page whose slots are all free. False: a notice is on its way, the page stays. */
static bool page_close(struct hak_heap *heap, struct hak_page *page)
{
    if (page_is_pending(page)) {
        return false;
    }
    struct hak_shelf *shelf = shelf_of(heap, page);
    enum hak_list kind = page->list;
    list_remove(shelf, page); /* before the page may be another's */
    struct hak_learner_use use = hak_learner_use(page);
    if (!hak_page_close(page, (uintptr_t)heap, &heap->meta, true)) {
        list_push_head(shelf, kind, page);
        return false;
    }
    hak_learner_tell((size_t)(shelf - heap->shelves), use);
    page_count_add(heap, SIZE_MAX);
    HAK_PROBE3(page_retire, heap, shelf - heap->shelves, hak_page_start(page));
    return true;
}

/* Of a page with a share of free slots, others may make use. */
#define SPARE_SHARE 8

static enum hak_list list_at_rest(const struct hak_page *page)
{
    uint32_t count = hak_page_free_count(page);
    return count == 0                           ? HAK_LIST_FULL
           : count * SPARE_SHARE >= page->slots ? HAK_LIST_SPARE
                                                : HAK_LIST_RESTING;
}

/* Sets FULL and puts the page where it belongs then; closes it if it is all free. */
static void page_rest(struct hak_heap *heap, struct hak_page *page)
{
    struct hak_shelf *shelf = shelf_of(heap, page);
    (void)hak_page_set_full(page);
    if (page_is_empty(page) && page_close(heap, page)) {
        return;
    }
    list_remove(shelf, page);
    list_push_head(shelf, list_at_rest(page), page);
}

/* The owner looks at the page itself from here on. */
static void page_wake(struct hak_shelf *shelf, struct hak_page *page)
{
    hak_page_clear_full(page);
    list_remove(shelf, page);
    list_push_tail(shelf, HAK_LIST_PARTIAL, page);
}

/* How many pages are compared when a bin goes on to another one. */
#define CHOICE_PAGES 8

/* Makes the fullest of the next pages the current one: the emptier ones may then become free. */
static void page_choose(struct hak_shelf *shelf)
{
    struct hak_page *best = shelf->lists[HAK_LIST_PARTIAL].head;
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
    list_remove(shelf, best);
    list_push_head(shelf, HAK_LIST_PARTIAL, best);
}

struct hak_page *hak_shelf_current(struct hak_heap *heap, size_t bin_idx)
{
    struct hak_shelf *shelf = &heap->shelves[bin_idx];
    struct hak_page *page;
    while ((page = shelf->lists[HAK_LIST_PARTIAL].head) != NULL) {
        if (hak_page_free_count(page) != 0 || hak_page_collect(page) != 0) {
            return page;
        }
        page_rest(heap, page); /* the heap wants to hear of its next remote free */
        page_choose(shelf);
    }
    page = shelf->lists[HAK_LIST_SPARE].head;
    page = page != NULL ? page : shelf->lists[HAK_LIST_RESTING].head;
    if (page != NULL) {
        page_wake(shelf, page);
    }
    return page;
}

static struct hak_page *page_new(struct hak_heap *heap, size_t bin_idx)
{
    const struct hak_geometry *geometry = &hak_classes[bin_idx].geometry;
    size_t page_idx =
        hak_pages_claim((enum hak_pool)geometry->pool, geometry->span_pages, geometry->span_pages);
    if (page_idx == HAK_NO_PAGE || !hak_purge_keeps_limit(page_idx, geometry->span_pages)) {
        return NULL;
    }
    struct hak_page *page =
        hak_page_open(page_idx, geometry, (uint8_t)bin_idx, (uintptr_t)heap, &heap->meta);
    if (page == NULL) {
        hak_pages_release(page_idx, geometry->span_pages, false);
        return NULL;
    }
    hak_purge_bound(geometry->span_pages - hak_pages_dirty(page_idx, geometry->span_pages));
    hak_region_set(page_idx, geometry->span_pages, hak_heap_tag(heap, bin_idx));
    heap->arena_pages = hak_region_pages();
    list_push_head(&heap->shelves[bin_idx], HAK_LIST_PARTIAL, page);
    page_count_add(heap, 1);
    HAK_PROBE3(page_claim, heap, bin_idx, hak_page_start(page));
    return page;
}

struct hak_page *hak_shelf_page(struct hak_heap *heap, size_t bin_idx)
{
    hak_shelf_drain(heap, false);
    struct hak_page *page = hak_shelf_current(heap, bin_idx);
    if (page == NULL && hak_shelf_adopt(heap, bin_idx)) {
        page = hak_shelf_current(heap, bin_idx);
    }
    return page != NULL ? page : page_new(heap, bin_idx);
}

void hak_shelf_freed(struct hak_heap *heap, struct hak_page *page)
{
    if (page->list != HAK_LIST_PARTIAL) {
        page_wake(shelf_of(heap, page), page);
    }
    if (page_is_empty(page)) {
        (void)page_close(heap, page); /* its memory stays for whoever claims the slots next */
    }
}

/* Collects at the current end of a list, as many pages as are asked for; what stays goes to the
 * other end, so the next sweep goes on where this one stopped. */
static size_t list_sweep(struct hak_heap *heap, struct hak_shelf *shelf, size_t budget)
{
    struct hak_page_list *list = &shelf->lists[HAK_LIST_PARTIAL];
    struct hak_page *first_kept = NULL;
    while (list->head != NULL && list->head != first_kept && budget > 0) {
        struct hak_page *page = list->head;
        (void)hak_page_collect(page);
        budget--;
        if (page_is_empty(page) && page_close(heap, page)) {
            continue;
        }
        list_remove(shelf, page);
        list_push_tail(shelf, HAK_LIST_PARTIAL, page);
        first_kept = first_kept != NULL ? first_kept : page;
    }
    return budget;
}

void hak_shelf_sweep(struct hak_heap *heap, size_t budget)
{
    for (size_t bins = 1; bins < HAK_BINS && budget > 0; bins++) {
        heap->sweep_bin = heap->sweep_bin % (HAK_BINS - 1) + 1;
        budget = list_sweep(heap, &heap->shelves[heap->sweep_bin], budget);
    }
}

/* A page whose link was read from the pending list. */
static void page_drain(struct hak_heap *heap, struct hak_page *page, bool rest)
{
    hak_page_clear_pending(page);
    (void)hak_page_collect(page);
    if (page->list == HAK_LIST_PARTIAL || (hak_page_free_count(page) != 0 && !rest)) {
        hak_shelf_freed(heap, page);
    } else {
        page_rest(heap, page);
    }
}

void hak_shelf_drain(struct hak_heap *heap, bool rest)
{
    /* relaxed: a hint; the exchange takes the list. */
    if (atomic_load_explicit(&heap->pending, memory_order_relaxed) == NULL) {
        return;
    }
    /* acquire: pairs with the push in remote.c; the links are readable. */
    struct hak_page *page = atomic_exchange_explicit(&heap->pending, NULL, memory_order_acquire);
    while (page != NULL) {
        /* relaxed: written before the push; read before PENDING is cleared. */
        struct hak_page *next = atomic_load_explicit(&page->pending_next, memory_order_relaxed);
        page_drain(heap, page, rest);
        page = next;
    }
}

void hak_shelf_rest(struct hak_heap *heap)
{
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        struct hak_page *page;
        while ((page = heap->shelves[bin_idx].lists[HAK_LIST_PARTIAL].head) != NULL) {
            page_rest(heap, page);
        }
    }
}

void hak_shelf_mend(struct hak_heap *heap)
{
    hak_shelf_drain(heap, false);
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        struct hak_shelf *shelf = &heap->shelves[bin_idx];
        for (enum hak_list kind = HAK_LIST_FULL; kind <= HAK_LIST_SPARE; kind++) {
            while (shelf->lists[kind].head != NULL) {
                page_wake(shelf, shelf->lists[kind].head);
            }
        }
        struct hak_page *page = shelf->lists[HAK_LIST_PARTIAL].head;
        for (; page != NULL; page = page->next) {
            hak_page_clear_stale(page);
            (void)hak_page_collect(page);
        }
    }
}

/* Takes a page over from a held heap. False: a notice to it is on its way. */
static bool page_adopt(struct hak_heap *from, struct hak_heap *to, struct hak_page *page)
{
    if (!hak_page_adopt(page, (uintptr_t)from, (uintptr_t)to)) {
        return false;
    }
    if (hak_page_record_bytes(page) != 0) {
        hak_meta_even(&to->meta, &from->meta, hak_page_record_bytes(page));
    }
    list_remove(shelf_of(from, page), page);
    page_count_add(from, SIZE_MAX);
    hak_region_set(hak_page_idx(page), page->span_pages, hak_heap_tag(to, page->bin_idx));
    to->arena_pages = hak_region_pages();
    list_push_tail(shelf_of(to, page), HAK_LIST_PARTIAL, page);
    page_count_add(to, 1);
    hak_page_clear_full(page);
    return true;
}

/* How many pages are taken from another heap at once, and how many orphans are looked at. */
#define ADOPT_PAGES 4
#define ADOPT_HEAPS 16

static size_t pages_adopt(struct hak_heap *from, struct hak_heap *to, size_t bin_idx)
{
    size_t adopted = 0;
    hak_shelf_drain(from, true);
    struct hak_page *page = from->shelves[bin_idx].lists[HAK_LIST_SPARE].head;
    for (size_t looks = 0; page != NULL && looks < ADOPT_PAGES; looks++) {
        struct hak_page *next = page->next;
        adopted += page_adopt(from, to, page);
        page = next;
    }
    hak_count_add(HAK_COUNT_ADOPTED, adopted);
    return adopted;
}

/* Whether another heap seems to have pages to spare. */
static bool has_spare_pages(const struct hak_heap *heap, size_t bin_idx)
{
    /* relaxed: hints; holding the heap decides. */
    return atomic_load_explicit(&heap->shelves[bin_idx].spare, memory_order_relaxed) != 0 ||
           atomic_load_explicit(&heap->pending, memory_order_relaxed) != NULL;
}

static struct hak_heap *next_around(const struct hak_heap *heap)
{
    return heap->next != NULL ? heap->next : hak_heap_first();
}

static bool adopt_from_orphans(struct hak_heap *heap, size_t bin_idx)
{
    if (hak_heap_orphans() == 0) {
        return false;
    }
    struct hak_heap *at = heap->orphan_at != NULL ? heap->orphan_at : hak_heap_first();
    size_t adopted = 0;
    for (size_t looked = 0; looked < ADOPT_HEAPS && adopted == 0; looked++) {
        if (at != heap && has_spare_pages(at, bin_idx) && hak_heap_hold_orphan(at)) {
            adopted = pages_adopt(at, heap, bin_idx);
            hak_heap_let_go_orphan(at);
        }
        at = adopted != 0 ? at : next_around(at);
    }
    heap->orphan_at = at;
    return adopted != 0;
}

/* Of a thread that was in no slow path since the last search: it sleeps, computes, or lives on its
 * magazines. One heap a search, so each has its turn. */
static bool adopt_from_idle(struct hak_heap *heap, size_t bin_idx)
{
    struct hak_heap *at = heap->idle_at != NULL ? heap->idle_at : heap;
    size_t adopted = 0;
    if (at != heap && heap->idle_entries == hak_heap_entries(at) && has_spare_pages(at, bin_idx) &&
        hak_heap_hold_idle(at)) {
        adopted = pages_adopt(at, heap, bin_idx);
        hak_heap_let_go_idle(at);
    }
    heap->idle_at = adopted != 0 ? at : next_around(at);
    heap->idle_entries = hak_heap_entries(heap->idle_at);
    return adopted != 0;
}

bool hak_shelf_adopt(struct hak_heap *heap, size_t bin_idx)
{
    return adopt_from_orphans(heap, bin_idx) || adopt_from_idle(heap, bin_idx);
}
