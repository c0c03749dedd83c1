/*
 * huge_turn: who maps huge pages of the pool, and the room for copies that is held beside them.
 *
 * What      One thread takes the turn and maps a segment, two give a segment back meanwhile, one
 *           forks. The room shall be what is mapped; only whose turn it is may change it, and nobody
 *           waits for a turn but the fork, for some time.
 * Shows     One at a time has the turn; when all are done, no more room is held than is mapped.
 * Bounds    One of each; a fork that finds the turn taken goes on without.
 * Not here  What the system refuses, pages of 1 GiB, the child's side of a fork.
 * Checks    see test/test_models.sh
 *   check: -DSCENE=0
 *     mutations: SETTLE_DROPPED WEAK_UNSETTLED WEAK_TURN_END WEAK_LOOK RELAXED_TURN
 *     mutations: RELAXED_SETTLE SETTLE_IN_TURN FLAG_LATE TURN_STORED UNSETTLED_STORED
 *   check: -DSCENE=1
 *     mutations:
 */
#ifndef SCENE
#define SCENE 0
#endif
#define THREADS 4 /* init, who grows, one or two that release, who forks */

/* atomic places */
#define TURN 0      /* segment/arena.c: turn */
#define UNSETTLED 1 /* segment/huge.c: unsettled */
#define MAPPED 2    /* segment/huge.c: counts, of segments of the pool */
#define ATOMICS 3
/* plain places */
#define ROOM 3      /* segment/huge.c: room */
#define PLACES 4

#define MESSAGES 14
#include "memory.pml"

/* ---- mutations ---- */

#ifdef WEAK_UNSETTLED /* it may become visible after the turn was looked at */
#define UNSETTLED_ORDER release
#else
#define UNSETTLED_ORDER seq_cst
#endif
#ifdef WEAK_TURN_END /* the turn may end after the look at what is unsettled */
#define TURN_END_ORDER release
#else
#define TURN_END_ORDER seq_cst
#endif
#ifdef WEAK_LOOK
#define LOOK_ORDER acquire
#else
#define LOOK_ORDER seq_cst
#endif
#ifdef RELAXED_TURN
#define TURN_ORDER relaxed
#else
#define TURN_ORDER seq_cst
#endif
#ifdef RELAXED_SETTLE /* what was unmapped is not seen */
#define SETTLE_ORDER relaxed
#else
#define SETTLE_ORDER acquire
#endif
/* SETTLE_DROPPED, SETTLE_IN_TURN, FLAG_LATE, TURN_STORED, UNSETTLED_STORED: below */

byte room;
bool has_turn;

/* segment/arena.c:hak_arena_turn_try; `done` */
inline turn_try()
{
    turn = 0;
#ifdef TURN_STORED
    load(TURN, seq_cst, turn);
    done = false;
    if
    :: turn == 0 -> store(TURN, seq_cst, 1); done = true
    :: else
    fi;
#else
    cas(TURN, TURN_ORDER, TURN_ORDER, turn, 1);
#endif
    turn = 0;
    if
    :: done -> atomic { assert(!has_turn); has_turn = true; use(ROOM) }
    :: else
    fi
}

/* segment/arena.c:hak_arena_turn_end */
inline turn_end()
{
    atomic { use(ROOM); has_turn = false };
    store(TURN, TURN_END_ORDER, 0)
}

/* segment/huge.c:room_hold, for what is mapped and `more` */
inline room_hold(more)
{
    load(MAPPED, relaxed, mapped); /* segment/huge.c:mapped_bytes */
    room = mapped + more;
    mapped = 0
}

/* segment/huge.c:hak_huge_settle */
inline settle()
{
    do
    :: true ->
        load(UNSETTLED, LOOK_ORDER, flag);
        if
        :: flag == 0 -> break
        :: else -> flag = 0
        fi;
        turn_try();
        if
        :: !done -> break
        :: else -> done = false
        fi;
#ifdef FLAG_LATE
        room_hold(0);
        exchange(UNSETTLED, SETTLE_ORDER, 0, _);
#else
        exchange(UNSETTLED, SETTLE_ORDER, 0, _);
        room_hold(0);
#endif
        turn_end()
    od
}

/* segment/arena.c:hak_arena_commit, of pages of the pool */
proctype grower()
{
    byte turn, flag, mapped;
    bool done;
    turn_try();
    if
    :: done ->
        done = false;
        room_hold(1);                      /* segment/huge.c:segments_map */
        fetch_add(MAPPED, relaxed, 1, _);  /* segment/huge.c:backing_set */
#ifdef SETTLE_IN_TURN
        settle();
        turn_end()
#else
        turn_end();
#ifndef SETTLE_DROPPED
        settle()
#endif
#endif
    :: else /* segment/os.h: hak_os_yield */
    fi;
    finish()
}

/* segment/huge.c:hak_huge_release */
proctype releaser()
{
    byte turn, flag, mapped;
    bool done;
    fetch_add(MAPPED, relaxed, 255, _); /* segment/huge.c:backing_set */
#ifdef UNSETTLED_STORED /* who settles sees one release only, of two */
    store(UNSETTLED, UNSETTLED_ORDER, 1);
#else
    exchange(UNSETTLED, UNSETTLED_ORDER, 1, _);
#endif
    settle();
    finish()
}

proctype forker()
{
    byte turn, flag, mapped;
    bool done;
    turn_try(); /* segment/huge.c:hak_huge_fork_prepare */
    if
    :: done ->
        done = false;
        room = 0; /* segment/huge.c:room_make */
        turn_end()
    :: else
    fi;
#ifndef SETTLE_DROPPED
    settle(); /* segment/huge.c:hak_huge_fork_parent */
#endif
    finish()
}

init {
    byte mapped, flag;
    atomic {
        begin();
        set(MAPPED, 2);
        room = 2;
        run grower();
        run releaser();
#if SCENE == 0
        run releaser()
#else
        run forker()
#endif
    }
    atomic {
        finished == THREADS - 1;
        peek(MAPPED, mapped);
        peek(UNSETTLED, flag);
        assert(room <= mapped && flag == 0 && !has_turn)
    }
}
