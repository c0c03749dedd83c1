/*
 * heap: what a thread allocates from.
 *
 * Purpose   a bin a size class with a magazine of block pointers, the pages that the heap owns,
 *           and a buffer of blocks on their way to other heaps.
 * Owner     one thread at a time. Heaps are type-stable: they are never unmapped, and the next
 *           thread takes the heap of one that ended, with all it holds.
 * Threads   bins, magazines and the remote table are the owner's alone. Pages, shelves and records
 *           belong to whoever holds the heap; an owner does so in its slow paths only. The states:
 *
 *               IDLE         a thread has it and is in no slow path
 *               BUSY         its thread is in a slow path
 *               ORPHAN       its thread ended; the next one takes it as it is
 *               ORPHAN_HELD  another thread holds it for a moment: drains it, sweeps its pages
 *               FROZEN       after a fork: its thread or its holder is not in this process and may
 *                            have stood in the middle of an operation; its blocks live on, nobody
 *                            touches the heap
 *
 *           An IDLE heap may be held, too, by whoever sets `holder`; its owner waits then when it
 *           wants to enter a slow path. Owners enter often and are held rarely, so they pay with a
 *           store and a load, and the holder with a barrier on all CPUs (asymmetric Dekker):
 *
 *               owner                           holder
 *               state = BUSY                    holder = 1 by CAS
 *               read holder; 1: back to IDLE,   barrier on all CPUs
 *               and wait                        read state; not IDLE: holder = 0, hands off
 *
 *           Whichever of the two stores came second sees the first one.
 */
#ifndef HAK_HEAP_H
#define HAK_HEAP_H

#include "front/bin.h"
#include "front/classes.h"
#include "front/observe/tally.h"
#include "segment/run.h"

#define HAK_HEAP_ALIGN ((size_t)4096)
/* Frees of NULL, from a thread's first block on, that may be libc's at the end of the thread. */
#define HAK_NULL_LOOKS 1000

/* A list of pages, linked through their descriptors. */
struct hak_page_list {
    struct hak_page *head, *tail; /* [holder] */
};

/* The pages behind a bin; see enum hak_list in page.h. */
struct hak_shelf {
    struct hak_page_list lists[HAK_LISTS]; /* [holder] the head of PARTIAL is current */
    _Atomic(uint32_t) spare;               /* [holder, atomic for others] pages on SPARE */
    uint32_t last_miss;                    /* [owner] the heap's entries at the last one */
    uint16_t capacity;                     /* [owner] of the magazine; 0: it has none */
    uint8_t misses;                        /* [owner] that speak for growing */
    bool last_was_refill;                  /* [owner] or a flush */
    bool idle;                             /* [owner] no miss since the last tick */
    struct hak_tally tally;
};

/* Blocks of other heaps, gathered by bitmap word. `key` is the address of the page's descriptor
 * plus the word's number in its bitmap; 0 for an entry that is not in use. */
#define HAK_REMOTE_ENTRIES 256
struct hak_remote_entry {
    uintptr_t key; /* [owner] */
    uint64_t bits; /* [owner] */
};

_Static_assert(_Alignof(struct hak_page) >= 64, "a word's number, up to 63, fits below an address");

enum hak_heap_state {
    HAK_HEAP_IDLE,
    HAK_HEAP_BUSY,
    HAK_HEAP_ORPHAN,
    HAK_HEAP_ORPHAN_HELD,
    HAK_HEAP_FROZEN,
};

struct hak_policy;

struct hak_heap {
    /* What the fast paths read: the first 4 KiB. */
    struct hak_bin bins[HAK_BINS];
    uintptr_t arena_base;     /* [const while owned] */
    size_t arena_pages;       /* [owner] pages known to have tags */
    _Atomic(uintptr_t) *tags; /* [const while owned] */

    uint32_t null_looks;              /* [owner] of HAK_NULL_LOOKS, those that are left */
    uint32_t seen_ticks;              /* [owner] of the purge clock, at the last tidying */
    uint32_t seen_trims;              /* [owner] of malloc_trim() calls, obeyed so far */
    uint32_t sweep_bin;               /* [owner] where the next sweep of partial pages goes on */
    _Atomic(uint64_t) magazine_bytes; /* [owner, atomic for others] what all magazines could hold */
    size_t remote_bytes;              /* [owner] in the remote buffer */
    uint32_t depth;                   /* [owner] slow paths inside each other; 0 outside of them */
    uint32_t seen_forks;        /* [holder] forks before this process that it was mended after */
    struct hak_heap *next;      /* [const after it was published] all heaps ever made */
    struct hak_heap *orphan_at; /* [owner] where the next search for orphans' pages goes on */
    struct hak_heap *idle_at;   /* [owner] the heap that may be idle ... */
    uint32_t idle_entries;      /* [owner] ... and its entries when it was seen last */
    struct hak_meta_pool meta;  /* [owner] */
    const struct hak_policy *policy; /* [owner] the last one it obeys; see front/policy/policy.h */

    struct hak_shelf shelves[HAK_BINS];                 /* [owner] */
    struct hak_remote_entry remote[HAK_REMOTE_ENTRIES]; /* [owner] */
    struct hak_mark marks[HAK_MARKS_MAX];               /* [owner] */

    char apart[HAK_CACHE_LINE]; /* what others write is on no line with what the owner does */
    _Atomic(struct hak_page *) pending; /* [any, atomic] pages with remote frees to collect */
    _Atomic(uint32_t) state;            /* [any, atomic] enum hak_heap_state */
    _Atomic(uint32_t) holder;           /* [any, atomic] 1: the IDLE heap is held, or about to be */
    _Atomic(uint32_t) entries;          /* [owner, atomic for others] slow paths entered */
    _Atomic(size_t) page_count;         /* [holder, atomic for others] pages and spans owned */
    _Atomic(uint32_t) tick_entries;     /* [who does the tick, atomic] `entries` at the last one */
    _Atomic(uint32_t) tended_entries;   /* [holder, atomic] `entries` when it was last tended */
    char behind[HAK_CACHE_LINE];
};

_Static_assert(offsetof(struct hak_heap, shelves) < HAK_HEAP_ALIGN + 512, "hot fields come first");
_Static_assert(offsetof(struct hak_heap, seen_ticks) <= HAK_HEAP_ALIGN, "the fast paths' 4 KiB");
_Static_assert(sizeof(struct hak_bin) == 2 * HAK_GRAIN, "size in grains to bin is one shift");

/* The calling thread's heap; before its first block and after its end, one that holds nothing. */
extern HAK_HIDDEN _Thread_local struct hak_heap *hak_heap_self;

/* Enters a slow path: the thread's heap, made or taken over if it has none yet, or borrowed if the
 * thread has ended already. NULL when memory is out. hak_heap_leave() undoes. */
struct hak_heap *hak_heap_enter(void);
void hak_heap_leave(struct hak_heap *heap);

/* Whether the calling thread has handed its heap on already. */
bool hak_heap_has_ended(void);

/* NULL was freed: it may be libc, at the end of the thread. */
void hak_heap_freed_null(void);

/* Magazines and pages (refill.c). Refill returns one block and leaves more in the bin, or NULL. */
void *hak_heap_refill(struct hak_heap *heap, size_t bin_idx);
void *hak_heap_large(struct hak_heap *heap, size_t size, size_t alignment);
void hak_heap_flush(struct hak_heap *heap, size_t bin_idx, size_t count);
void hak_heap_flush_all(struct hak_heap *heap);
void hak_heap_make_room(struct hak_heap *heap, size_t bin_idx);
void hak_heap_warm(struct hak_heap *heap, size_t bin_idx, size_t blocks);

/* Pages behind a bin (shelf.c). */
struct hak_page *hak_shelf_page(struct hak_heap *heap, size_t bin_idx);
struct hak_page *hak_shelf_current(struct hak_heap *heap, size_t bin_idx);
void hak_shelf_freed(struct hak_heap *heap, struct hak_page *page);
void hak_shelf_sweep(struct hak_heap *heap, size_t budget);
void hak_shelf_drain(struct hak_heap *heap, bool rest);
void hak_shelf_mend(struct hak_heap *heap);
void hak_shelf_rest(struct hak_heap *heap);
bool hak_shelf_adopt(struct hak_heap *heap, size_t bin_idx);

/* Blocks of other heaps (remote.c). Freeing one is true when there are enough for a flush. */
extern HAK_HIDDEN _Atomic(uint64_t) hak_remote_now[HAK_BINS]; /* [any, atomic] without a heap */
bool hak_remote_free(struct hak_heap *heap, void *block);
void hak_remote_flush(struct hak_heap *heap);
void hak_remote_free_now(void *block);

/* Gives back what the calling thread's heap may spare: at a tick what is idle, for a trim all. */
void hak_heap_tidy(struct hak_heap *heap);
void hak_heap_release_all(struct hak_heap *heap);

/* [any, atomic] The list of all heaps, which only grows (thread.c); and how many have no thread, or
 * have one, about. */
extern HAK_HIDDEN _Atomic(struct hak_heap *) hak_all_heaps;
struct hak_heap *hak_heap_first(void);
uint32_t hak_heap_orphans(void);
uint32_t hak_heap_owned(void);

/* Holding an orphan, or an idle thread's heap, for a moment (thread.c). False: it is in use. */
bool hak_heap_hold_orphan(struct hak_heap *heap);
bool hak_heap_hold_idle(struct hak_heap *heap);
void hak_heap_let_go_orphan(struct hak_heap *heap);
void hak_heap_let_go_idle(struct hak_heap *heap);

/* Somebody has put a page on an orphan's list: drains it, if nobody else does (thread.c). */
void hak_heap_help(struct hak_heap *heap);

/* Reads the clock; does what is due at a tick for all heaps whose threads idle (thread.c). */
void hak_heap_poll(void);
/* malloc_trim() for all heaps but the own one, whatever their state; the bytes it gave back. */
size_t hak_heap_trim(void);

/* In the child of a fork (thread.c). */
void hak_heap_fork_child(void);

/* Magazines, shelves and pages of the calling thread's heap agree. Any time. */
bool hak_heap_is_valid(void);

static inline bool hak_heap_is_real(const struct hak_heap *heap)
{
    return heap->arena_base != 0;
}

static inline uint32_t hak_heap_entries(const struct hak_heap *heap)
{
    /* relaxed: one writer, the owner; others look whether it changes. */
    return atomic_load_explicit(&heap->entries, memory_order_relaxed);
}

#endif
