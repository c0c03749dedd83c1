/*
 * heap: what a thread allocates from.
 *
 * Purpose   a bin a size class with a magazine of block pointers, the pages that the heap owns,
 *           and a buffer of blocks on their way to other heaps.
 * Owner     one thread at a time. Heaps are type-stable: they are never unmapped, and the next
 *           thread takes the heap of one that ended, with all it holds.
 * Threads   everything is the owner's alone but `state` and `pending`. The states:
 *
 *               LIVE    a thread has it
 *               ORPHAN  its thread ended; the next one, or whoever needs its pages, may hold it
 *               HELD    somebody holds an orphan for a moment: drains it, takes pages from it
 *               FROZEN  after a fork: its thread is not in this process, and may have stood in the
 *                       middle of an operation; its blocks live on, nobody touches the heap
 */
#ifndef HAK_HEAP_H
#define HAK_HEAP_H

#include "front/classes.h"

#define HAK_HEAP_ALIGN ((size_t)4096)

/*
 * A magazine is an array; base[0] is NULL and the blocks lie in base[1] .. top[0].
 * Invariant: first == *top; base <= top <= limit; blocks == top - base.
 * An unused bin has first == NULL and top == limit, so that both paths leave at once.
 */
struct hak_bin {
    void *first;  /* [owner] the block that the next malloc returns, or NULL */
    void **top;   /* [owner] where that block stands in the magazine */
    void **limit; /* [owner] top of a full magazine */
    void **base;  /* [owner] */
};

/* The pages behind a bin. A page is on `partial` if it may have free slots, else on `full`. */
struct hak_shelf {
    struct hak_page *partial_head, *partial_tail; /* [owner] the head is the current page */
    struct hak_page *full_head;                   /* [owner] */
    uint32_t last_miss;                           /* [owner] the heap's entries at the last one */
    uint16_t capacity;                            /* [owner] of the magazine; 2^k - 1, or 0 */
    uint8_t misses;                               /* [owner] that speak for growing */
    bool last_was_refill;                         /* [owner] or a flush */
    bool idle;                                    /* [owner] no miss since the last tick */
};

/* Blocks of other heaps, gathered by bitmap word. `key` is the address of the page's descriptor
 * plus the word's number in its bitmap; 0 for an entry that is not in use. */
#define HAK_REMOTE_ENTRIES 256
struct hak_remote_entry {
    uintptr_t key; /* [owner] */
    uint64_t bits; /* [owner] */
};

_Static_assert(_Alignof(struct hak_page) >= 64, "a word's number, up to 63, fits below an address");

enum hak_heap_state { HAK_HEAP_LIVE, HAK_HEAP_ORPHAN, HAK_HEAP_HELD, HAK_HEAP_FROZEN };

struct hak_heap {
    /* What the fast paths read: the first 4 KiB. */
    struct hak_bin bins[HAK_BINS];
    uintptr_t arena_base;     /* [const while owned] */
    size_t arena_pages;       /* [owner] pages known to have tags */
    _Atomic(uintptr_t) *tags; /* [const while owned] */

    uint32_t entries;          /* [owner] slow paths entered; every few, the clock is read */
    uint32_t seen_ticks;       /* [owner] of the purge clock, at the last tidying */
    uint32_t seen_trims;       /* [owner] of malloc_trim() calls, obeyed so far */
    uint32_t sweep_bin;        /* [owner] where the next sweep of partial pages goes on */
    size_t magazine_bytes;     /* [owner] what all magazines could hold; bounded */
    size_t remote_bytes;       /* [owner] in the remote buffer */
    uint32_t exit_rounds;      /* [owner] of the thread's key destructor */
    bool busy;                 /* [owner] in a slow path: a fork here must not touch the heap */
    bool mend;                 /* [owner] forked while threads were running: see fork.c */
    struct hak_heap *next;     /* [const after it was published] all heaps ever made */
    struct hak_meta_pool meta; /* [owner] */

    struct hak_shelf shelves[HAK_BINS];                 /* [owner] */
    struct hak_remote_entry remote[HAK_REMOTE_ENTRIES]; /* [owner] */

    HAK_CACHE_ALIGNED
    _Atomic(struct hak_page *) pending; /* [any, atomic] pages with remote frees to collect */
    _Atomic(uint32_t) state;            /* [any, atomic] enum hak_heap_state */
    _Atomic(size_t) page_count;         /* [owner, atomic for others] pages and spans owned */
};

_Static_assert(offsetof(struct hak_heap, shelves) < HAK_HEAP_ALIGN + 512, "hot fields come first");
_Static_assert(offsetof(struct hak_heap, tags) + sizeof(void *) <= HAK_HEAP_ALIGN,
               "what the fast paths read stands in the first 4 KiB");
_Static_assert(sizeof(struct hak_bin) == 2 * HAK_GRAIN, "size in grains to bin is one shift");

/* The calling thread's heap; before its first block and after its end, one that holds nothing. */
extern HAK_HIDDEN _Thread_local struct hak_heap *hak_heap_self;

/* Enters a slow path: the thread's heap, made or taken over if it has none yet, or borrowed if the
 * thread has ended already. NULL when memory is out. hak_heap_leave() undoes. */
struct hak_heap *hak_heap_enter(void);
void hak_heap_leave(struct hak_heap *heap);

/* Magazines and pages (refill.c). Refill returns one block and leaves more in the bin, or NULL. */
void *hak_heap_refill(struct hak_heap *heap, size_t bin_idx);
void hak_heap_flush(struct hak_heap *heap, size_t bin_idx, size_t count);
void hak_heap_make_room(struct hak_heap *heap, size_t bin_idx);
void hak_heap_warm(struct hak_heap *heap, size_t bin_idx, size_t blocks);

/* Pages behind a bin (shelf.c). */
struct hak_page *hak_shelf_page(struct hak_heap *heap, size_t bin_idx);
void hak_shelf_freed(struct hak_heap *heap, struct hak_page *page);
void hak_shelf_sweep(struct hak_heap *heap, size_t budget);
void hak_shelf_move(struct hak_heap *from, struct hak_heap *to, struct hak_page *page);
void hak_shelf_abandon(struct hak_heap *heap);
bool hak_shelf_adopt(struct hak_heap *heap, size_t bin_idx);

/* Blocks of other heaps (remote.c). Freeing one is true when there are enough for a flush. */
bool hak_remote_free(struct hak_heap *heap, void *block);
void hak_remote_flush(struct hak_heap *heap);
void hak_remote_drain(struct hak_heap *heap, bool orphan);
void hak_remote_help(struct hak_heap *heap);

/* Gives back what the calling thread's heap may spare: at a tick what is idle, for a trim all. */
void hak_heap_tidy(struct hak_heap *heap);
void hak_heap_release_all(struct hak_heap *heap);

/* The list of all heaps, and holding an orphan for a moment (thread.c). */
struct hak_heap *hak_heap_first(void);
bool hak_heap_hold(struct hak_heap *heap);
void hak_heap_let_go(struct hak_heap *heap);

/* malloc_trim(): tells the other threads, does it for this one and for orphans. Bytes given back.
 */
size_t hak_heap_trim(void);

/* In the child of a fork (fork.c). */
void hak_fork_child(void);
void hak_fork_mend(struct hak_heap *heap);

/* Magazines, shelves and pages of the calling thread's heap agree. Any time. */
bool hak_heap_is_valid(void);

static inline bool hak_heap_is_real(const struct hak_heap *heap)
{
    return heap->arena_base != 0;
}

static inline size_t hak_bin_count(const struct hak_bin *bin)
{
    return (size_t)(bin->top - bin->base);
}

#endif
