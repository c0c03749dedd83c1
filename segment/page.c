/*
 * page: life of a page, and its bitmaps.
 */
#include <string.h>

#include "segment/run.h"

static size_t bitmap_bytes(const struct hak_page *page)
{
    /* On cache lines of their own each: the owner writes one, other threads the other. */
    return hak_align_up(page->words * sizeof(uint64_t), HAK_CACHE_LINE);
}

static bool bitmaps_open(struct hak_page *page, struct hak_meta_pool *meta)
{
    if (page->words == 1) {
        page->free = &page->free_inline;
        page->remote = &page->remote_inline;
        return true;
    }
    char *record = hak_meta_take(meta, 2 * bitmap_bytes(page));
    if (record == NULL) {
        return false;
    }
    page->free = (uint64_t *)(void *)record;
    page->remote = (_Atomic(uint64_t) *)(void *)(record + bitmap_bytes(page));
    return true;
}

static void free_count_add(struct hak_page *page, uint32_t count)
{
    /* relaxed: one writer; others read it for reports. */
    atomic_store_explicit(&page->free_count, hak_page_free_count(page) + count,
                          memory_order_relaxed);
}

struct hak_page *hak_page_open(size_t page_idx, const struct hak_geometry *geometry,
                               uint8_t bin_idx, uintptr_t owner, struct hak_meta_pool *meta)
{
    struct hak_page *page = hak_page_at(page_idx);
    page->words = geometry->words;
    if (!bitmaps_open(page, meta)) {
        return NULL;
    }
    page->slot_bytes = geometry->slot_bytes;
    page->magic = geometry->magic;
    page->first_bytes = geometry->first_bytes;
    page->first_slot = hak_page_start(page) + geometry->first_bytes;
    page->slots = geometry->slots;
    page->limit = geometry->slots * (geometry->slot_bytes / 8);
    page->span_pages = geometry->span_pages;
    page->bin_idx = bin_idx;
    page->first_word = 0;
    page->list = HAK_LIST_NONE;
    page->lowest = geometry->slots;
    page->taken = page->takes = page->collected = 0;
    for (size_t i = 0; i < geometry->span_pages; i++) {
        /* relaxed: the hand-over of a block orders it before its first use. */
        atomic_store_explicit(&page[i].back, (uint8_t)i, memory_order_relaxed);
    }
    memset(page->free, 0xff, page->words * sizeof(uint64_t));
    if (page->slots % 64 != 0) {
        page->free[page->words - 1] = ((uint64_t)1 << page->slots % 64) - 1;
    }
    /* relaxed: one writer. */
    atomic_store_explicit(&page->free_count, page->slots, memory_order_relaxed);
    /* release: a late freer of the page's last life that reads this word may push the page on the
     * new owner's list; it reads nothing else of it. */
    atomic_store_explicit(&page->word, owner | HAK_PAGE_ACTIVE, memory_order_release);
    return page;
}

/* Whether a slot was freed by another thread although every slot is free already. */
static bool remote_is_clear(const struct hak_page *page)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < page->words; i++) {
        /* relaxed: a page whose slots are all free has no freer. */
        bits |= atomic_load_explicit(&page->remote[i], memory_order_relaxed);
    }
    return bits == 0;
}

bool hak_page_close(struct hak_page *page, uintptr_t owner, struct hak_meta_pool *meta, bool dirty)
{
    HAK_ASSERT(hak_page_free_count(page) == page->slots);
    HAK_CHECK(remote_is_clear(page), HAK_MESSAGE_TWICE);
    /* relaxed: the CAS below decides. */
    uintptr_t word = atomic_load_explicit(&page->word, memory_order_relaxed);
    do {
        if ((word & HAK_PAGE_PENDING) != 0 || (word & ~(uintptr_t)HAK_PAGE_FLAGS) != owner) {
            return false;
        }
        /* acq_rel: no freer sets PENDING from here on, and none of our writes moves below. */
    } while (!atomic_compare_exchange_weak_explicit(&page->word, &word, 0, memory_order_acq_rel,
                                                    memory_order_relaxed));
    if (page->words > 1) {
        hak_meta_give(meta, page->free, hak_page_record_bytes(page));
    }
    hak_region_set(hak_page_idx(page), page->span_pages, HAK_TAG_NONE);
    hak_pages_release(hak_page_idx(page), page->span_pages, dirty);
    return true;
}

void hak_page_take(struct hak_page *page, void **top, uint32_t count)
{
    char *start = page->first_slot;
    size_t slot_bytes = page->slot_bytes;
    size_t word_idx = page->first_word;
    HAK_ASSERT(count <= hak_page_free_count(page));
    free_count_add(page, 0 - count);
    page->lowest = (uint16_t)hak_min(page->lowest, hak_page_free_count(page));
    page->taken += count;
    page->takes++;
    while (count > 0) {
        uint64_t bits = page->free[word_idx];
        if (bits == 0) {
            word_idx++;
            continue;
        }
        /* relaxed: only the owner, who is here, clears these bits. */
        uint64_t remote = atomic_load_explicit(&page->remote[word_idx], memory_order_relaxed);
        HAK_CHECK((bits & remote) == 0, HAK_MESSAGE_TWICE);
        do { /* the lowest run of ones */
            unsigned first = (unsigned)__builtin_ctzll(bits);
            uint64_t holes = ~(bits >> first);
            uint32_t run = holes == 0 ? 64 : (uint32_t)__builtin_ctzll(holes);
            run = run < count ? run : count;
            count -= run;
            bits &= ~(UINT64_MAX >> (64 - run) << first);
            char *block = start + (word_idx * 64 + first) * slot_bytes;
            for (void **end = top - run; top != end; top--) {
                *top = block;
                block += slot_bytes;
            }
        } while (bits != 0 && count > 0);
        page->free[word_idx] = bits;
    }
    page->first_word = (uint16_t)word_idx;
}

uint32_t hak_page_collect(struct hak_page *page)
{
    uint32_t count = 0;
    for (size_t i = page->words; i-- > 0;) {
        /* seq_cst: after hak_page_set_full() this load must not be moved before it. */
        if (atomic_load_explicit(&page->remote[i], memory_order_seq_cst) == 0) {
            continue;
        }
        /* acquire: the freers' last writes to these blocks come before our next use. */
        uint64_t bits = atomic_exchange_explicit(&page->remote[i], 0, memory_order_acquire);
        HAK_CHECK((bits & page->free[i]) == 0, HAK_MESSAGE_TWICE);
        page->free[i] |= bits;
        count += hak_popcount(bits);
        page->first_word = (uint16_t)hak_min(page->first_word, i);
    }
    if (count != 0) {
        free_count_add(page, count);
        page->collected += count;
    }
    return count;
}

bool hak_page_set_full(struct hak_page *page)
{
    /* seq_cst: before the loads of hak_page_collect(), see the protocol in page.h. */
    (void)atomic_fetch_or_explicit(&page->word, HAK_PAGE_FULL, memory_order_seq_cst);
    return hak_page_collect(page) != 0;
}

void hak_page_clear_full(struct hak_page *page)
{
    /* relaxed: a freer that still sees FULL sends a notice too many. */
    if ((atomic_load_explicit(&page->word, memory_order_relaxed) & HAK_PAGE_FULL) != 0) {
        (void)atomic_fetch_and_explicit(&page->word, ~(uintptr_t)HAK_PAGE_FULL,
                                        memory_order_relaxed);
    }
}

void hak_page_clear_pending(struct hak_page *page)
{
    /* seq_cst: before hak_page_collect(): who sets a bit after that finds the page not pending
     * and, once it is FULL again, notifies again. acquire is in it: the pusher's link. */
    (void)atomic_fetch_and_explicit(&page->word, ~(uintptr_t)(HAK_PAGE_FULL | HAK_PAGE_PENDING),
                                    memory_order_seq_cst);
}

/* The value of PENDING in this process. [const while there are threads] */
static uintptr_t pending_mark = HAK_PAGE_PENDING;

void hak_page_forked(void)
{
    const uintptr_t lowest = HAK_PAGE_PENDING & -(uintptr_t)HAK_PAGE_PENDING;
    pending_mark = pending_mark == lowest ? HAK_PAGE_PENDING : pending_mark - lowest;
}

void hak_page_clear_stale(struct hak_page *page)
{
    /* relaxed: a stale value is nobody's; a live freer sets it only where it is 0. */
    uintptr_t word = atomic_load_explicit(&page->word, memory_order_relaxed);
    if ((word & HAK_PAGE_PENDING) != 0 && (word & HAK_PAGE_PENDING) != pending_mark) {
        /* seq_cst: before hak_page_collect(), as in hak_page_clear_pending(). */
        (void)atomic_fetch_and_explicit(&page->word, ~(uintptr_t)HAK_PAGE_PENDING,
                                        memory_order_seq_cst);
    }
}

uintptr_t hak_page_free_remote(struct hak_page *page, size_t word_idx, uint64_t bits)
{
    /* seq_cst: before the load of the word, see the protocol in page.h; release: what this thread
     * did with the blocks comes before the owner's next use. */
    uint64_t old = atomic_fetch_or_explicit(&page->remote[word_idx], bits, memory_order_seq_cst);
    HAK_CHECK((old & bits) == 0, HAK_MESSAGE_TWICE);
    /* seq_cst: after the bits. */
    uintptr_t word = atomic_load_explicit(&page->word, memory_order_seq_cst);
    const uintptr_t mask = HAK_PAGE_ACTIVE | HAK_PAGE_FULL | HAK_PAGE_PENDING;
    while ((word & mask) == (HAK_PAGE_ACTIVE | HAK_PAGE_FULL)) {
        /* acq_rel: PENDING makes the link ours until the owner has cleared it. */
        if (atomic_compare_exchange_weak_explicit(&page->word, &word, word | pending_mark,
                                                  memory_order_acq_rel, memory_order_acquire)) {
            return word & ~(uintptr_t)HAK_PAGE_FLAGS;
        }
    }
    return 0;
}

bool hak_page_adopt(struct hak_page *page, uintptr_t from, uintptr_t to)
{
    /* relaxed: the CAS decides. */
    uintptr_t word = atomic_load_explicit(&page->word, memory_order_relaxed);
    do {
        if ((word & ~(uintptr_t)HAK_PAGE_FLAGS) != from || (word & HAK_PAGE_PENDING) != 0) {
            return false;
        }
        /* acq_rel: the page's fields pass from owner to owner; fails while PENDING is set. */
    } while (!atomic_compare_exchange_weak_explicit(&page->word, &word,
                                                    to | (word & HAK_PAGE_FLAGS),
                                                    memory_order_acq_rel, memory_order_relaxed));
    return true;
}

size_t hak_page_record_bytes(const struct hak_page *page)
{
    return page->words == 1 ? 0 : 2 * bitmap_bytes(page);
}

bool hak_page_is_valid(const struct hak_page *page)
{
    uint32_t count = 0;
    for (size_t i = 0; i < page->words; i++) {
        /* relaxed: a slot in both bitmaps stays so until somebody stops the process. */
        uint64_t remote = atomic_load_explicit(&page->remote[i], memory_order_relaxed);
        if ((page->free[i] & remote) != 0 || (i < page->first_word && page->free[i] != 0)) {
            return false;
        }
        count += hak_popcount(page->free[i]);
    }
    return count == hak_page_free_count(page) && page->slots <= page->words * 64;
}
