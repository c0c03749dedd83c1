/*
 * segment: 2 MiB segments and the 64 KiB page slots in them.
 *
 * Purpose   who holds which slot. A segment belongs to one pool (tier) as long as a slot of it is
 *           taken, so that Tiny never shares a segment with Small-Mid. Its slot mask and its pool
 *           are one word, claimed and released by CAS: a segment that emptied and changed tier
 *           while somebody looked at it cannot be mistaken. Segments with room are found through
 *           bitmaps, lowest address first.
 *           A slot is UNUSED (not taken, memory never touched or given back), ACTIVE (taken) or
 *           EMPTY (not taken, but its memory is still there: `dirty`).
 * Owner     slots belong to whoever claimed them: a heap's page or span, a large block, or a purge.
 * Threads   any; no lock. Order of the search (heritage: Stage 1 to 3): a segment of the pool with
 *           room, a free segment, a new segment from the arena.
 */
#ifndef HAK_SEGMENT_H
#define HAK_SEGMENT_H

#include "segment/arena.h"

enum hak_pool {
    HAK_POOL_FREE, /* no slot is taken */
    HAK_POOL_TINY,
    HAK_POOL_SMALLMID,
    HAK_POOL_MID,
    HAK_POOL_LARGE,
    HAK_POOL_COUNT,
};

/* A map beside those of the pools: segments with free slots whose memory was not given back. */
#define HAK_MAP_DIRTY HAK_POOL_COUNT
#define HAK_MAPS 8

#define HAK_NO_PAGE SIZE_MAX

/*
 * Invariant: taken slots have no claim on each other; pool == FREE exactly if no slot is taken.
 * `dirty` bits of a taken slot are its holder's to change, those of a free slot whoever claims it.
 */
struct hak_segment {
    HAK_CACHE_ALIGNED
    _Atomic(uint64_t) word;    /* [any, atomic] taken slots (bits 0-31), pool (bits 32-39) */
    _Atomic(uint32_t) dirty;   /* [holder of the slot, atomic] may hold other bytes than zero */
    _Atomic(uint32_t) aged;    /* [purge, atomic] dirty and free at the last tick already */
    _Atomic(uint32_t) moved;   /* [any, atomic] pages came by hak_os_move(): mappings are split */
    _Atomic(uint32_t) backing; /* [who commits or holds all slots, atomic] enum hak_backing */
};

/* One bit a segment of a group, one word a map. Bits are hints: the segment's word decides. */
struct hak_segment_maps {
    HAK_CACHE_ALIGNED
    _Atomic(uint64_t) bits[HAK_MAPS]; /* [any, atomic] */
};

_Static_assert(sizeof(struct hak_segment) == HAK_CACHE_LINE, "segments do not share lines");
_Static_assert(HAK_POOL_COUNT < HAK_MAPS, "every pool and the dirty map have a word");

/* Claims `count` slots in a row (1 to 32) in one segment of the pool, the first at a multiple
 * of `align` slots (a power of two to 32). The first page's number, or HAK_NO_PAGE. */
size_t hak_pages_claim(enum hak_pool pool, size_t count, size_t align);

/* Claims `count` slots in a row, as many as are wanted, over as many segments as it takes,
 * starting at a segment whose address is a multiple of `align_segments`. */
size_t hak_pages_claim_long(size_t count, size_t align_segments);

/* Claims just these slots, for a large block that grows in place. True if all could be had. */
bool hak_pages_claim_at(size_t page_idx, size_t count);

/* Gives slots back that were claimed. `dirty`: their memory may hold other bytes than zero. */
void hak_pages_release(size_t page_idx, size_t count, bool dirty);

/* How many of these pages, which the caller holds, may hold other bytes than zero. */
size_t hak_pages_dirty(size_t page_idx, size_t count);

/* So many pages that the caller holds have no memory and cannot be touched: only for their
 * addresses are they held, and they do not count. Wrap-around counts again, before they can be
 * touched. */
void hak_pages_uncount(size_t count);

/* Bytes of taken slots, but for those. */
size_t hak_taken_bytes(void);

/* Bytes of free slots whose memory was not given back; approximate while threads run. */
size_t hak_dirty_bytes(void);

/* The sum of both, at one moment: what may have memory. A slot is counted before it can be touched,
 * and until its memory was given back. */
size_t hak_memory_bytes(void);

/* What is given back of a segment. */
enum hak_purge {
    HAK_PURGE_AGED,  /* what was dirty and free at the last call already */
    HAK_PURGE_DIRTY, /* what is dirty and free */
    HAK_PURGE_TRIM,  /* that, and huge pages of the pool even if it has others */
};

/* Gives memory of one segment's free slots back. Huge pages go back as a whole, when all slots are
 * free. Returns the bytes given back. Used by purge.h. */
size_t hak_segment_purge(size_t segment_idx, enum hak_purge which);

/* The memory of these pages, which the caller holds, reads as zero. */
void hak_pages_clean(size_t page_idx, size_t count);

/* Marks a segment whose pages came by hak_os_move(), or takes the mark off; and how many are. */
void hak_segment_moved(size_t segment_idx, bool moved);
size_t hak_segments_moved(void);

/* How many of the segments that these pages lie in are marked. */
size_t hak_pages_moved(size_t page_idx, size_t count);

/* The lowest segment from `from` on, or the highest below `below`, whose bit is set in a map;
 * HAK_NO_SEGMENT if there is none. */
size_t hak_segment_next(unsigned map, size_t from);
size_t hak_segment_prev(unsigned map, size_t below);

/* Taken slots and pool of a segment at this moment. */
uint32_t hak_segment_taken(size_t segment_idx, enum hak_pool *pool);

/* Every segment's word is coherent, and no bit says "nothing here" of one that has room. Exact
 * when no other thread changes slots. */
bool hak_segment_is_valid(void);

#endif
