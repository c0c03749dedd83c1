/*
 * pen: what a hardened process allocates a size class from.
 *
 * Purpose   the pages of the class, by what can be had from them, and the clock of rest. Pages are
 *           those of segment/page.h without an owning heap: `free` says which slots may be handed
 *           out, the notes which are at rest. Every HAK_EPOCH_TAKES blocks, of whatever size, begin
 *           an epoch. A slot that was freed in one rests all through the next.
 *           Bin 0 is for blocks of no bytes: their slots cannot be touched.
 * Owner     the process; pages come and go, pens and the notes' records stay.
 * Threads   who holds the pen's lock.
 * Invariant of a page: live + |free| + |rests| + slot 0 == slots
 *           A frozen page has none: only which of its slots are live, and their slack, is known.
 */
#ifndef HAK_PEN_H
#define HAK_PEN_H

#include "front/harden/inside.h"

/* Pages without a live block that a class keeps as they are, in bytes. */
#define HAK_EMPTY_BYTES_MAX (4 * HAK_MIB)
/* Which list of its pen a page is on. */
enum hak_pen_list {
    HAK_ON_NONE,    /* every slot is live */
    HAK_ON_PARTIAL, /* has free slots: where blocks come from */
    HAK_ON_WAITING, /* has some at rest, or free ones; by the time it came here */
    HAK_ON_EMPTY,   /* no block lives here; by the time of the last free */
    HAK_ON_RETIRED, /* the same, and it cannot be touched; by the time it came here */
    HAK_PEN_LISTS,
    HAK_ON_FROZEN, /* on none, for ever: its pen was lost in a fork; see hak_slots_settle() */
};

struct hak_pen {
    HAK_CACHE_ALIGNED
    struct hak_lock lock;                      /* guards the pen, its pages and their notes */
    struct hak_page_list lists[HAK_PEN_LISTS]; /* [lock] */
    uint32_t takes;                            /* [lock] blocks handed out */
    uint64_t random;                           /* [lock] state of the generator */
    struct hak_page *next_page; /* [lock] where the next block comes from, if it can ... */
    size_t next_slot;           /* [lock] ... */
    size_t empty_bytes;         /* [lock] of the pages on HAK_ON_EMPTY */
    size_t resting_bytes;       /* [lock] of the slots at rest */
    struct hak_meta_pool meta;  /* [lock] */
};

extern HAK_HIDDEN struct hak_pen hak_pens[HAK_BINS];

/* A page with a free slot; NULL when memory is out. */
struct hak_page *hak_pen_page(struct hak_pen *pen, size_t bin_idx);

/* Puts a page on another list, or at that one's end. */
void hak_pen_move(struct hak_pen *pen, struct hak_page *page, uint8_t to);

/* Slots that have rested become free, as far as the clock says so. */
void hak_pen_age(struct hak_pen *pen, struct hak_page *page);

/* Tells all pens of HAK_NOTICE_TAKES blocks that one handed out. */
void hak_pen_notice(void);

/* Retires the oldest emptied pages beyond what may stay, and closes what has rested. */
void hak_pen_tidy(struct hak_pen *pen, size_t empty_bytes_max);

/* The bin of a tag for which hak_slots_own(). */
static inline size_t hak_pen_bin(uintptr_t tag)
{
    return (tag - (uintptr_t)hak_slots_marks) / sizeof hak_slots_marks[0];
}

static inline struct hak_notes *hak_notes_of(const struct hak_page *page)
{
    return page->notes;
}

static inline size_t hak_page_bytes(const struct hak_page *page)
{
    return page->span_pages * HAK_PAGE_BYTES;
}

static inline char *hak_slot_start(const struct hak_page *page, size_t slot)
{
    return page->first_slot + slot * page->slot_bytes;
}

/* A slot, and where it lies. */
struct hak_slot {
    struct hak_page *page;
    size_t idx;
    char *start, *end;
};

static inline struct hak_slot hak_slot_at(struct hak_page *page, size_t idx)
{
    char *start = hak_slot_start(page, idx);
    return (struct hak_slot){page, idx, start, start + page->slot_bytes};
}

static inline size_t hak_slot_bytes(struct hak_slot slot)
{
    return (size_t)(slot.end - slot.start);
}

/* Bytes of a slot that are not the user's. */
static inline size_t hak_slot_slack(const struct hak_notes *notes, size_t slot)
{
    uint16_t slack = notes->slacks[slot] & HAK_SLACK_MASK;
    return slack == HAK_SLACK_TAIL ? HAK_TAIL_BYTES : slack;
}

/* Whether a slot was never handed out. */
static inline bool hak_slot_is_new(const struct hak_notes *notes, size_t slot)
{
    return notes->slacks[slot] == HAK_SLACK_NONE || notes->slacks[slot] == HAK_SLACK_TAIL;
}

static inline bool hak_slot_is_live(const struct hak_page *page, size_t slot)
{
    return (hak_notes_of(page)->slacks[slot] & HAK_SLOT_LIVE) != 0;
}

#endif
