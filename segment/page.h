/*
 * page: descriptors of pages and spans, and the bitmaps of their slots.
 *
 * Purpose   a page is one 64 KiB slot of a segment, a span up to 8 of them; both are cut into
 *           slots of one size. Descriptors lie in a dense array beside the page tags, bitmaps in
 *           records of their own: never in the page, where a user's overflow would reach them and
 *           where they would all fall into the same cache sets.
 *           A large block has a descriptor too, of which only `span_pages` counts.
 * Owner     one heap. `free` is the owner's alone; `remote` anybody's.
 * Threads   the word joins owner, state, `full` and `pending`. The protocol of remote frees:
 *
 *             freer                                   owner that found no free slot
 *             remote[w] |= bits        (seq_cst)      word |= FULL             (seq_cst)
 *             read word                (seq_cst)      collect remote once more (seq_cst)
 *             FULL and not PENDING: CAS PENDING,
 *             then push the page on the owner's list
 *
 *           Of two threads that write one place and then read the other's, at least one sees the
 *           other (Dekker): either the freer sees FULL and notifies, or the owner sees the bits.
 *           A page that is not FULL is never notified: its owner looks at the remote bits anyway
 *           before it goes on to another page.
 *           PENDING belongs to whoever set it until the owner has read the link and cleared it.
 *           A page is closed by a CAS that fails while PENDING is set.
 *           Descriptors are never unmapped: a freer that comes late reads a word, of whatever.
 * Invariant in magazines + in remote buffers + live + |free| + |remote| == slots
 */
#ifndef HAK_PAGE_H
#define HAK_PAGE_H

#include "segment/geometry.h"
#include "segment/meta.h"
#include "segment/segment.h"

/* The low bits of a page's word, beside the owner's address. */
enum {
    HAK_PAGE_ACTIVE = 1,   /* open: has an owner and slots */
    HAK_PAGE_FULL = 2,     /* the owner wants to know of remote frees */
    HAK_PAGE_PENDING = 12, /* on the owner's list, or about to be; see hak_page_forked() */
    HAK_PAGE_FLAGS = 15,
};

/* A large block whose pages came by that many moves is copied the next time. */
#define HAK_PIECES 12

/* Which of its owner's lists a page is on. */
enum hak_list {
    HAK_LIST_NONE,
    HAK_LIST_PARTIAL, /* may have free slots; its owner looks at it now and then */
    HAK_LIST_FULL,    /* had none when its owner set FULL */
    HAK_LIST_RESTING, /* has some, and FULL is set: nobody needs to look at it */
    HAK_LIST_SPARE,   /* the same, and enough of them for another heap to adopt it */
    HAK_LISTS,
};

struct hak_page {
    /* Read by freers of other threads. */
    HAK_CACHE_ALIGNED
    _Atomic(uintptr_t) word;                 /* [any, atomic] owner | flags */
    _Atomic(struct hak_page *) pending_next; /* [who set PENDING] link of the owner's list */
    _Atomic(uint64_t) *remote;               /* [owner, const while open] freed by others */
    uint32_t slot_bytes;                     /* [owner, const while open] */
    uint32_t magic;                          /* [owner, const while open] see hak_geometry */
    uint32_t limit;                          /* [owner, const while open] bytes of all slots / 8 */
    uint32_t span_pages;                     /* [owner, const while open] */
    uint32_t first_bytes;                    /* [owner, const while open] see hak_geometry */
    uint16_t slots;                          /* [owner, const while open] */
    uint8_t bin_idx;                         /* [owner, const while open] */
    _Atomic(uint8_t) back;                   /* [owner, atomic for reports] pages to the first */
    _Atomic(uint64_t) remote_inline;         /* [any, atomic] the bitmap of up to 64 slots */
    char *first_slot;                        /* [owner, const while open] */

    HAK_CACHE_ALIGNED
    union {
        struct {                          /* of a page or span, its owner's alone */
            uint64_t *free;               /* [owner] one bit a slot */
            uint64_t free_inline;         /* [owner] the bitmap of up to 64 slots */
            struct hak_page *next, *prev; /* [owner] neighbours on its list */
            _Atomic(uint32_t) free_count; /* [owner, atomic for reports] == |free| */
            uint16_t words;               /* [owner] of each bitmap */
            uint16_t first_word;          /* [owner] no bit is set in words before this one */
            uint8_t list;                 /* [owner] enum hak_list */
            uint16_t lowest;              /* [owner] free slots when there were fewest */
            uint32_t taken, takes;        /* [owner] slots handed out so far, in so many calls */
            uint32_t collected;           /* [owner] slots freed by other threads so far */
        };
        struct {                             /* of a large block, whoever's who resizes it */
            uint32_t piece_ends[HAK_PIECES]; /* in pages: what came by hak_os_move(), upward */
            uint32_t pieces;                 /* how many; each is one mapping */
            bool one_mapping;                /* what lies behind the last piece is one, too */
        };
    };
    void *notes; /* [lock:pen] what a hardened process knows beside all this */
};

_Static_assert(sizeof(struct hak_page) == 2 * HAK_CACHE_LINE, "a line for others, one for us");

static inline struct hak_page *hak_page_at(size_t page_idx)
{
    return &hak_arena.pages[page_idx];
}

/* The descriptor of the page or span that an address lies in; its tag names a bin. */
static inline struct hak_page *hak_page_of(const void *address)
{
    struct hak_page *page = hak_page_at(hak_region_page_idx(address));
    /* relaxed: constant while a block of the page lives. */
    return page - atomic_load_explicit(&page->back, memory_order_relaxed);
}

static inline size_t hak_page_idx(const struct hak_page *page)
{
    return (size_t)(page - hak_arena.pages);
}

static inline char *hak_page_start(const struct hak_page *page)
{
    return hak_region_page_start(hak_page_idx(page));
}

static inline uint32_t hak_page_free_count(const struct hak_page *page)
{
    /* relaxed: written by the owner; others read it for reports only. */
    return atomic_load_explicit(&page->free_count, memory_order_relaxed);
}

/*
 * The slot of a pointer into the page, or -1 if no slot starts there. The offset in units of
 * 8 B times `magic` is slot + remainder in 32.32 fixed point, and the fraction is below `magic`
 * just when the remainder is zero (Lemire, Kaser, Kurz: Faster remainder by direct computation,
 * 2019). Exact for offset * units < 2^32: spans have 2^16 units, slots up to 2^13.
 */
static inline int64_t hak_page_slot(const struct hak_page *page, const void *block)
{
    uint64_t offset = (uintptr_t)block - (uintptr_t)page->first_slot;
    uint64_t unit = offset >> 3 | offset << 61; /* an offset off the 8 B grid gets huge */
    uint64_t product = unit * page->magic;
    if (unit >= page->limit || (uint32_t)product >= page->magic) {
        return -1;
    }
    return (int64_t)(product >> 32);
}

/* Whether the page is open for this bin, as it is for a magazine's blocks. */
static inline bool hak_page_is_open(const struct hak_page *page, size_t bin_idx)
{
    /* relaxed: ACTIVE does not change while a block of the page is not free. */
    return (atomic_load_explicit(&page->word, memory_order_relaxed) & HAK_PAGE_ACTIVE) != 0 &&
           page->bin_idx == bin_idx;
}

static inline bool hak_page_is_owned(const struct hak_page *page, uintptr_t owner)
{
    /* relaxed: who holds the owner's heap asks; nobody else changes the owner then. */
    return (atomic_load_explicit(&page->word, memory_order_relaxed) & ~(uintptr_t)HAK_PAGE_FLAGS) ==
           owner;
}

/* Opens claimed slots as a page or span of a bin, with every slot free. `owner` is an address
 * with its low 4 bits clear. NULL when there is no memory for bitmaps. */
struct hak_page *hak_page_open(size_t page_idx, const struct hak_geometry *geometry,
                               uint8_t bin_idx, uintptr_t owner, struct hak_meta_pool *meta);

/* Closes a page whose slots are all free; its slots of the segment go back, `dirty` or known to be
 * zero. False while a freer has it on its way to the owner's list. */
bool hak_page_close(struct hak_page *page, uintptr_t owner, struct hak_meta_pool *meta, bool dirty);

/* Takes the `count` lowest free slots; writes their blocks to top[0], top[-1], ... so that the
 * lowest is popped first. There are that many. [owner] */
void hak_page_take(struct hak_page *page, void **top, uint32_t count);

/* Moves remotely freed slots to the free ones; returns how many. [owner] */
uint32_t hak_page_collect(struct hak_page *page);

/* Says that the owner wants to be told of remote frees, or not any more. Setting collects once more
 * after that: true when this brought slots. PENDING stays. [owner] */
bool hak_page_set_full(struct hak_page *page);
void hak_page_clear_full(struct hak_page *page);
/* For a page from the owner's list, once its link was read: clears FULL and PENDING. [owner] */
void hak_page_clear_pending(struct hak_page *page);
/* Clears PENDING if it was set before the last fork. [owner] Notes a fork, in its child. */
void hak_page_clear_stale(struct hak_page *page);
void hak_page_forked(void);
/* Frees slots of one bitmap word from any thread. If the owner must be told, returns its address
 * and has set PENDING: the caller pushes the page on that owner's list. Else 0. */
uintptr_t hak_page_free_remote(struct hak_page *page, size_t word_idx, uint64_t bits);
/* Changes the owner if the page is ACTIVE, `from` owns it and it is not PENDING. */
bool hak_page_adopt(struct hak_page *page, uintptr_t from, uintptr_t to);
/* Bytes of the record that holds the page's bitmaps; 0 if they stand in the descriptor. */
size_t hak_page_record_bytes(const struct hak_page *page);

/* Counts agree with bitmaps, no slot is both free and remotely free. [owner] */
bool hak_page_is_valid(const struct hak_page *page);

#endif
