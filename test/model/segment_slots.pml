/*
 * segment_slots: claim and release of a segment's slots against purge, and the maps that lead there.
 *
 * What      One segment of two slots. Threads claim a slot for their pool, write to it and release
 *           it; another purges what is dirty and free. By scene:
 *             SCENE 0  two users of one pool
 *             SCENE 1  a user and the purge
 *             SCENE 2  two users of different pools, and the purge
 *             SCENE 3  two users of different pools
 * Shows     No slot has two holders, none is purged while it is held, a segment serves one pool at a
 *           time; a slot that is said to be clean reads as zero; when all are done, a segment with
 *           room has its bit in the map of its pool, and one with dirty free slots in the dirty map.
 * Bounds    ROUNDS claims of each user, one purge, two slots.
 * Not here  The orders of the maps, weakened: all slots are free at the end, so only the map of free
 *           segments is judged; runs over several segments, hints, the arena's growth (arena_end.pml), huge pages.
 * Checks    see test/test_models.sh
 *   check: -DSCENE=3
 *     mutations: RECHECK_DROPPED RELAXED_WORD WORD_STORED POOL_IGNORED
 *   check: -DSCENE=1 -DROUNDS=2
 *     mutations: PURGE_UNCLAIMED DIRTY_LATE AGE_FIRST
 *   check: -DSCENE=0 -DROUNDS=2
 *   check: -DSCENE=2
 */
#ifndef ROUNDS
#define ROUNDS 1
#endif

#ifndef SCENE
#define SCENE 0
#endif
#if SCENE == 2
#define THREADS 4 /* init, two users, the purge */
#else
#define THREADS 3 /* init, and two of them */
#endif

/* atomic places */
#define SEGMENT 0 /* segment/segment.h: word, pool * 4 + taken */
#define DIRTY 1   /* segment/segment.h: dirty */
#define MAP 2     /* + pool, or DIRTY_MAP; the segment's bit of segment/segment.h: bits */
#define ATOMICS 6
/* plain places */
#define SLOT 6    /* + slot: its memory */
#define PLACES 8

#define MESSAGES 12
#include "memory.pml"

#define ALL 3
#define POOL_FREE 0
#define POOL_TINY 1
#define POOL_LARGE 2
#define DIRTY_MAP 3

#define WORD_OF(taken, pool) ((taken) == 0 -> 0 : (pool) * 4 + (taken))
#define TAKEN(word) ((word) & 3)
#define POOL(word) ((word) / 4)

/* ---- mutations ---- */

#ifdef RELAXED_WORD /* the slots are not handed over with the word */
#define WORD_ORDER relaxed
#else
#define WORD_ORDER seq_cst
#endif
/* RECHECK_DROPPED, WORD_STORED, PURGE_UNCLAIMED, DIRTY_LATE, AGE_FIRST,
 * POOL_IGNORED: below */

byte holder[2];  /* of a slot; 0: none */
bool written[2]; /* its memory is not zero */
byte serves[2];  /* the pool of its holder; 0: none */

/* segment/maps.c:hak_map_set */
inline map_set(map)
{
    load(MAP + map, seq_cst, shown);
    if
    :: shown == 0 -> fetch_or(MAP + map, seq_cst, 1, _)
    :: else
    fi;
    shown = 0
}

/* segment/maps.c:hak_map_clear */
inline map_clear(map)
{
    fetch_and(MAP + map, seq_cst, 0, _);
#ifndef RECHECK_DROPPED
    load(SEGMENT, seq_cst, look); /* segment/maps.c:hak_segment_has_room */
    if
    :: POOL(look) == map && TAKEN(look) != ALL -> look = 0; map_set(map)
    :: else -> look = 0
    fi
#endif
}

/* segment/segment.c:word_replace; `done` */
inline word_replace(taken, pool)
{
    new = WORD_OF(taken, pool);
#ifdef WORD_STORED
    look = old;
    load(SEGMENT, seq_cst, old);
    done = false;
    if
    :: look == old -> store(SEGMENT, seq_cst, new); done = true
    :: else
    fi;
    look = 0;
#else
    look = old;
    cas(SEGMENT, WORD_ORDER, WORD_ORDER, look, new);
    look = 0;
#endif
    if
    :: done ->
        done = false;
        if
        :: POOL(old) != POOL(new) -> map_clear(POOL(old))
        :: else
        fi;
        if
        :: TAKEN(new) == ALL -> map_clear(POOL(new))
        :: else -> map_set(POOL(new))
        fi;
        done = true
    :: else
    fi;
    new = 0
}

inline hold(slots)
{
    atomic {
        assert(!(slots & 1) || holder[0] == 0);
        assert(!(slots & 2) || holder[1] == 0);
        holder[0] = (slots & 1 -> _pid : holder[0]);
        holder[1] = (slots & 2 -> _pid : holder[1])
    }
}

/* segment/segment.c:release_in_segment */
inline release_slots(slots, as_dirty)
{
    atomic {
        assert(!(slots & 1) || holder[0] == _pid);
        assert(!(slots & 2) || holder[1] == _pid);
        holder[0] = (slots & 1 -> 0 : holder[0]);
        holder[1] = (slots & 2 -> 0 : holder[1])
    };
#ifndef DIRTY_LATE
    if
    :: as_dirty -> fetch_or(DIRTY, relaxed, slots, _)
    :: else
    fi;
#endif
    load(DIRTY, relaxed, remains);
    remains = remains & slots;
    done = false;
    do
    :: done -> break
    :: else ->
        load(SEGMENT, seq_cst, old);
        assert((TAKEN(old) & slots) == slots);
        word_replace(TAKEN(old) & (ALL - slots), POOL(old))
    od;
    done = false;
    old = 0;
#ifdef DIRTY_LATE
    if
    :: as_dirty -> fetch_or(DIRTY, relaxed, slots, _); remains = slots
    :: else
    fi;
#endif
    if
    :: remains != 0 -> remains = 0; map_set(DIRTY_MAP)
    :: else
    fi
}

/* segment/segment.c:claim_in_segment; `slots`, or 0 */
inline claim_in_segment(pool)
{
    done = false;
    do
    :: done -> break
    :: else ->
        load(SEGMENT, seq_cst, old);
        if
#ifdef POOL_IGNORED
        :: TAKEN(old) == ALL -> break
#else
        :: (old != 0 && POOL(old) != pool) || TAKEN(old) == ALL -> break
#endif
        :: else ->
            slots = (TAKEN(old) & 1 -> 2 : 1); /* segment/segment.c:run_find */
            word_replace(TAKEN(old) | slots, pool);
            if
            :: !done -> slots = 0
            :: else
            fi
        fi
    od;
    done = false;
    old = 0
}

/* segment/segment.c:claim_from_map */
inline claim_from_map(of_map, for_pool)
{
    load(MAP + of_map, seq_cst, shown); /* segment/maps.c:hak_segment_next_of */
    if
    :: shown ->
        shown = 0;
        claim_in_segment(for_pool);
        if
        :: slots == 0 ->
            load(SEGMENT, seq_cst, look); /* segment/maps.c:hak_segment_has_room */
            if
            :: POOL(look) != of_map || TAKEN(look) == ALL -> look = 0; map_clear(of_map)
            :: else -> look = 0
            fi
        :: else
        fi
    :: else
    fi
}

proctype user(byte pool)
{
    byte slots, old, new, look, shown, remains, round, i;
    bool done;
    do
    :: round == ROUNDS -> break
    :: else ->
        round++;
        claim_from_map(pool, pool); /* segment/segment.c:claim_anywhere */
        if
        :: slots == 0 -> claim_from_map(POOL_FREE, pool)
        :: else
        fi;
        if
        :: slots != 0 ->
            hold(slots);
            i = slots - 1; /* the slot's number */
            atomic { serves[i] = pool; assert(serves[1 - i] == 0 || serves[1 - i] == pool) };
            load(DIRTY, relaxed, look); /* segment/segment.c:hak_pages_dirty */
            assert((look & slots) || !written[i]); /* clean ones read as zero */
            look = 0;
            use(SLOT + i);
            written[i] = true;
            serves[i] = 0;
            release_slots(slots, true); /* segment/segment.c:hak_pages_release */
            slots = 0;
            i = 0
        :: else
        fi
    od;
    finish()
}

/* segment/segment.c:segment_age */
inline age()
{
#ifdef AGE_FIRST
    load(SEGMENT, seq_cst, old);
    load(DIRTY, seq_cst, remains);
    map_clear(DIRTY_MAP);
#else
    map_clear(DIRTY_MAP);
    load(SEGMENT, seq_cst, old);
    load(DIRTY, seq_cst, remains);
#endif
    remains = remains & (ALL - TAKEN(old));
    old = 0;
    if
    :: remains != 0 -> remains = 0; map_set(DIRTY_MAP)
    :: else
    fi
}

/* segment/segment.c:hak_segment_purge */
proctype purge()
{
    byte slots, old, new, look, shown, remains;
    bool done;
    load(SEGMENT, seq_cst, old);
    load(DIRTY, relaxed, slots);
    slots = slots & (ALL - TAKEN(old));
    if
    :: slots != 0 ->
#ifdef PURGE_UNCLAIMED
        done = true;
#else
        word_replace(TAKEN(old) | slots, (old == 0 -> POOL_LARGE : POOL(old)));
#endif
        if
        :: done ->
            done = false;
            hold(slots);
            if :: slots & 1 -> use(SLOT); written[0] = false :: else fi; /* segment/segment.c:slots_purge */
            if :: slots & 2 -> use(SLOT + 1); written[1] = false :: else fi;
            fetch_and(DIRTY, relaxed, ALL - slots, _);
#ifdef PURGE_UNCLAIMED
            holder[0] = (slots & 1 -> 0 : holder[0]);
            holder[1] = (slots & 2 -> 0 : holder[1]);
#else
            release_slots(slots, false);
#endif
            age()
        :: else /* in use right now */
        fi
    :: else -> age()
    fi;
    finish()
}

init {
    byte word, shown, dirty;
    atomic {
        begin();
        set(MAP + POOL_FREE, 1);
        run user(POOL_TINY);
#if SCENE == 0
        run user(POOL_TINY)
#endif
#if SCENE >= 2
        run user(POOL_LARGE);
#endif
#if SCENE == 1 || SCENE == 2
        run purge()
#endif
    }
    atomic {
        finished == THREADS - 1;
        peek(SEGMENT, word);
        peek(DIRTY, dirty);
        assert((TAKEN(word) & 1) == (holder[0] != 0) && TAKEN(word) / 2 == (holder[1] != 0));
        if
        :: TAKEN(word) != ALL -> peek(MAP + POOL(word), shown); assert(shown)
        :: else
        fi;
        if
        :: dirty & (ALL - TAKEN(word)) -> peek(MAP + DIRTY_MAP, shown); assert(shown)
        :: else
        fi;
        assert(!written[0] || (dirty & 1));
        assert(!written[1] || (dirty & 2))
    }
}
