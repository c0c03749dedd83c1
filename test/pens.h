/*
 * Whether the pens of a hardened process are as front/harden/pen.h says.
 *
 * Purpose   every page with a tag of slots: each slot but the first is in just one of live, free,
 *           at rest from an even epoch, at rest from an odd one; the counts are those of the bits;
 *           the page is on the list that its state asks for. Every pen: its lists hold just its
 *           pages, linked both ways, and its sums are those of the pages.
 * Threads   any: a pen is looked at under its lock. Not a handler that interrupted the lock's
 *           holder, who may be half-way.
 */
#ifndef HAKMEM_TEST_PENS_H
#define HAKMEM_TEST_PENS_H

#include "front/harden/pen.h"

#include <stdio.h>
#include <unistd.h>

/* In a function that tells what is not so, or NULL. */
#define PENS_REQUIRE(condition)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return #condition;                                                                     \
    } while (0)

/* Of a pen's pages. */
struct pens_sums {
    size_t linked, listed; /* pages on a list; that say so */
    size_t empty_bytes, resting_bytes;
};

/* Whether a note is one of a slot that was handed out. */
static inline bool pens_note_was_used(const struct hak_page *page, uint16_t note)
{
    size_t slack = note & HAK_SLACK_MASK;
    return slack > 0 && slack <= hak_min(page->slot_bytes, HAK_SLACK_MAX);
}

/* The 64 slots of a word. */
static inline const char *pens_word_fault(const struct hak_page *page, size_t word_idx)
{
    const struct hak_notes *notes = hak_notes_of(page);
    uint64_t free = page->free[word_idx], live = 0, all = 0;
    uint64_t even = notes->rests[word_idx], odd = notes->rests[page->words + word_idx];
    for (size_t slot = 64 * word_idx; slot < 64 * word_idx + 64 && slot < page->slots; slot++) {
        uint64_t bit = (uint64_t)1 << slot % 64;
        uint16_t note = notes->slacks[slot];
        bool never = hak_slot_is_new(notes, slot);
        live |= (note & HAK_SLOT_LIVE) != 0 ? bit : 0;
        all |= slot != 0 ? bit : 0;
        PENS_REQUIRE(slot == 0 || (free & bit) != 0 || !never);
        PENS_REQUIRE(never || pens_note_was_used(page, note));
    }
    PENS_REQUIRE((live & (free | even | odd)) == 0);
    PENS_REQUIRE((free & (even | odd)) == 0 && (even & odd) == 0);
    PENS_REQUIRE((live | free | even | odd) == all);
    return NULL;
}

static inline const char *pens_slots_fault(const struct hak_page *page, size_t bin_idx)
{
    const struct hak_notes *notes = hak_notes_of(page);
    const struct hak_geometry *geometry = &hak_classes[bin_idx].geometry;
    size_t rests[2] = {0, 0}, count = 1; /* slot 0 */
    PENS_REQUIRE(page->slots == geometry->slots && page->words == geometry->words);
    for (size_t i = 0; i < page->words; i++) {
        const char *fault = pens_word_fault(page, i);
        if (fault != NULL)
            return fault;
        for (size_t half = 0; half < 2; half++)
            rests[half] += hak_popcount(notes->rests[half * page->words + i]);
    }
    for (size_t slot = 0; slot < page->slots; slot++)
        count += hak_slot_is_live(page, slot);
    PENS_REQUIRE(rests[0] == notes->rest_counts[0] && rests[1] == notes->rest_counts[1]);
    PENS_REQUIRE(count == notes->live + (size_t)1);
    return NULL;
}

/* Whether the page is on the list of its pen where it should be. */
static inline const char *pens_state_fault(const struct hak_page *page)
{
    const struct hak_notes *notes = hak_notes_of(page);
    size_t free = hak_page_free_count(page);
    bool full = notes->live + (size_t)1 == page->slots;
    PENS_REQUIRE(page->list < HAK_PEN_LISTS);
    PENS_REQUIRE(notes->retired == (page->list == HAK_ON_RETIRED));
    PENS_REQUIRE(page->list != HAK_ON_NONE || full);
    PENS_REQUIRE(page->list != HAK_ON_PARTIAL || free != 0);
    PENS_REQUIRE(page->list != HAK_ON_WAITING || (notes->live != 0 && !full));
    PENS_REQUIRE(page->list != HAK_ON_EMPTY || notes->live == 0);
    /* A page for blocks of nothing that is not guarded is used by none. */
    PENS_REQUIRE(page->list != HAK_ON_PARTIAL || notes->live != 0 ||
                 (page->bin_idx == 0 && !notes->guarded));
    return NULL;
}

static inline const char *pens_retired_fault(const struct hak_page *page)
{
    const struct hak_notes *notes = hak_notes_of(page);
    PENS_REQUIRE(hak_page_free_count(page) + (size_t)1 == page->slots && (page->free[0] & 1) == 0);
    PENS_REQUIRE(notes->live == 0 && notes->rest_counts[0] == 0 && notes->rest_counts[1] == 0);
    PENS_REQUIRE(notes->guarded || !notes->idle);
    return NULL;
}

static inline const char *pens_page_fault(const struct hak_page *page, size_t bin_idx,
                                          struct pens_sums *sums)
{
    const struct hak_notes *notes = hak_notes_of(page);
    PENS_REQUIRE(notes != NULL && page->bin_idx == bin_idx);
    if (page->list == HAK_ON_FROZEN) {
        PENS_REQUIRE(notes->retired || !hak_slot_is_live(page, 0));
        return NULL;
    }
    const char *fault = pens_state_fault(page);
    if (fault == NULL)
        fault = notes->retired ? pens_retired_fault(page) : pens_slots_fault(page, bin_idx);
    if (fault != NULL)
        return fault;
    PENS_REQUIRE(hak_page_is_valid(page)); /* the count of the free ones */
    sums->listed += page->list != HAK_ON_NONE;
    sums->empty_bytes += page->list == HAK_ON_EMPTY ? hak_page_bytes(page) : 0;
    sums->resting_bytes +=
        ((size_t)notes->rest_counts[0] + notes->rest_counts[1]) * page->slot_bytes;
    return NULL;
}

static inline const char *pens_list_fault(const struct hak_pen *pen, uint8_t list, uintptr_t tag,
                                          struct pens_sums *sums)
{
    const struct hak_page *before = NULL;
    for (const struct hak_page *page = pen->lists[list].head; page != NULL; page = page->next) {
        PENS_REQUIRE(list != HAK_ON_NONE);
        PENS_REQUIRE(page->list == list && page->prev == before);
        PENS_REQUIRE(hak_region_tag(hak_page_idx(page)) == tag);
        PENS_REQUIRE(hak_page_of(hak_page_start(page)) == page);
        PENS_REQUIRE(sums->linked++ < hak_region_pages()); /* no ring */
        PENS_REQUIRE(list != HAK_ON_RETIRED || before == NULL ||
                     (int32_t)(hak_notes_of(page)->epoch - hak_notes_of(before)->epoch) >= 0);
        before = page;
    }
    PENS_REQUIRE(pen->lists[list].tail == before);
    return NULL;
}

/* The pen's lock is held. */
static inline const char *pens_pen_fault(const struct hak_pen *pen, size_t bin_idx)
{
    uintptr_t tag = (uintptr_t)&hak_slots_marks[bin_idx];
    struct pens_sums sums = {0};
    const char *fault = NULL;
    for (uint8_t list = 0; fault == NULL && list < HAK_PEN_LISTS; list++)
        fault = pens_list_fault(pen, list, tag, &sums);
    for (size_t page_idx = 0; fault == NULL && page_idx < hak_region_pages(); page_idx++) {
        if (hak_region_tag(page_idx) != tag)
            continue;
        const struct hak_page *page = hak_page_of(hak_region_page_start(page_idx));
        PENS_REQUIRE(hak_page_idx(page) == page_idx); /* a span's others were stepped over */
        fault = pens_page_fault(page, bin_idx, &sums);
        for (size_t i = 1; i < page->span_pages && page->list != HAK_ON_FROZEN; i++)
            PENS_REQUIRE(hak_region_tag(page_idx + i) == tag);
        page_idx += page->span_pages - 1;
    }
    if (fault != NULL)
        return fault;
    PENS_REQUIRE(sums.linked == sums.listed);
    PENS_REQUIRE(sums.empty_bytes == pen->empty_bytes);
    PENS_REQUIRE(sums.resting_bytes == pen->resting_bytes);
    return NULL;
}

/* Says on stderr what is not so. */
static inline bool pens_are_valid(void)
{
    for (size_t bin_idx = 0; bin_idx < HAK_BINS; bin_idx++) {
        struct hak_pen *pen = &hak_pens[bin_idx];
        hak_lock_take(&pen->lock);
        const char *fault = pens_pen_fault(pen, bin_idx);
        hak_lock_drop(&pen->lock);
        if (fault != NULL) {
            dprintf(STDERR_FILENO, "pen %zu: not so: %s\n", bin_idx, fault);
            return false;
        }
    }
    return true;
}

#endif
