/*
 * heap_idle: an idle thread's heap is held by another, by an order that only the holder pays for.
 *
 * What      An owner that enters slow paths with a store and a load and no fence between them, and
 *           others who hold the heap while it is idle and adopt its page. By scene:
 *             SCENE 0  two that hold it
 *             SCENE 1  the owner may end, one holds the heap, one takes it when it is nobody's
 *             SCENE 2  all of them
 * Shows     One at a time works on the heap, and sees what the one before did; an owner that finds a
 *           block of an adopted page in its magazine sees that the page is not its own any more.
 * Bounds    ENTRIES of the owner, after which it ends or not, and one of who takes the heap; each
 *           gives up after TRIES that found the heap held; each holder tries once.
 * Not here  The remote frees (page_remote.pml, heap_orphan.pml), fork.
 * Checks    see test/test_models.sh
 *   check: -DSCENE=0 -DENTRIES=2 -DTRIES=1
 *     mutations: BARRIER_DROPPED RELAXED_LEAVE RELAXED_LET_GO RELAXED_ENTER
 *     mutations: RELAXED_CONFIRM BARRIER_FIRST ENTER_SWAPPED CONFIRM_DROPPED
 *   check: -DSCENE=1 -DENTRIES=1 -DTRIES=2
 *     mutations:
 *   check: -DSCENE=2 -DENTRIES=1 -DTRIES=1
 *     mutations:
 */
#ifndef ENTRIES
#define ENTRIES 2
#endif
#ifndef TRIES
#define TRIES 2
#endif

#ifndef SCENE
#define SCENE 0
#endif
#if SCENE == 2
#define THREADS 5 /* init, the owner, two holders, the next owner */
#else
#define THREADS 4 /* init, the owner, a holder, and another or the next owner */
#endif

/* atomic places */
#define STATE 0  /* front/heap.h: state */
#define HOLDER 1 /* front/heap.h: holder */
#define WORD 2   /* segment/page.h: word, 0: the heap's, else who adopted the page */
#define ATOMICS 3
/* plain places */
#define HEAP 3
#define PAGE 4
#define PLACES 5

#define MESSAGES 12
#include "memory.pml"

#define IDLE 0
#define BUSY 1
#define ORPHAN 2

/* ---- mutations ---- */

#ifdef RELAXED_LEAVE
#define LEAVE_ORDER relaxed
#else
#define LEAVE_ORDER release
#endif
#ifdef RELAXED_LET_GO
#define LET_GO_ORDER relaxed
#else
#define LET_GO_ORDER release
#endif
#ifdef RELAXED_ENTER
#define ENTER_ORDER relaxed
#else
#define ENTER_ORDER acquire
#endif
#ifdef RELAXED_CONFIRM
#define CONFIRM_ORDER relaxed
#else
#define CONFIRM_ORDER acquire
#endif
/* BARRIER_DROPPED, BARRIER_FIRST, ENTER_SWAPPED, CONFIRM_DROPPED: below */

bool held; /* somebody works on the heap */

inline work_start() { atomic { assert(!held); held = true; use(HEAP) } }
inline work_end() { atomic { use(HEAP); held = false } }

/* front/thread.c:heap_try_enter, and front/thread.c:hak_heap_enter around it; `done` */
inline enter()
{
    tries = 0;
    done = false;
    do
    :: done || tries == TRIES -> break
    :: else ->
#ifdef ENTER_SWAPPED
        load(HOLDER, ENTER_ORDER, holder);
        store(STATE, relaxed, BUSY);
#else
        store(STATE, relaxed, BUSY);
        load(HOLDER, ENTER_ORDER, holder);
#endif
        if
        :: holder == 0 -> done = true
        :: else -> holder = 0; store(STATE, release, IDLE)
        fi;
        tries++
    od;
    tries = 0
}

/* A slow path that flushes a magazine with a block of the page. */
inline flush()
{
    work_start();
    load(WORD, relaxed, word); /* front/give.h:hak_tag_has, its tag */
    if
    :: word == 0 -> use(PAGE) /* segment/run.h:hak_page_give */
    :: else -> word = 0       /* front/remote.c:hak_remote_free */
    fi;
    work_end()
}

/* front/thread.c:hak_heap_leave */
inline leave() { store(STATE, LEAVE_ORDER, IDLE) }

proctype owner()
{
    byte tries, holder, word, entries, state;
    bool done;
    do
    :: entries == ENTRIES -> break
    :: else ->
        entries++;
        enter();
        if
        :: done -> done = false; flush(); leave()
        :: else -> goto over
        fi
    od;
    if
    :: SCENE != 0 -> /* front/thread.c:heap_thread_exit */
        enter();
        if
        :: done ->
            flush();
            state = BUSY;
            cas(STATE, seq_cst, relaxed, state, ORPHAN); /* front/thread.c:state_change */
            assert(done)
        :: else
        fi
    :: true
    fi;
over:
    finish()
}

/* front/thread.c:heap_take_orphan */
proctype next_owner()
{
    byte tries, holder, word, state;
    bool done;
    load(STATE, relaxed, state);
    if
    :: state == ORPHAN ->
        cas(STATE, seq_cst, relaxed, state, BUSY); /* front/thread.c:heap_attach */
        if
        :: done ->
            done = false;
            flush();
            leave();
            enter();
            if
            :: done -> flush(); leave()
            :: else
            fi
        :: else
        fi
    :: else
    fi;
    finish()
}

/* Every thread passes the barrier, in any order. */
inline barrier_all()
{
    passed = 0;
    do
    :: passed == (1 << THREADS) - 2 -> break
    :: !(passed & 2) -> atomic { barrier_at(1); passed = passed | 2 }
    :: !(passed & 4) -> atomic { barrier_at(2); passed = passed | 4 }
    :: !(passed & 8) -> atomic { barrier_at(3); passed = passed | 8 }
#if THREADS == 5
    :: !(passed & 16) -> atomic { barrier_at(4); passed = passed | 16 }
#endif
    od;
    passed = 0;
    barrier_done()
}

/* front/thread.c:hak_heap_hold_idle, and front/shelf.c:adopt_from_idle around it */
proctype holder_of_idle()
{
    byte state, holder, word, passed;
    bool done;
#ifdef BARRIER_FIRST
    barrier_all();
#endif
    load(STATE, relaxed, state); /* front/thread.c:idle_reserve */
    if
    :: state == IDLE ->
        cas(HOLDER, acquire, relaxed, holder, 1);
        if
        :: done ->
            done = false;
#ifndef BARRIER_DROPPED
#ifndef BARRIER_FIRST
            barrier_all(); /* front/thread.c:barrier_all */
#endif
#endif
#ifndef CONFIRM_DROPPED
            load(STATE, CONFIRM_ORDER, state); /* front/thread.c:idle_confirm */
#endif
            if
            :: state == IDLE ->
                work_start();
                load(WORD, relaxed, word); /* segment/page.c:hak_page_adopt */
                if
                :: word == 0 ->
                    use(PAGE);
                    cas(WORD, acq_rel, relaxed, word, _pid);
                    assert(done);
                    word = _pid
                :: else
                fi;
                work_end()
            :: else
            fi;
            store(HOLDER, LET_GO_ORDER, 0); /* front/thread.c:hak_heap_let_go_idle */
            if
            :: word == _pid -> use(PAGE) /* it is ours: no need to hold the heap */
            :: else
            fi
        :: else
        fi
    :: else
    fi;
    finish()
}

init {
    atomic {
        begin();
        run owner();
        run holder_of_idle();
#if SCENE != 1
        run holder_of_idle();
#endif
#if SCENE != 0
        run next_owner()
#endif
    }
    finished == THREADS - 1;
    assert(!held)
}
