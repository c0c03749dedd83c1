/*
 * slots: blocks of up to 64 KiB in a hardened process.
 *
 *   hak_slots_take → hak_pen_page  a page with free slots
 *                  → slot_choose   any of them
 *                  → slot_fill     still as it was left? then the canary behind the bytes
 *   hak_slots_give → slot_find     stops at what is no live block
 *                  → slot_verify   nobody wrote behind the block or in front of it
 *                  → slot_clear    zero
 *                  → slot_rest     not free yet
 *
 * A slot that is not live is zero, but for the canary behind the bytes that were last asked for.
 * Slot 0 of a page is never handed out: what stands before slot 1 is ours.
 */
#include "front/harden/pen.h"

/* From this many bytes at rest on, large slots give their memory back while they rest. */
#define RESTING_BYTES_MAX (8 * HAK_MIB)
#define PURGE_BYTES_MIN (16 * HAK_KIB)
/* Of a slot that was never used, what is looked at from either end. */
#define FRESH_BYTES (4 * HAK_KIB)

/* Whether a slot that is not live is as it was left. */
static HAK_INLINED bool slot_is_unused(struct hak_slot slot, size_t slack)
{
    uint64_t canary = hak_canary_of(slot.start);
    size_t bytes = hak_slot_bytes(slot);
    if (HAK_LIKELY(slack <= HAK_CANARY_NEAR)) {
        return hak_canary_is_zero(slot.start, bytes - HAK_CANARY_NEAR) &&
               hak_canary_near_holds(slot.end, slack, canary, true);
    }
    return hak_canary_is_zero(slot.start, bytes - slack) &&
           hak_canary_holds(slot.end - slack, slot.end, canary);
}

/* Whether one that was never used is zero, but for the canary at its end, as far as it gets memory
 * now: its first page and its last one. The rest of a large one, without any, is not looked at. */
static bool slot_is_fresh(struct hak_slot slot, size_t slack)
{
    const char *tail = slot.end - slack;
    size_t bytes = (size_t)(tail - slot.start);
    size_t first = hak_min(bytes, FRESH_BYTES);
    size_t last = hak_min(bytes - first, FRESH_BYTES);
    HAK_REWRITE(*(uint64_t *)(void *)slot.start); /* or reading is a fault of its own */
    HAK_REWRITE(*(uint64_t *)(void *)(slot.end - sizeof(uint64_t)));
    return hak_canary_is_zero(slot.start, first) && hak_canary_is_zero(tail - last, last) &&
           hak_canary_holds(tail, slot.end, hak_canary_of(slot.start));
}

/* ---- a free slot ---- */

static void page_take_slot(struct hak_page *page, size_t slot)
{
    page->free[slot / 64] &= ~((uint64_t)1 << slot % 64);
    /* relaxed: the lock orders it; others read it for reports. */
    atomic_store_explicit(&page->free_count, hak_page_free_count(page) - 1, memory_order_relaxed);
    hak_notes_of(page)->live++;
}

/* Any free slot of a page that has some: the next one from a random place on. */
static size_t slot_choose(struct hak_pen *pen, const struct hak_page *page)
{
    uint64_t random = hak_harden_random(&pen->random);
    size_t word_idx = (size_t)((random >> 32) * page->words >> 32);
    while (page->free[word_idx] == 0) {
        word_idx = word_idx + 1 < page->words ? word_idx + 1 : 0;
    }
    unsigned turn = random % 64;
    uint64_t bits = page->free[word_idx];
    bits = bits >> turn | bits << (-turn % 64);
    return word_idx * 64 + ((unsigned)__builtin_ctzll(bits) + turn) % 64;
}

/* Sets how many bytes of a slot are the user's; the canary behind them. `old` is the slack so far,
 * and there the canary stands. Bytes that become the user's are zero. */
static void slack_set(struct hak_page *page, size_t slot, size_t old, size_t size)
{
    char *start = hak_slot_start(page, slot);
    char *end = start + page->slot_bytes;
    size_t slack = page->slot_bytes - size;
    if (slack > old) {
        hak_canary_fill(start + size, end - old, hak_canary_of(start));
    }
    hak_lock_order(); /* a frozen page's slack holds the canary */
    hak_notes_of(page)->slacks[slot] = (uint16_t)(slack | HAK_SLOT_LIVE);
    hak_lock_order();
    if (slack < old) {
        memset(end - old, 0, old - slack);
    }
}

static char *slot_fill(struct hak_slot slot, size_t size)
{
    struct hak_notes *notes = hak_notes_of(slot.page);
    uint16_t *note = &notes->slacks[slot.idx];
    size_t old = hak_slot_slack(notes, slot.idx);
    size_t bytes = hak_slot_bytes(slot);
    size_t slack = bytes - size;
    if (HAK_UNLIKELY(slot.page->bin_idx == 0)) {
        *note = (uint16_t)(slack | HAK_SLOT_LIVE);
        return slot.start; /* there is nothing to look at */
    }
    bool never = hak_slot_is_new(notes, slot.idx);
    HAK_CHECK(HAK_UNLIKELY(never) ? slot_is_fresh(slot, old) : slot_is_unused(slot, old),
              HAK_MESSAGE_AFTER_FREE);
    if (HAK_LIKELY(hak_max(old, slack) <= HAK_CANARY_NEAR)) {
        *note = (uint16_t)hak_min(old, slack); /* as in slack_set(): the canary ... */
        hak_lock_order();
        hak_canary_near_fill(slot.end, slack, hak_canary_of(slot.start));
        hak_lock_order(); /* ... is never noted where it does not stand */
        *note = (uint16_t)(slack | HAK_SLOT_LIVE);
    } else {
        slack_set(slot.page, slot.idx, old, size);
    }
    if (HAK_UNLIKELY(note[-1] == HAK_SLACK_NONE)) {
        hak_canary_near_fill(slot.start, HAK_TAIL_BYTES, hak_canary_of(slot.start - bytes));
        hak_lock_order(); /* it never lives, not for an instruction */
        note[-1] = HAK_SLACK_TAIL;
    }
    return slot.start;
}

/* Lines of a slot that are fetched ahead, and its last one; the processor guesses those between. */
#define PREFETCH_LINES 4

/* From the word in front of it on, which may hold the canary of the slot before. As many for any
 * length: where a loop ends would be a guess. In line, or gcc 12 takes it for a function without
 * effect and drops its calls. */
static HAK_INLINED void slot_prefetch(const char *start, size_t bytes)
{
    uintptr_t at = hak_align_down((uintptr_t)start - 8, HAK_CACHE_LINE);
    uintptr_t last = (uintptr_t)start + bytes - 1;
    for (size_t line = 0; line < PREFETCH_LINES; line++) {
        __builtin_prefetch((const void *)at, 1);
        at = hak_min(at + HAK_CACHE_LINE, last);
    }
    __builtin_prefetch((const void *)last, 1);
}

/* The next block is chosen now, as things are, so that it is in the caches when it is wanted. */
static void next_prefetch(struct hak_pen *pen, struct hak_page *page)
{
    pen->next_page = page;
    pen->next_slot = slot_choose(pen, page);
    slot_prefetch(hak_slot_start(page, pen->next_slot), page->slot_bytes);
}

static char *page_take(struct hak_pen *pen, struct hak_page *page, size_t size)
{
    size_t slot = pen->next_slot;
    if (pen->next_page != page || (page->free[slot / 64] >> slot % 64 & 1) == 0) {
        slot = slot_choose(pen, page);
    }
    char *block = slot_fill(hak_slot_at(page, slot), size);
    page_take_slot(page, slot);
    if (++pen->takes % HAK_NOTICE_TAKES == 0) {
        hak_pen_notice();
    }
    if (hak_page_free_count(page) == 0) {
        bool waits = hak_notes_of(page)->live + (size_t)1 != page->slots;
        hak_pen_move(pen, page, waits ? HAK_ON_WAITING : HAK_ON_NONE);
        page = pen->lists[HAK_ON_PARTIAL].head;
    }
    if (page != NULL) {
        next_prefetch(pen, page);
    }
    return block;
}

void *hak_slots_take(size_t bin_idx, size_t size)
{
    struct hak_pen *pen = &hak_pens[bin_idx];
    hak_lock_take(&pen->lock);
    struct hak_page *page = pen->lists[HAK_ON_PARTIAL].head;
    if (HAK_UNLIKELY(page == NULL)) {
        page = hak_pen_page(pen, bin_idx);
    }
    for (int pass = 0; HAK_UNLIKELY(page == NULL) && pass < 2; pass++) {
        hak_lock_drop(&pen->lock);
        (void)hak_harden_let_go(pass == 0 ? 0 : HAK_PAGE_BYTES);
        hak_lock_take(&pen->lock);
        page = hak_pen_page(pen, bin_idx);
    }
    bool open = bin_idx == 0 && page != NULL && !hak_notes_of(page)->guarded;
    char *block = page == NULL || open ? NULL : page_take(pen, page, size);
    hak_lock_drop(&pen->lock);
    return open ? hak_slots_take(1, size) : block; /* a block of nothing that can be touched */
}

/* ---- a live slot ---- */

/* The slot of a block, whose pen is locked. Stops at what is no live block. */
static size_t slot_find(const struct hak_page *page, const char *block, uintptr_t tag,
                        enum hak_use use)
{
    if (hak_region_tag(hak_region_page_idx(block)) != tag) {
        hak_harden_refuse(use, HAK_FAULT_NO_BLOCK); /* its page was closed just now */
    }
    int64_t slot = hak_page_slot(page, block);
    if (slot < 0) {
        hak_harden_refuse(use, HAK_FAULT_INSIDE);
    }
    const struct hak_notes *notes = hak_notes_of(page);
    if (notes->retired) {
        hak_harden_refuse(use, HAK_FAULT_FREED);
    }
    if (!hak_slot_is_live(page, (size_t)slot)) {
        bool never = hak_slot_is_new(notes, (size_t)slot);
        hak_harden_refuse(use, never ? HAK_FAULT_NO_BLOCK : HAK_FAULT_FREED);
    }
    return (size_t)slot;
}

/* Locks the pen of a page and finds the slot; the caller unlocks. Where it lies is known before the
 * page's records have come from memory. */
static HAK_INLINED struct hak_pen *slot_lock(char *block, uintptr_t tag, enum hak_use use,
                                             struct hak_slot *slot)
{
    size_t bin_idx = hak_pen_bin(tag);
    struct hak_pen *pen = &hak_pens[bin_idx];
    size_t bytes = hak_classes[bin_idx].geometry.slot_bytes;
    slot_prefetch(block, bytes);
    hak_lock_take(&pen->lock);
    struct hak_page *page = hak_page_of(block);
    *slot = (struct hak_slot){page, slot_find(page, block, tag, use), block, block + bytes};
    return pen;
}

/* Stops if somebody wrote behind a live block, or in front of it. Its first bytes are touched only
 * when a call is about it: a program may take access to a page of its own away. */
static HAK_INLINED void slot_verify(struct hak_slot slot, bool called)
{
    const struct hak_notes *notes = hak_notes_of(slot.page);
    size_t slack = hak_slot_slack(notes, slot.idx);
    uint64_t canary = hak_canary_of(slot.start);
    if (HAK_UNLIKELY(slot.page->bin_idx == 0)) {
        return;
    }
    HAK_CHECK(HAK_LIKELY(slack <= HAK_CANARY_NEAR)
                  ? hak_canary_near_holds(slot.end, slack, canary, false)
                  : hak_canary_holds(slot.end - slack, slot.end, canary),
              HAK_MESSAGE_PAST_END);
    HAK_CHECK(hak_canary_holds_last(slot.start, hak_slot_slack(notes, slot.idx - 1),
                                    hak_canary_of(slot.start - hak_slot_bytes(slot)), called),
              HAK_MESSAGE_BEFORE);
}

/* Clears a freed slot; a large one by giving its memory back when there is much at rest. */
static HAK_INLINED void slot_clear(const struct hak_pen *pen, struct hak_slot slot)
{
    size_t slack = hak_slot_slack(hak_notes_of(slot.page), slot.idx);
    size_t bytes = hak_slot_bytes(slot);
    char *start = slot.start;
    char *end = slot.end - slack;
    if (HAK_UNLIKELY(slot.page->bin_idx == 0)) {
        return;
    }
    if (HAK_LIKELY(slack <= HAK_CANARY_NEAR && bytes <= HAK_SMALL_MAX)) {
        hak_canary_clear(start, bytes - HAK_CANARY_NEAR);
        hak_canary_near_fill(slot.end, slack, hak_canary_of(start));
        return;
    }
    if (bytes >= PURGE_BYTES_MIN && pen->resting_bytes >= RESTING_BYTES_MAX) {
        size_t os_page = hak_os_page_bytes();
        char *from = (char *)hak_align_up((uintptr_t)start, os_page);
        char *to = (char *)hak_align_down((uintptr_t)end, os_page);
        if (to > from && hak_os_purge(from, (size_t)(to - from))) {
            memset(start, 0, (size_t)(from - start));
            start = to;
        }
    }
    memset(start, 0, (size_t)(end - start));
}

/* Notes that a slot rests from now on. */
static HAK_INLINED void slot_rest(struct hak_pen *pen, struct hak_slot slot)
{
    struct hak_page *page = slot.page;
    struct hak_notes *notes = hak_notes_of(page);
    if (HAK_UNLIKELY(page->list == HAK_ON_FROZEN)) {
        return;
    }
    hak_pen_age(pen, page);
    size_t half = notes->epoch % 2;
    notes->rests[half * page->words + slot.idx / 64] |= (uint64_t)1 << slot.idx % 64;
    notes->rest_counts[half]++;
    notes->live--;
    pen->resting_bytes += page->slot_bytes;
    if (notes->live == 0) {
        hak_pen_move(pen, page, HAK_ON_EMPTY);
    } else if (page->list == HAK_ON_NONE) {
        hak_pen_move(pen, page, HAK_ON_WAITING);
    }
}

void hak_slots_give(char *block, uintptr_t tag)
{
    struct hak_slot slot;
    struct hak_pen *pen = slot_lock(block, tag, HAK_USE_FREE, &slot);
    slot_verify(slot, true);
    slot_clear(pen, slot);
    hak_lock_order(); /* not live and not zero is what somebody wrote to after the free */
    hak_notes_of(slot.page)->slacks[slot.idx] &= HAK_SLACK_MASK;
    slot_rest(pen, slot); /* last: a handler that allocates here does not get it half cleared */
    if (pen->empty_bytes > HAK_EMPTY_BYTES_MAX || pen->lists[HAK_ON_RETIRED].head != NULL) {
        hak_pen_tidy(pen, HAK_EMPTY_BYTES_MAX);
    }
    hak_lock_drop(&pen->lock);
}

bool hak_slots_resize(char *block, uintptr_t tag, size_t size, size_t *old_bytes)
{
    struct hak_slot slot;
    struct hak_pen *pen = slot_lock(block, tag, HAK_USE_REALLOC, &slot);
    slot_verify(slot, true);
    size_t bytes = hak_slot_bytes(slot);
    size_t slack = hak_slot_slack(hak_notes_of(slot.page), slot.idx);
    *old_bytes = bytes - slack;
    bool stays =
        size < bytes && bytes - size <= HAK_SLACK_MAX && (size == 0) == (slot.page->bin_idx == 0);
    if (stays && size != 0) {
        slack_set(slot.page, slot.idx, slack, size);
    }
    hak_lock_drop(&pen->lock);
    return stays;
}

size_t hak_slots_size(const char *block, uintptr_t tag, enum hak_use use)
{
    struct hak_slot slot;
    struct hak_pen *pen = slot_lock((char *)(uintptr_t)block, tag, use, &slot);
    size_t slack = hak_slot_slack(hak_notes_of(slot.page), slot.idx);
    hak_lock_drop(&pen->lock);
    return hak_slot_bytes(slot) - slack;
}

size_t hak_slots_resting_bytes(const struct hak_page *page, uintptr_t tag)
{
    struct hak_pen *pen = &hak_pens[hak_pen_bin(tag)];
    size_t bytes = 0;
    hak_lock_take(&pen->lock);
    if (hak_region_tag(hak_page_idx(page)) == tag) { /* else it was closed just now */
        const struct hak_notes *notes = hak_notes_of(page);
        size_t not_resting = (size_t)1 + notes->live + hak_page_free_count(page);
        bytes =
            notes->retired ? hak_page_bytes(page) : (page->slots - not_resting) * page->slot_bytes;
    }
    hak_lock_drop(&pen->lock);
    return bytes;
}

/* ---- all of them ---- */

void hak_slots_look(struct hak_page *page, bool live_only)
{
    const struct hak_notes *notes = hak_notes_of(page);
    bool known = notes != NULL && !notes->retired && page->bin_idx != 0;
    for (size_t slot = 1; known && slot < page->slots; slot++) {
        if (hak_slot_is_live(page, slot)) {
            slot_verify(hak_slot_at(page, slot), false);
        }
    }
    for (size_t slot = 0; known && !live_only && slot < page->slots; slot++) {
        HAK_CHECK(hak_slot_is_live(page, slot) ||
                      slot_is_unused(hak_slot_at(page, slot), hak_slot_slack(notes, slot)),
                  HAK_MESSAGE_AFTER_FREE);
    }
}

void hak_slots_check(struct hak_page *page, uintptr_t tag)
{
    struct hak_pen *pen = &hak_pens[hak_pen_bin(tag)];
    bool half_way = hak_lock_is_mine(&pen->lock); /* a handler ends what it interrupted */
    hak_lock_take(&pen->lock);
    if (hak_region_tag(hak_page_idx(page)) == tag) { /* else it was closed just now */
        hak_slots_look(page, half_way || page->list == HAK_ON_FROZEN);
    }
    hak_lock_drop(&pen->lock);
}
