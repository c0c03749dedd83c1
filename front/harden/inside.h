/*
 * inside: what the files of front/harden/ share.
 *
 * Threads   see harden.h.
 */
#ifndef HAK_INSIDE_H
#define HAK_INSIDE_H

#include "front/harden/canary.h"
#include "front/harden/harden.h"
#include "front/harden/lock.h"
#include "segment/page.h"

/* Allocations that a freed block is kept from use for, at least: all in slots, or all large ones.
 */
#define HAK_REST_TAKES 1000

/* Those of a class are noticed by the process in bundles. An epoch is so long that it does not
 * matter which are not noticed yet. */
#define HAK_NOTICE_TAKES 4
#define HAK_EPOCH_TAKES (HAK_REST_TAKES + HAK_BINS * (HAK_NOTICE_TAKES - 1))

#define HAK_MESSAGE_PAST_END "hakmem: write past the end of a block"
#define HAK_MESSAGE_BEFORE "hakmem: write before the start of a block"
#define HAK_MESSAGE_AFTER_FREE "hakmem: write to a block after it was freed"
#define HAK_MESSAGE_SIZE "hakmem: free with another size than the block was allocated with"

/* What is wrong with an address. */
enum hak_fault { HAK_FAULT_FREED, HAK_FAULT_INSIDE, HAK_FAULT_NO_BLOCK, HAK_FAULTS };

/* Stops the process. */
_Noreturn void hak_harden_refuse(enum hak_use use, enum hak_fault fault);

/* A small generator, seeded at start: which slot is next is not to be known from outside.
 * splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static inline uint64_t hak_harden_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* Takes all access to a guard away, and counts it: each splits a mapping, and there may be 65530.
 * False: there are enough. hak_fence_open() undoes; false when the kernel refuses. */
bool hak_fence_close(void *start, size_t bytes);
bool hak_fence_open(void *start, size_t bytes);

/* Zero in pages that were just claimed. They are, but where a purge was refused. */
void hak_harden_clear(size_t page_idx, size_t count);

/* ---- slots.c: blocks to 64 KiB ---- */

/* What is known about the slots of a page, apart from it. */
struct hak_notes {
    uint16_t *slacks; /* a slot: bytes behind those asked for, now or in its last life; or ... */
    uint32_t epoch;   /* when the page was last aged */
    uint16_t rest_counts[2]; /* slots in each half of `rests` */
    uint16_t live;           /* blocks */
    bool guarded;     /* pages behind the last slot cannot be touched; of bin 0, all of them */
    bool retired;     /* nothing lives here; no page of it can be touched, no slots are known */
    bool idle;        /* and it has no memory, so it does not count as taken */
    uint64_t rests[]; /* one bit a slot: freed in an even epoch; and as many words, in an odd one */
};
enum {
    HAK_SLACK_NONE = 0,      /* never used, all zero */
    HAK_SLACK_TAIL = 0x7fff, /* never used, and the last HAK_TAIL_BYTES hold the canary */
    HAK_SLACK_MAX = 0x7ffe,
    HAK_SLACK_MASK = 0x7fff,
    HAK_SLOT_LIVE = 0x8000, /* beside the slack */
};
#define HAK_TAIL_BYTES ((size_t)16)

void hak_slots_init(uint64_t *seed);

/* A zeroed block of a bin; NULL when memory is out. */
void *hak_slots_take(size_t bin_idx, size_t size);

/* For an address in a page whose tag is that. Stop at misuse. hak_slots_resize() stays in place or
 * returns false, and then has told the block's size. */
void hak_slots_give(char *block, uintptr_t tag);
bool hak_slots_resize(char *block, uintptr_t tag, size_t size, size_t *old_bytes);
size_t hak_slots_size(const char *block, uintptr_t tag, enum hak_use use);

/* What the tags of pages point at: as a heap's bins, for whoever asks a tag for its class. */
extern HAK_HIDDEN struct hak_bin hak_slots_marks[HAK_BINS];

/* Whether a tag is one of a page of slots. */
static inline bool hak_slots_own(uintptr_t tag)
{
    return tag - (uintptr_t)hak_slots_marks < sizeof hak_slots_marks;
}

/* See hak_harden_resting_bytes(). */
size_t hak_slots_resting_bytes(const struct hak_page *page, uintptr_t tag);

/* Looks at every slot of a page whose pen is locked, or at those that live: they are whole at every
 * instruction of whoever holds the lock, the others are not. */
void hak_slots_look(struct hak_page *page, bool live_only);

/* At exit: the same of a page that has that tag; of one that has it no more, at none. */
void hak_slots_check(struct hak_page *page, uintptr_t tag);

/* In the child of a fork: pens that are lost start anew, without the pages they had. Blocks in
 * those stay what they are, and rest for ever once they are freed. */
void hak_slots_settle(void);

/* ---- fence.c: large blocks; the same for an address in a page without such a tag ---- */

/* `room`: bytes that are wanted behind the block, to grow into. */
void *hak_fence_take(size_t size, size_t alignment, size_t room);
void hak_fence_give(char *block);
/* A block that shrinks to less than half of its run stays only where that must be. */
bool hak_fence_resize(char *block, size_t size, size_t *old_bytes, bool must);
size_t hak_fence_size(const char *block, enum hak_use use);

size_t hak_fence_resting_bytes(const struct hak_page *page);
/* Whether a live block starts in the page; then where, its bytes, and those of its run. */
bool hak_fence_look(size_t page_idx, void **block, size_t *bytes, size_t *all_bytes);

const struct hak_lock *hak_fence_lock_of(void); /* for reports */

/* Looks at the live block, if any, of a page with the tag of large blocks. */
void hak_fence_check(size_t page_idx);

/* As hak_slots_settle(): what was freed rests for ever. */
void hak_fence_settle(void);

/* Lets all freed large blocks go. */
void hak_fence_release_all(void);

/* ---- when memory is out ---- */

/* Takes the memory of what no block lives in, and keeps the addresses at rest. For whom that was
 * not enough and who wants so many `bytes`, it lets these go too, rested or not, unless it is the
 * limit that is in the way. True if there was any memory. No lock is held. */
bool hak_harden_let_go(size_t bytes);

#endif
