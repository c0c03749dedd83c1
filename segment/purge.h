/*
 * purge: free memory goes back to the system after a while.
 *
 * Purpose   a free slot keeps its memory for one to two decay times, so that what is freed and
 *           wanted again costs no fault; then it is given back (MADV_DONTNEED, never MADV_FREE,
 *           which makes resident size lie). A purge claims the slots first, like any user of them.
 * Threads   any; one at a time does a tick, the others go on.
 */
#ifndef HAK_PURGE_H
#define HAK_PURGE_H

#include "hak_base.h"

/* Decay in milliseconds, 0 to purge at every poll; called once at start. */
void hak_purge_init(uint64_t decay_ms);

/* For slow paths: does a tick if one is due. True if this call did. */
bool hak_purge_poll(void);

/* Number of ticks so far; heaps compare it with the last one that they tidied up at. */
uint32_t hak_purge_ticks(void);

/*
 * For claims that were served with pages without memory, `fresh` of them. When more than a share of
 * what is in use is free but not given back yet, as much of that goes: else blocks of many sizes
 * hold the memory of all places they ever had. Highest address first: where claims look last.
 */
void hak_purge_bound(size_t fresh);

/* Gives all free memory back now. Returns the bytes. */
size_t hak_purge_all(void);

/*
 * For who has just claimed these pages and not touched them: whether what may have memory keeps
 * within the limit of hak_arena_config, after everything free was given back if need be. If not,
 * the pages are released. Whoever claims comes by here, so the sum never stands above the limit
 * with memory behind it, whatever other threads do.
 */
bool hak_purge_keeps_limit(size_t page_idx, size_t count);

/* The same for who has counted pages again that it held already; and whether so much more, beside
 * what may have memory now, would be within the limit. */
bool hak_purge_to_limit(void);
bool hak_purge_limit_allows(size_t bytes);

#endif
