/*
 * run: blocks on their way back to a page, together where they are neighbours.
 *
 * Purpose   blocks that were allocated one after the other are often freed so, or backwards. What
 *           lies side by side in an array and in the page is one store a word of the bitmap. Most
 *           blocks are alone, and theirs is the shortest way.
 * Owner     the page's; see page.h.
 * Threads   the owner's alone.
 */
#ifndef HAK_RUN_H
#define HAK_RUN_H

#include "segment/page.h"

#define HAK_MESSAGE_TWICE "hakmem: free of a block that is already free"
#define HAK_MESSAGE_INSIDE "hakmem: free of a pointer inside a block"

/* How a page is cut, as hak_page_slot() needs it; the same for all pages of a bin, so that loops
 * hold it in registers. */
struct hak_cut {
    uint64_t magic, limit, slot_bytes;
};

/* Free bits that are set for the time of a flush only. */
struct hak_mark {
    uint64_t *word;
    uint64_t bits;
};

/* Half of the largest magazine: no flush of some blocks leaves more. */
#define HAK_MARKS_MAX 512

/* From so many blocks on, neighbours are looked for: they come in bursts, and so do large
 * magazines. */
#define HAK_RUNS_FROM 128

/* Slots of a page, one at least. */
struct hak_run {
    size_t slot; /* the lowest */
    size_t count;
};

static inline struct hak_cut hak_cut_of(const struct hak_page *page)
{
    return (struct hak_cut){page->magic, page->limit, page->slot_bytes};
}

/* How far into a page's slots an address lies, in units of 8 bytes; cut.limit or more: not in them,
 * or off the grid. */
static inline uint64_t hak_cut_unit(const struct hak_page *page, const void *block)
{
    uint64_t offset = (uintptr_t)block - (uintptr_t)page->first_slot;
    return offset >> 3 | offset << 61;
}

/* The slot that starts at a unit below cut.limit. Stops the process if none does. */
static inline size_t hak_cut_slot(struct hak_cut cut, uint64_t unit)
{
    uint64_t product = unit * cut.magic;
    HAK_CHECK((uint32_t)product < cut.magic, HAK_MESSAGE_INSIDE);
    return product >> 32;
}

/* Whether the first two blocks of an array are neighbours. */
static inline bool hak_run_begins(struct hak_cut cut, void *const *blocks, void *const *end)
{
    uintptr_t next = blocks + 1 != end ? (uintptr_t)blocks[1] : 0;
    uintptr_t step = next - (uintptr_t)blocks[0];
    return step == cut.slot_bytes || step + cut.slot_bytes == 0;
}

/* The run that an array begins with, whose first block has that slot. */
static HAK_NOINLINE __attribute__((unused)) struct hak_run
hak_run_of(const struct hak_page *page, size_t slot, void *const *blocks, void *const *end)
{
    uintptr_t at = (uintptr_t)blocks[0];
    uintptr_t step = (uintptr_t)blocks[1] - at;
    bool down = step != page->slot_bytes;
    size_t most = hak_min((size_t)(end - blocks), down ? slot + 1 : page->slots - slot);
    size_t length = 1;
    while (length < most && (uintptr_t)blocks[length] == (at += step)) {
        length++;
    }
    return (struct hak_run){down ? slot + 1 - length : slot, length};
}

/* Sets free bits of a word. Stops the process if one is set. With `marks`, notes them, and stops
 * if another thread has freed such a slot. Returns where the next mark goes. */
static inline struct hak_mark *hak_bits_set(struct hak_page *page, size_t word_idx, uint64_t bits,
                                            struct hak_mark *marks)
{
    uint64_t taken = page->free[word_idx];
    uint64_t new = taken | bits;
    if (marks != NULL) {
        /* relaxed: only the owner, who is here, clears these bits. */
        taken |= atomic_load_explicit(&page->remote[word_idx], memory_order_relaxed);
        *marks++ = (struct hak_mark){&page->free[word_idx], bits};
    }
    HAK_CHECK((taken & bits) == 0, HAK_MESSAGE_TWICE);
    page->free[word_idx] = new;
    return marks;
}

/* The same for a run. */
static HAK_NOINLINE __attribute__((unused)) struct hak_mark *
hak_run_set(struct hak_page *page, struct hak_run run, struct hak_mark *marks)
{
    while (run.count > 0) {
        size_t part = hak_min(run.count, 64 - run.slot % 64);
        uint64_t bits = UINT64_MAX >> (64 - part) << run.slot % 64;
        marks = hak_bits_set(page, run.slot / 64, bits, marks);
        run.slot += part;
        run.count -= part;
    }
    return marks;
}

/* Puts back a block, or the run that an array begins with if `runs`; how many that is. `unit` is
 * the first block's. Stops the process at a block that is free already or that is none. [owner] */
static inline size_t hak_page_give(struct hak_page *page, struct hak_cut cut, uint64_t unit,
                                   void *const *blocks, void *const *end, bool runs)
{
    struct hak_run run = {hak_cut_slot(cut, unit), 1};
    if (runs && hak_run_begins(cut, blocks, end)) {
        run = hak_run_of(page, run.slot, blocks, end);
        (void)hak_run_set(page, run, NULL);
    } else {
        (void)hak_bits_set(page, run.slot / 64, (uint64_t)1 << run.slot % 64, NULL);
    }
    if (page->first_word > run.slot / 64) {
        page->first_word = (uint16_t)(run.slot / 64);
    }
    /* relaxed: one writer; others read it for reports. */
    atomic_store_explicit(&page->free_count, hak_page_free_count(page) + (uint32_t)run.count,
                          memory_order_relaxed);
    return run.count;
}

#endif
