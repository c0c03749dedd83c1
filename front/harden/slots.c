/*
 * slots: blocks of up to 64 KiB in a hardened process.
 *
 *   hak_slots_take → page_find     a page with free slots: current, rested, emptied, new
 *                  → slot_choose   any of them
 *                  → slot_fill     still as it was left? then the canary behind the bytes
 *   hak_slots_give → slot_find     stops at what is no live block
 *                  → slot_verify   nobody wrote behind the block or in front of it
 *                  → slot_rest     zero; not free yet
 *
 * Pages are those of segment/page.h without an owning heap: `free` says which slots may be handed
 * out, `remote` and the notes' `fresh` which are at rest. Every HAK_REST_TAKES blocks, of whatever
 * size, begin an epoch. A slot that was freed in one epoch rests all through the next.
 *
 * A slot that is not live is zero, but for the canary behind the bytes that were last asked for.
 * Slot 0 of a page is never handed out: what stands before slot 1 is ours.
 *
 * Invariant of a page: live + |free| + |remote| + |fresh| + slot 0 == slots
 */
#include "front/harden/inside.h"
#include "segment/purge.h"

/* Pages without a live block that a class keeps as they are, in bytes. */
#define EMPTY_BYTES_MAX (4 * HAK_MIB)
/* From this many bytes at rest on, large slots give their memory back while they rest. */
#define RESTING_BYTES_MAX (8 * HAK_MIB)
#define PURGE_BYTES_MIN (16 * HAK_KIB)
/* Waiting pages that one search looks at. */
#define SEARCH_PAGES 4

/* Which list of its pen a page is on. */
enum {
    ON_NONE,    /* every slot is live */
    ON_PARTIAL, /* has free slots */
    ON_WAITING, /* has none, but some at rest; by epoch */
    ON_EMPTY,   /* no block lives here; by the time of the last free */
    ON_RETIRED, /* the same, and it cannot be touched; by the time it came here */
    LISTS,
};

struct pen {
    HAK_CACHE_ALIGNED
    struct hak_lock lock;              /* guards the pen, its pages and their notes */
    struct hak_page_list lists[LISTS]; /* [lock] */
    uint32_t takes;                    /* [lock] blocks handed out */
    uint64_t random;                   /* [lock] state of the generator */
    struct hak_page *next_page;        /* [lock] where the next block comes from, if it can ... */
    size_t next_slot;                  /* [lock] ... */
    size_t empty_bytes;                /* [lock] of the pages on ON_EMPTY */
    size_t resting_bytes;              /* [lock] of the slots at rest */
    struct hak_meta_pool meta;         /* [lock] */
};

static struct pen pens[HAK_BINS];

/* What the tags of pages point at: as a heap's bins, for whoever asks a tag for its class. */
static _Alignas(HAK_HEAP_ALIGN) struct hak_bin marks[HAK_BINS];

bool hak_slots_own(uintptr_t tag)
{
    return tag - (uintptr_t)marks < sizeof marks;
}

static size_t tag_bin(uintptr_t tag)
{
    return (tag - (uintptr_t)marks) / sizeof marks[0];
}

/* Blocks handed out by all pens, but for the last few of each: who rests does so a little longer.
 */
static _Atomic(uint64_t) all_takes; /* [any, atomic] */
#define TAKES_A_NOTICE 8

static void takes_count(struct pen *pen)
{
    if (++pen->takes % TAKES_A_NOTICE == 0) {
        /* relaxed: a count. */
        (void)atomic_fetch_add_explicit(&all_takes, TAKES_A_NOTICE, memory_order_relaxed);
    }
}

static uint32_t epoch_now(void)
{
    /* relaxed: a count. */
    return (uint32_t)(atomic_load_explicit(&all_takes, memory_order_relaxed) / HAK_REST_TAKES);
}

static struct hak_notes *notes_of(const struct hak_page *page)
{
    return page->notes;
}

static size_t notes_bytes(size_t slots, size_t words)
{
    return sizeof(struct hak_notes) + hak_align_up(slots * sizeof(uint16_t), 8) +
           words * sizeof(uint64_t);
}

static size_t page_bytes(const struct hak_page *page)
{
    return page->span_pages * HAK_PAGE_BYTES;
}

static char *slot_start(const struct hak_page *page, size_t slot)
{
    return hak_page_first_slot(page) + slot * page->slot_bytes;
}

/* Bytes of a slot that are not the user's. */
static size_t slack_of(const struct hak_notes *notes, size_t slot)
{
    uint16_t slack = notes->slacks[slot] & HAK_SLACK_MASK;
    return slack == HAK_SLACK_TAIL ? HAK_TAIL_BYTES : slack;
}

/* ---- lists ---- */

static void list_move(struct pen *pen, struct hak_page *page, uint8_t to)
{
    struct hak_page_list *list = &pen->lists[page->list];
    if (page->list != ON_NONE) {
        *(page->prev != NULL ? &page->prev->next : &list->head) = page->next;
        *(page->next != NULL ? &page->next->prev : &list->tail) = page->prev;
        pen->empty_bytes -= page->list == ON_EMPTY ? page_bytes(page) : 0;
    }
    page->list = to;
    if (to != ON_NONE) {
        list = &pen->lists[to];
        page->next = NULL;
        page->prev = list->tail;
        *(page->prev != NULL ? &page->prev->next : &list->head) = page;
        list->tail = page;
        pen->empty_bytes += to == ON_EMPTY ? page_bytes(page) : 0;
    }
}

/* ---- slots at rest ---- */

static void page_collect(struct pen *pen, struct hak_page *page)
{
    pen->resting_bytes -= (size_t)hak_page_collect(page) * page->slot_bytes;
}

/* Slots that have rested become free, as far as the pen's epoch says so. */
static void page_age(struct pen *pen, struct hak_page *page)
{
    struct hak_notes *notes = notes_of(page);
    uint32_t now = epoch_now();
    uint32_t since = now - notes->epoch;
    if (since == 0) {
        return;
    }
    notes->epoch = now;
    page_collect(pen, page);
    for (size_t i = 0; i < page->words; i++) {
        /* relaxed: the lock orders it; nobody else looks at a hardened page's bitmaps. */
        atomic_store_explicit(&page->remote[i], notes->fresh[i], memory_order_relaxed);
        notes->fresh[i] = 0;
    }
    if (since > 1) {
        page_collect(pen, page);
    }
}

static bool slot_is_live(const struct hak_page *page, size_t slot)
{
    return (notes_of(page)->slacks[slot] & HAK_SLOT_LIVE) != 0;
}

/* Stops if a slot that is not live is not as it was left. */
static void slot_verify_unused(const struct hak_page *page, size_t slot)
{
    size_t slack = slack_of(notes_of(page), slot);
    const char *start = slot_start(page, slot);
    const char *end = start + page->slot_bytes;
    HAK_CHECK(hak_canary_is_zero(start, page->slot_bytes - slack) &&
                  hak_canary_holds(end - slack, end, hak_canary_of(start)),
              HAK_MESSAGE_AFTER_FREE);
}

/* ---- pages ---- */

/* Pages behind the last slot. */
static char *guard_start(const struct hak_page *page)
{
    return (char *)hak_align_up((uintptr_t)slot_start(page, page->slots), hak_os_page_bytes());
}

static void page_guard(struct hak_page *page)
{
    char *start = guard_start(page);
    size_t bytes = (size_t)(hak_page_start(page) + page_bytes(page) - start);
    notes_of(page)->guarded = bytes != 0 && hak_fence_close(start, bytes);
}

static struct hak_page *page_new(struct pen *pen, size_t bin_idx)
{
    const struct hak_geometry *geometry = &hak_classes[bin_idx].geometry;
    size_t record_bytes = notes_bytes(geometry->slots, geometry->words);
    struct hak_notes *notes = hak_meta_take(&pen->meta, record_bytes);
    size_t page_idx = notes == NULL ? HAK_NO_PAGE
                                    : hak_pages_claim((enum hak_pool)geometry->pool,
                                                      geometry->span_pages, geometry->span_pages);
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
    notes->fresh = (uint64_t *)(void *)((char *)notes + record_bytes) - geometry->words;
    notes->epoch = epoch_now();
    page->notes = notes;
    page_guard(page);
    hak_region_set(page_idx, geometry->span_pages, (uintptr_t)&marks[bin_idx]);
    (void)hak_purge_poll();
    list_move(pen, page, ON_PARTIAL);
    return page;
}

/* Takes an emptied page out of use: whoever still touches it is stopped by the kernel, and its
 * memory goes back. Its address comes back when it has rested, too. False: no memory for a note. */
static bool page_retire(struct pen *pen, struct hak_page *page)
{
    struct hak_notes *notes = notes_of(page);
    struct hak_notes *small = hak_meta_take(&pen->meta, sizeof *small);
    if (small == NULL) {
        return false;
    }
    hak_slots_check(page);
    notes->epoch = epoch_now() - 2; /* every slot becomes free */
    page_age(pen, page);
    char *start = hak_page_start(page);
    size_t bytes = page_bytes(page);
    if (!hak_os_purge(start, bytes)) {
        memset(start, 0, (size_t)(slot_start(page, page->slots) - start));
    }
    bool hidden = notes->guarded ? hak_os_hide(start, bytes) : hak_fence_close(start, bytes);
    *small = (struct hak_notes){
        .epoch = epoch_now(), .guarded = notes->guarded || hidden, .retired = true};
    hak_meta_give(&pen->meta, notes, notes_bytes(page->slots, page->words));
    page->notes = small;
    list_move(pen, page, ON_RETIRED);
    return true;
}

/* Gives a retired page back. False: the kernel refuses to make it writable, so it stays. */
static bool page_close(struct pen *pen, struct hak_page *page)
{
    struct hak_notes *notes = notes_of(page);
    if (notes->guarded && !hak_fence_open(hak_page_start(page), page_bytes(page))) {
        return false;
    }
    list_move(pen, page, ON_NONE);
    hak_meta_give(&pen->meta, notes, sizeof *notes);
    page->notes = NULL;
    void *never = slot_start(page, 0);
    (void)hak_page_give(page, &never, 1);
    return hak_page_close(page, (uintptr_t)pen, &pen->meta);
}

/* Retires the oldest emptied pages beyond what may stay, and closes what has rested. */
static void pen_tidy(struct pen *pen, size_t empty_bytes_max)
{
    struct hak_page *page;
    while (pen->empty_bytes > empty_bytes_max && page_retire(pen, pen->lists[ON_EMPTY].head)) {
    }
    while ((page = pen->lists[ON_RETIRED].head) != NULL &&
           epoch_now() - notes_of(page)->epoch > 1 && page_close(pen, page)) {
    }
}

/* When memory is out: gives back what no block lives in, rested or not. */
static void slots_release_all(void)
{
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        struct pen *pen = &pens[bin_idx];
        struct hak_page *page;
        hak_lock_take(&pen->lock);
        pen_tidy(pen, 0);
        while ((page = pen->lists[ON_RETIRED].head) != NULL && page_close(pen, page)) {
        }
        hak_lock_drop(&pen->lock);
    }
}

/* ---- a free slot ---- */

/* A page whose slots at rest may be free by now, and have become so. */
static struct hak_page *page_rested(struct pen *pen)
{
    struct hak_page *page = pen->lists[ON_WAITING].head;
    for (size_t i = 0; page != NULL && i < SEARCH_PAGES; i++) {
        struct hak_page *next = page->next;
        if (notes_of(page)->epoch == epoch_now()) {
            break; /* and so are those behind it */
        }
        page_age(pen, page);
        if (hak_page_free_count(page) != 0) {
            return page;
        }
        list_move(pen, page, ON_WAITING); /* to the end: its epoch is the last one now */
        page = next;
    }
    page = pen->lists[ON_EMPTY].tail;
    if (page == NULL || hak_page_free_count(page) != 0) {
        return page;
    }
    page = pen->lists[ON_EMPTY].head;
    page_age(pen, page);
    return hak_page_free_count(page) != 0 ? page : NULL;
}

static struct hak_page *page_find(struct pen *pen, size_t bin_idx)
{
    struct hak_page *page = pen->lists[ON_PARTIAL].head;
    if (page != NULL) {
        return page;
    }
    page = page_rested(pen);
    if (page != NULL) {
        list_move(pen, page, ON_PARTIAL);
        return page;
    }
    pen_tidy(pen, EMPTY_BYTES_MAX);
    return page_new(pen, bin_idx);
}

static void page_take_slot(struct hak_page *page, size_t slot)
{
    page->free[slot / 64] &= ~((uint64_t)1 << slot % 64);
    /* relaxed: the lock orders it; others read it for reports. */
    atomic_store_explicit(&page->free_count, hak_page_free_count(page) - 1, memory_order_relaxed);
    notes_of(page)->live++;
}

/* Any free slot of a page that has some: the next one from a random place on. */
static size_t slot_choose(struct pen *pen, const struct hak_page *page)
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
    char *start = slot_start(page, slot);
    char *end = start + page->slot_bytes;
    size_t slack = page->slot_bytes - size;
    if (slack > old) {
        hak_canary_fill(start + size, end - old, hak_canary_of(start));
    } else {
        memset(end - old, 0, old - slack);
    }
    notes_of(page)->slacks[slot] = (uint16_t)(slack | HAK_SLOT_LIVE);
}

static char *slot_fill(struct hak_page *page, size_t slot, size_t size)
{
    struct hak_notes *notes = notes_of(page);
    if (notes->slacks[slot] != HAK_SLACK_NONE || page->slot_bytes <= HAK_SMALL_MAX) {
        slot_verify_unused(page, slot); /* a large one that was never used has no memory yet */
    }
    slack_set(page, slot, slack_of(notes, slot), size);
    if (notes->slacks[slot - 1] == HAK_SLACK_NONE) {
        slack_set(page, slot - 1, 0, page->slot_bytes - HAK_TAIL_BYTES);
        notes->slacks[slot - 1] = HAK_SLACK_TAIL;
    }
    return slot_start(page, slot);
}

/* Lines of a slot that are fetched ahead; of a longer one the processor guesses the rest. */
#define PREFETCH_LINES 16

static void slot_prefetch(const char *start, size_t bytes)
{
    const char *end = start + hak_min(bytes, PREFETCH_LINES * HAK_CACHE_LINE);
    __builtin_prefetch(start - 1, 1);
    for (const char *at = start; at < end; at += HAK_CACHE_LINE) {
        __builtin_prefetch(at, 1);
    }
}

/* The next block is chosen now, as things are, so that it is in the caches when it is wanted. */
static void next_prefetch(struct pen *pen, struct hak_page *page)
{
    pen->next_page = page;
    pen->next_slot = slot_choose(pen, page);
    slot_prefetch(slot_start(page, pen->next_slot), page->slot_bytes);
}

void *hak_slots_take(size_t bin_idx, size_t size)
{
    struct pen *pen = &pens[bin_idx];
    hak_lock_take(&pen->lock);
    struct hak_page *page = page_find(pen, bin_idx);
    if (page == NULL) {
        hak_lock_drop(&pen->lock);
        slots_release_all();
        (void)hak_fence_release_all();
        hak_lock_take(&pen->lock);
        page = page_find(pen, bin_idx);
    }
    char *block = NULL;
    if (page != NULL) {
        size_t slot = pen->next_slot;
        if (pen->next_page != page || (page->free[slot / 64] >> slot % 64 & 1) == 0) {
            slot = slot_choose(pen, page);
        }
        block = slot_fill(page, slot, size);
        page_take_slot(page, slot);
        takes_count(pen);
        if (hak_page_free_count(page) == 0) {
            bool waits = notes_of(page)->live + (size_t)1 != page->slots;
            list_move(pen, page, waits ? ON_WAITING : ON_NONE);
        } else {
            next_prefetch(pen, page);
        }
    }
    hak_lock_drop(&pen->lock);
    return block;
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
    const struct hak_notes *notes = notes_of(page);
    if (notes->retired) {
        hak_harden_refuse(use, HAK_FAULT_FREED);
    }
    if (!slot_is_live(page, (size_t)slot)) {
        uint16_t slack = notes->slacks[slot];
        bool never = slack == HAK_SLACK_NONE || slack == HAK_SLACK_TAIL;
        hak_harden_refuse(use, never ? HAK_FAULT_NO_BLOCK : HAK_FAULT_FREED);
    }
    return (size_t)slot;
}

/* Locks the pen of a page and finds the slot; the caller unlocks. */
static struct pen *slot_lock(const char *block, uintptr_t tag, enum hak_use use,
                             struct hak_page **page, size_t *slot)
{
    struct pen *pen = &pens[tag_bin(tag)];
    slot_prefetch(block, hak_classes[tag_bin(tag)].geometry.slot_bytes);
    hak_lock_take(&pen->lock);
    *page = hak_page_of(block);
    *slot = slot_find(*page, block, tag, use);
    return pen;
}

/* Stops if somebody wrote behind a live block, or in front of it. */
static void slot_verify(const struct hak_page *page, size_t slot)
{
    const struct hak_notes *notes = notes_of(page);
    const char *start = slot_start(page, slot);
    const char *end = start + page->slot_bytes;
    HAK_CHECK(hak_canary_holds(end - slack_of(notes, slot), end, hak_canary_of(start)),
              HAK_MESSAGE_PAST_END);
    HAK_CHECK(hak_canary_holds_last(start, slack_of(notes, slot - 1),
                                    hak_canary_of(start - page->slot_bytes)),
              HAK_MESSAGE_BEFORE);
}

/* Clears a freed slot; a large one by giving its memory back when there is much at rest. */
static void slot_clear(const struct pen *pen, char *start, size_t bytes)
{
    if (bytes < PURGE_BYTES_MIN || pen->resting_bytes < RESTING_BYTES_MAX) {
        memset(start, 0, bytes);
        return;
    }
    size_t os_page = hak_os_page_bytes();
    char *from = (char *)hak_align_up((uintptr_t)start, os_page);
    char *to = (char *)hak_align_down((uintptr_t)start + bytes, os_page);
    if (to > from && hak_os_purge(from, (size_t)(to - from))) {
        memset(start, 0, (size_t)(from - start));
        memset(to, 0, (size_t)(start + bytes - to));
    } else {
        memset(start, 0, bytes);
    }
}

static void slot_rest(struct pen *pen, struct hak_page *page, size_t slot)
{
    struct hak_notes *notes = notes_of(page);
    slot_clear(pen, slot_start(page, slot), page->slot_bytes - slack_of(notes, slot));
    uint32_t epoch = notes->epoch;
    page_age(pen, page);
    notes->fresh[slot / 64] |= (uint64_t)1 << slot % 64;
    notes->slacks[slot] &= HAK_SLACK_MASK;
    notes->live--;
    pen->resting_bytes += page->slot_bytes;
    uint8_t to = notes->live == 0                 ? ON_EMPTY
                 : hak_page_free_count(page) != 0 ? ON_PARTIAL
                                                  : ON_WAITING;
    if (page->list != to || (epoch != notes->epoch && to == ON_WAITING)) {
        list_move(pen, page, to);
    }
}

void hak_slots_give(char *block, uintptr_t tag)
{
    struct hak_page *page;
    size_t slot;
    struct pen *pen = slot_lock(block, tag, HAK_USE_FREE, &page, &slot);
    slot_verify(page, slot);
    slot_rest(pen, page, slot);
    pen_tidy(pen, EMPTY_BYTES_MAX);
    hak_lock_drop(&pen->lock);
}

bool hak_slots_resize(char *block, uintptr_t tag, size_t size, size_t *old_bytes)
{
    struct hak_page *page;
    size_t slot;
    struct pen *pen = slot_lock(block, tag, HAK_USE_REALLOC, &page, &slot);
    slot_verify(page, slot);
    size_t slack = slack_of(notes_of(page), slot);
    *old_bytes = page->slot_bytes - slack;
    bool stays = size < page->slot_bytes && page->slot_bytes - size <= HAK_SLACK_MAX;
    if (stays) {
        slack_set(page, slot, slack, size);
    }
    hak_lock_drop(&pen->lock);
    return stays;
}

size_t hak_slots_size(const char *block, uintptr_t tag, enum hak_use use)
{
    struct hak_page *page;
    size_t slot;
    struct pen *pen = slot_lock(block, tag, use, &page, &slot);
    size_t bytes = page->slot_bytes - slack_of(notes_of(page), slot);
    hak_lock_drop(&pen->lock);
    return bytes;
}

/* ---- all of them ---- */

void hak_slots_check(struct hak_page *page)
{
    const struct hak_notes *notes = notes_of(page);
    for (size_t slot = 1; !notes->retired && slot < page->slots; slot++) {
        if (slot_is_live(page, slot)) {
            slot_verify(page, slot);
        } else if (notes->slacks[slot] != HAK_SLACK_NONE) {
            slot_verify_unused(page, slot);
        }
    }
}

void hak_slots_lock(void)
{
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        hak_lock_take(&pens[bin_idx].lock);
    }
}

void hak_slots_unlock(void)
{
    for (size_t bin_idx = HAK_BINS; --bin_idx > 0;) {
        hak_lock_drop(&pens[bin_idx].lock);
    }
}

/* Fewer slots a page: behind the last one is room for a guard. */
void hak_slots_init(uint64_t *seed)
{
    size_t os_page = hak_os_page_bytes();
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        struct hak_geometry *geometry = &hak_classes[bin_idx].geometry;
        size_t bytes = geometry->span_pages * HAK_PAGE_BYTES;
        size_t guard_bytes = bytes >= 4 * os_page ? os_page : 0;
        geometry->slots =
            (uint16_t)((bytes - geometry->first_bytes - guard_bytes) / geometry->slot_bytes);
        geometry->words = (uint16_t)((geometry->slots + 63) / 64);
        pens[bin_idx].random = hak_harden_random(seed);
    }
}
