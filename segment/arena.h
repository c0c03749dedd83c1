/*
 * arena: the address space that every block comes from.
 *
 * Purpose   one reservation, cut into 2 MiB segments, with the tables that describe them in a
 *           second one: page tags, page descriptors, segments and their maps. Segments are handed
 *           out upward and never leave; memory behind them comes and goes (purge.h).
 *           Commit moves upward in growing steps, so mappings merge and vm.max_map_count is no
 *           limit.
 * Owner     one a process, made by hak_arena_init(), never taken down.
 * Threads   no lock. A segment is handed out by one CAS on `end`; memory is committed before
 *           that, and since committing twice is harmless, threads that race just help each other.
 *           Where it is not (pages of the pool, huge.h; hidden ones), threads take turns.
 */
#ifndef HAK_ARENA_H
#define HAK_ARENA_H

#include "region/region.h"

/* Segments are kept track of in groups of one bitmap word. */
#define HAK_GROUP_SEGMENTS ((size_t)64)
#define HAK_NO_SEGMENT SIZE_MAX

/* What the user may choose; see front/options.h for ranges. */
struct hak_arena_config {
    size_t reserve_bytes;   /* 0: four times the physical memory */
    size_t step_bytes;      /* first commit step */
    size_t max_step_bytes;  /* largest commit step */
    unsigned growth_levels; /* doublings from the first step to the largest, at most */
    size_t limit_bytes;     /* of memory, see purge.h; 0: none */
    bool commits_in_turn;   /* parts of what is committed are hidden later: see the turn */
    bool maps_pool;         /* what has not small pages may have those of the pool: the same */
};

struct hak_segment;
struct hak_page;
struct hak_segment_maps;

struct hak_arena {
    char *base;                     /* [const after init] 2 MiB aligned */
    size_t max_segments;            /* [const after init] */
    size_t tables_bytes;            /* [const after init] reserved from hak_region.tags on */
    struct hak_segment *segments;   /* [const after init] one a segment */
    struct hak_page *pages;         /* [const after init] one a page, 32 a segment */
    struct hak_segment_maps *maps;  /* [const after init] one a group */
    struct hak_arena_config config; /* [const after init] */
    HAK_CACHE_ALIGNED
    _Atomic(size_t) end;       /* [any, atomic] segments handed out; only grows */
    _Atomic(size_t) committed; /* [any, atomic] segments with memory; end <= committed */
    _Atomic(size_t) tabled;    /* [any, atomic] segments with tables; committed <= tabled */
};

extern HAK_HIDDEN struct hak_arena hak_arena;

/* Reserves address space: as much as asked for, or half of it, and so on down to 8 MiB.
 * False when not even that can be had. Called once, by one thread. */
bool hak_arena_init(const struct hak_arena_config *config);

/*
 * Hands out `count` new segments in a row, the first at a multiple of `align` segments (a power
 * of two; the arena's base counts). Returns the first one's number, or HAK_NO_SEGMENT when address
 * space or memory is out. `skipped` receives how many segments before it were handed out for the
 * alignment's sake; they are the caller's too.
 */
size_t hak_arena_take(size_t count, size_t align, size_t *skipped);

/* Segments handed out so far, and those that memory stands behind. */
size_t hak_arena_end(void);
size_t hak_arena_committed(void);

/* Puts memory behind the first `segments` segments, or all. False when that is out. */
bool hak_arena_commit(size_t segments);

/*
 * Mapping huge pages over a place twice would take away what somebody wrote there, and a commit
 * opens what somebody hid there (hak_os_hide) after another thread had committed it. So one thread
 * at a time does it, in these two modes, and looks whether it was done meanwhile.
 * A turn that cannot be had at once is somebody else's, or this thread's own: a handler of a signal
 * came in between. That one neither waits nor commits; it gets no memory.
 * In the child of a fork the turn is free before anything runs there, for the kernel clears it
 * (hak_meta_new_wiped). Where it cannot, hak_arena_fork_child() does. If the thread that forked was
 * in its turn, in such a handler, it still is, and goes on with it.
 */
bool hak_arena_turn_try(void);
void hak_arena_turn_end(void);

/* [its thread] It has the turn, or is about to try. Its handlers read it: volatile. */
extern HAK_HIDDEN _Thread_local volatile bool hak_arena_in_turn;

/* Whether an address lies in the arena or in its tables, used or not. */
static inline bool hak_arena_owns(const void *address)
{
    uintptr_t at = (uintptr_t)address;
    return at - (uintptr_t)hak_arena.base < hak_arena.max_segments * HAK_SEGMENT_BYTES ||
           at - (uintptr_t)hak_region.tags < hak_arena.tables_bytes;
}

/* After a fork, in the child. */
void hak_arena_fork_child(void);

#endif
