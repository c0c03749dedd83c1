/*
 * arena_end: memory and tables are there before the arena's end moves over them, and before others
 * look them up.
 *
 * What      Two threads each take a segment from the arena: commit what is missing, move the end by
 *           a CAS, publish that the segment's pages have tags. A third looks addresses up meanwhile.
 * Shows     Who has got a segment, and who sees its pages below a published bound, finds its tables
 *           and its memory committed; no segment is handed out twice.
 * Bounds    Two segments, committed one by one; TRIES of the end's CAS for each.
 * Not here  Commits that fail, the turn of huge pages (huge_turn.pml).
 * Note      A commit is a system call, which orders more than the relaxed store that stands for it.
 * Checks    see test/test_models.sh
 *   check:
 *     mutations: RELAXED_RAISE RELAXED_TABLED RELAXED_COMMITTED RELAXED_END RELAXED_GROW
 *     mutations: END_FIRST END_STORED GROW_FIRST RAISE_FIRST
 */
#define THREADS 4 /* init, two that take, one that looks */

/* atomic places */
#define TABLED 0    /* segment/arena.h: tabled */
#define COMMITTED 1 /* segment/arena.h: committed */
#define END 2       /* segment/arena.h: end */
#define PAGES 3     /* region/region.h: pages, in segments */
#define TABLE 4     /* + segment; 1: its tables are committed */
#define MEMORY 6    /* + segment; 1: it is committed */
#define ATOMICS 8
#define PLACES 8

#include "memory.pml"

/* ---- mutations ---- */

#ifdef RELAXED_RAISE
#define RAISE_ORDER relaxed
#else
#define RAISE_ORDER release
#endif
#ifdef RELAXED_TABLED
#define TABLED_ORDER relaxed
#else
#define TABLED_ORDER acquire
#endif
#ifdef RELAXED_COMMITTED
#define COMMITTED_ORDER relaxed
#else
#define COMMITTED_ORDER acquire
#endif
#ifdef RELAXED_END
#define END_ORDER relaxed
#else
#define END_ORDER acq_rel
#endif
#ifdef RELAXED_GROW
#define GROW_ORDER relaxed
#else
#define GROW_ORDER release
#endif
/* END_FIRST, END_STORED, GROW_FIRST, RAISE_FIRST: below */

byte taken; /* segments that were handed out, a bit each */

/* region/region.h:hak_counter_raise, also by region/region.c:hak_region_grow */
#define raise(counter, value, order) \
    load(counter, relaxed, old); \
    done = false; \
    do \
    :: done || old >= value -> break \
    :: else -> cas(counter, order, relaxed, old, value) \
    od; \
    done = false; \
    old = 0

/* What is committed by one call: from `have` to `want`. */
inline commit(place)
{
    do
    :: have < want -> store(place + have, relaxed, 1); have++
    :: else -> have = 0; break
    od
}

/* segment/arena.c:hak_arena_commit, and segment/arena.c:commit_plain */
inline hak_arena_commit()
{
    load(COMMITTED, COMMITTED_ORDER, have); /* segment/arena.c:hak_arena_committed */
    if
    :: have < want ->
        load(TABLED, TABLED_ORDER, have); /* segment/arena.c:tables_ensure */
        if
        :: have < want ->
#ifdef RAISE_FIRST
            raise(TABLED, want, RAISE_ORDER);
            commit(TABLE)
#else
            commit(TABLE);
            raise(TABLED, want, RAISE_ORDER)
#endif
        :: else
        fi;
        load(COMMITTED, COMMITTED_ORDER, have);
        commit(MEMORY); /* segment/huge.c:hak_huge_back */
        raise(COMMITTED, want, RAISE_ORDER)
    :: else -> have = 0
    fi
}

/* Whoever has a segment may touch it and its tables. */
inline touch(segment)
{
    load(TABLE + segment, relaxed, seen);
    assert(seen);
    load(MEMORY + segment, relaxed, seen);
    assert(seen);
    seen = 0
}

/* segment/arena.c:hak_arena_take */
proctype taker()
{
    byte end, want, have, old, seen;
    bool done;
    load(END, acquire, end); /* segment/arena.c:hak_arena_end */
    do
    :: end == 2 -> break
    :: else ->
        want = end + 1;
#ifdef GROW_FIRST
        raise(PAGES, want, GROW_ORDER);
#endif
#ifndef END_FIRST
        hak_arena_commit();
#endif
#ifdef END_STORED
        store(END, release, want);
        done = true;
#else
        cas(END, END_ORDER, acquire, end, want);
#endif
        if
        :: done ->
            done = false;
#ifdef END_FIRST
            hak_arena_commit();
#endif
            raise(PAGES, want, GROW_ORDER); /* region/region.c:hak_region_grow */
            atomic { assert(!(taken & want)); taken = taken | want }
            touch(want - 1);
            break
        :: else
        fi
    od;
    finish()
}

/* front/malloc.c:free_slow and segment/maps.c:hak_segment_next_of look no further than a bound */
proctype looker()
{
    byte bound, seen;
    if
    :: load(PAGES, acquire, bound) /* region/region.h:hak_region_pages */
    :: load(END, acquire, bound)
    fi;
    do
    :: bound == 0 -> break
    :: else ->
        load(TABLE + bound - 1, relaxed, seen);
        assert(seen);
        seen = 0;
        bound--
    od;
    finish()
}

init {
    byte end;
    atomic {
        begin();
        run taker();
        run taker();
        run looker()
    }
    atomic {
        finished == THREADS - 1;
        peek(END, end);
        assert(taken == 3 && end == 2)
    }
}
