/*
 * pen: pages of hardened blocks, from the segments and back.
 *
 *   hak_pen_page → the current page, one that has rested, one that was emptied, a new one
 *   hak_pen_tidy → page_retire   beyond 4 MiB a class: no access, no memory
 *                → page_close    when its addresses have rested, too
 */
#include "front/harden/pen.h"
#include "front/observe/live.h"
#include "segment/purge.h"
#include "segment/run.h"

struct hak_pen hak_pens[HAK_BINS];

_Alignas(HAK_HEAP_ALIGN) struct hak_bin hak_slots_marks[HAK_BINS];

static _Atomic(uint64_t) all_takes; /* [any, atomic] blocks that pens have told of */

void hak_pen_notice(void)
{
    hak_live_poll();
    /* relaxed: a count. At once with one thread, too: a handler may allocate in between. */
    (void)atomic_fetch_add_explicit(&all_takes, HAK_NOTICE_TAKES, memory_order_relaxed);
}

static uint32_t epoch_now(void)
{
    /* relaxed: a count. */
    return (uint32_t)(atomic_load_explicit(&all_takes, memory_order_relaxed) / HAK_EPOCH_TAKES);
}

static size_t notes_bytes(size_t slots, size_t words)
{
    return sizeof(struct hak_notes) + 2 * words * sizeof(uint64_t) + slots * sizeof(uint16_t);
}

/* ---- lists ---- */

void hak_pen_move(struct hak_pen *pen, struct hak_page *page, uint8_t to)
{
    struct hak_page_list *list = &pen->lists[page->list];
    if (page->list != HAK_ON_NONE) {
        *(page->prev != NULL ? &page->prev->next : &list->head) = page->next;
        *(page->next != NULL ? &page->next->prev : &list->tail) = page->prev;
        pen->empty_bytes -= page->list == HAK_ON_EMPTY ? hak_page_bytes(page) : 0;
    }
    page->list = to;
    if (to != HAK_ON_NONE) {
        list = &pen->lists[to];
        page->next = NULL;
        page->prev = list->tail;
        *(page->prev != NULL ? &page->prev->next : &list->head) = page;
        list->tail = page;
        pen->empty_bytes += to == HAK_ON_EMPTY ? hak_page_bytes(page) : 0;
    }
}

/* ---- slots at rest ---- */

/* Frees the slots of one half of a page's `rests`. */
static void half_free(struct hak_pen *pen, struct hak_page *page, size_t half)
{
    struct hak_notes *notes = hak_notes_of(page);
    uint64_t *rests = notes->rests + half * page->words;
    uint32_t count = notes->rest_counts[half];
    for (size_t i = 0; count != 0 && i < page->words; i++) {
        page->free[i] |= rests[i];
        rests[i] = 0;
    }
    notes->rest_counts[half] = 0;
    pen->resting_bytes -= (size_t)count * page->slot_bytes;
    /* relaxed: the lock orders it; others read it for reports. */
    atomic_store_explicit(&page->free_count, hak_page_free_count(page) + count,
                          memory_order_relaxed);
}

void hak_pen_age(struct hak_pen *pen, struct hak_page *page)
{
    struct hak_notes *notes = hak_notes_of(page);
    uint32_t now = epoch_now();
    uint32_t since = now - notes->epoch;
    if (since == 0) {
        return;
    }
    notes->epoch = now;
    half_free(pen, page, now % 2); /* freed two epochs ago */
    if (since > 1) {
        half_free(pen, page, 1 - now % 2);
    }
}

/* ---- pages ---- */

/* Pages behind the last slot; of bin 0, all. */
static char *guard_start(const struct hak_page *page)
{
    char *end = page->bin_idx == 0 ? hak_page_start(page) : hak_slot_start(page, page->slots);
    return (char *)hak_align_up((uintptr_t)end, hak_os_page_bytes());
}

static void page_guard(struct hak_page *page)
{
    char *start = guard_start(page);
    size_t bytes = (size_t)(hak_page_start(page) + hak_page_bytes(page) - start);
    hak_notes_of(page)->guarded = bytes != 0 && hak_fence_close(start, bytes);
}

void hak_harden_clear(size_t page_idx, size_t count)
{
    char *start = hak_region_page_start(page_idx);
    if (hak_pages_dirty(page_idx, count) == 0) {
        return;
    }
    if (!hak_os_purge(start, count * HAK_PAGE_BYTES)) {
        memset(start, 0, count * HAK_PAGE_BYTES);
        return;
    }
    hak_pages_clean(page_idx, count);
}

static struct hak_page *page_new(struct hak_pen *pen, size_t bin_idx)
{
    const struct hak_geometry *geometry = &hak_classes[bin_idx].geometry;
    size_t record_bytes = notes_bytes(geometry->slots, geometry->words);
    struct hak_notes *notes = hak_meta_take(&pen->meta, record_bytes);
    size_t page_idx = notes == NULL ? HAK_NO_PAGE
                                    : hak_pages_claim((enum hak_pool)geometry->pool,
                                                      geometry->span_pages, geometry->span_pages);
    if (page_idx != HAK_NO_PAGE && !hak_purge_keeps_limit(page_idx, geometry->span_pages)) {
        page_idx = HAK_NO_PAGE; /* it was released */
    }
    struct hak_page *page =
        page_idx == HAK_NO_PAGE
            ? NULL
            : hak_page_open(page_idx, geometry, (uint8_t)bin_idx, (uintptr_t)pen, &pen->meta);
    if (page == NULL) {
        if (page_idx != HAK_NO_PAGE) {
            hak_pages_release(page_idx, geometry->span_pages, false);
        }
        if (notes != NULL) {
            hak_meta_give(&pen->meta, notes, record_bytes);
        }
        return NULL;
    }
    void *never;
    hak_page_take(page, &never, 1); /* slot 0 */
    notes->slacks = (uint16_t *)(void *)(notes->rests + 2 * (size_t)geometry->words);
    notes->epoch = epoch_now();
    page->notes = notes;
    hak_harden_clear(page_idx, geometry->span_pages);
    page_guard(page);
    hak_region_set(page_idx, geometry->span_pages, (uintptr_t)&hak_slots_marks[bin_idx]);
    (void)hak_purge_poll();
    hak_pen_move(pen, page, HAK_ON_PARTIAL);
    return page;
}

/* Takes an emptied page out of use: whoever still touches it is stopped by the kernel, and its
 * memory goes back. Its address comes back when it has rested, too. False: no memory for a note. */
static bool page_retire(struct hak_pen *pen, struct hak_page *page)
{
    struct hak_notes *notes = hak_notes_of(page);
    struct hak_notes *small = hak_meta_take(&pen->meta, sizeof *small);
    if (small == NULL) {
        return false;
    }
    hak_slots_look(page, false);
    notes->epoch = epoch_now() - 2; /* every slot becomes free */
    hak_pen_age(pen, page);
    char *start = hak_page_start(page);
    size_t bytes = hak_page_bytes(page);
    bool purged = hak_os_purge(start, bytes);
    if (!purged && page->bin_idx != 0) {
        memset(start, 0, (size_t)(hak_slot_start(page, page->slots) - start));
    }
    bool hidden = notes->guarded ? hak_os_hide(start, bytes) : hak_fence_close(start, bytes);
    *small = (struct hak_notes){.epoch = epoch_now(),
                                .guarded = notes->guarded || hidden,
                                .retired = true,
                                .idle = purged && hidden};
    hak_pages_uncount(small->idle ? page->span_pages : 0);
    page->notes = small;
    hak_lock_order(); /* a child that freezes the page never reads notes that were given back */
    hak_meta_give(&pen->meta, notes, notes_bytes(page->slots, page->words));
    hak_pen_move(pen, page, HAK_ON_RETIRED);
    return true;
}

/* Gives a retired page back. False: the kernel refuses to make it writable, so it stays. */
static bool page_close(struct hak_pen *pen, struct hak_page *page)
{
    struct hak_notes *notes = hak_notes_of(page);
    if (notes->guarded && !hak_fence_open(hak_page_start(page), hak_page_bytes(page))) {
        return false;
    }
    bool idle = notes->idle;
    hak_pages_uncount(idle ? (size_t)0 - page->span_pages : 0);
    hak_pen_move(pen, page, HAK_ON_NONE);
    hak_meta_give(&pen->meta, notes, sizeof *notes);
    page->notes = NULL;
    void *never = hak_slot_start(page, 0);
    (void)hak_page_give(page, hak_cut_of(page), 0, &never, &never + 1, false);
    return hak_page_close(page, (uintptr_t)pen, &pen->meta, !idle);
}

void hak_pen_tidy(struct hak_pen *pen, size_t empty_bytes_max)
{
    struct hak_page *page;
    while (pen->empty_bytes > empty_bytes_max && page_retire(pen, pen->lists[HAK_ON_EMPTY].head)) {
    }
    while ((page = pen->lists[HAK_ON_RETIRED].head) != NULL &&
           epoch_now() - hak_notes_of(page)->epoch > 1 && page_close(pen, page)) {
    }
}

bool hak_harden_let_go(size_t bytes)
{
    bool any = false, addresses = bytes != 0 && hak_purge_limit_allows(bytes);
    for (size_t bin_idx = 0; bin_idx < HAK_BINS; bin_idx++) {
        struct hak_pen *pen = &hak_pens[bin_idx];
        struct hak_page *page;
        hak_lock_take(&pen->lock);
        size_t before = pen->empty_bytes;
        hak_pen_tidy(pen, 0);
        any |= pen->empty_bytes != before;
        while (addresses && (page = pen->lists[HAK_ON_RETIRED].head) != NULL &&
               page_close(pen, page)) {
        }
        hak_lock_drop(&pen->lock);
    }
    if (addresses) {
        hak_fence_release_all();
    }
    return any;
}

/* ---- a page with a free slot ---- */

/* A page of which slots have rested, or that was emptied. Behind the first one that waits are those
 * that came later. */
static struct hak_page *page_rested(struct hak_pen *pen)
{
    struct hak_page *const pages[] = {pen->lists[HAK_ON_WAITING].head,
                                      pen->lists[HAK_ON_EMPTY].tail, pen->lists[HAK_ON_EMPTY].head};
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (pages[i] != NULL) {
            hak_pen_age(pen, pages[i]);
            if (hak_page_free_count(pages[i]) != 0) {
                return pages[i];
            }
        }
    }
    return NULL;
}

struct hak_page *hak_pen_page(struct hak_pen *pen, size_t bin_idx)
{
    struct hak_page *page = pen->lists[HAK_ON_PARTIAL].head;
    if (page != NULL) {
        return page;
    }
    page = page_rested(pen);
    if (page != NULL) {
        hak_pen_move(pen, page, HAK_ON_PARTIAL);
        return page;
    }
    hak_pen_tidy(pen, HAK_EMPTY_BYTES_MAX);
    return page_new(pen, bin_idx);
}

/* ---- all of them ---- */

/* Pages with that tag, of which some may be half open, or half closed: no block lives in those. */
static void pages_freeze(uintptr_t tag)
{
    static struct hak_notes none = {.retired = true};
    for (size_t page_idx = 0; page_idx < hak_region_pages(); page_idx++) {
        if (hak_region_tag(page_idx) != tag) {
            continue;
        }
        struct hak_page *page = hak_page_of(hak_region_page_start(page_idx));
        if (hak_region_tag(hak_page_idx(page)) != tag) {
            hak_region_set(page_idx, 1, HAK_TAG_NONE); /* the rest of a span */
            continue;
        }
        page->list = HAK_ON_FROZEN;
        page->notes = page->notes == NULL ? &none : page->notes;
    }
}

void hak_slots_settle(void)
{
    for (size_t bin_idx = 0; bin_idx < HAK_BINS; bin_idx++) {
        struct hak_pen *pen = &hak_pens[bin_idx];
        if (hak_lock_is_lost(&pen->lock)) {
            pages_freeze((uintptr_t)&hak_slots_marks[bin_idx]);
            memset(pen->lists, 0, sizeof pen->lists);
            memset(&pen->meta, 0, sizeof pen->meta);
            pen->next_page = NULL;
            pen->empty_bytes = pen->resting_bytes = 0;
            hak_lock_order();
            hak_lock_recover(&pen->lock);
        }
    }
}

/* Fewer slots a page: behind the last one is room for a guard. */
void hak_slots_init(uint64_t *seed)
{
    size_t os_page = hak_os_page_bytes();
    hak_classes[0] = hak_classes[1];
    for (size_t bin_idx = 0; bin_idx < HAK_BINS; bin_idx++) {
        struct hak_geometry *geometry = &hak_classes[bin_idx].geometry;
        size_t bytes = geometry->span_pages * HAK_PAGE_BYTES;
        size_t guard_bytes = bytes >= 4 * os_page ? os_page : 0;
        geometry->slots =
            (uint16_t)((bytes - geometry->first_bytes - guard_bytes) / geometry->slot_bytes);
        geometry->words = (uint16_t)((geometry->slots + 63) / 64);
        hak_pens[bin_idx].random = hak_harden_random(seed);
    }
}
