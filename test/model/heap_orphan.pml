/*
 * heap_orphan: the list of pending pages against its owner's drain, its end, and who comes after.
 *
 * What      A heap, threads that free blocks of its pages, and others that want the heap or its pages
 *           at the same time. By scene:
 *             SCENE 0  its thread lives on: two freers, a page each; one frees two blocks,
 *                      so that its page may be announced again while the owner walks the list
 *             SCENE 1  an orphan: one adopts a page, another takes the whole heap; one freer
 *             SCENE 2  an orphan: two adopt the same page; one freer
 *             SCENE 3  its thread ends, the next one takes it and ends in its turn; one freer
 * Shows     One at a time works on the heap, and sees what the one before did; every freed block is
 *           collected once; none is left on the list of an orphan, nor in a page whose owner neither
 *           looks nor will be told; a page with a notice on its way does not change its owner.
 * Bounds    Three frees in SCENE 0, else one; each other thread does its work once.
 * Not here  Pages that close (page_remote.pml), idle heaps that are held (heap_idle.pml), fork.
 * Checks    see test/test_models.sh
 *   check: -DSCENE=3
 *     mutations: PUSH_BLIND HELP_DROPPED WEAK_PUSH WEAK_PUSHER_LOOK WEAK_STATE WEAK_HELP_LOOK
 *   check: -DSCENE=0
 *     mutations: RELAXED_PUSH RELAXED_DRAIN LINK_LATE LINK_AFTER
 *   check: -DSCENE=1
 *     mutations: ADOPT_PENDING RELAXED_STATE
 *   check: -DSCENE=2
 *     mutations: STATE_STORED
 */
#ifndef SCENE
#define SCENE 0
#endif

#if SCENE == 0
#define PAGES 2
#define SLOTS 2
#else
#define PAGES 1
#define SLOTS 1
#endif
#define THREADS 4 /* init and three */
#if SCENE == 1 || SCENE == 2
#define HEAPS 3 /* the owner's, and of two that adopt */
#else
#define HEAPS 1
#endif

/* atomic places */
#define WORD 0               /* + page; segment/page.h: word, heap * 8 + flags */
#define REMOTE (WORD + PAGES)
#define NEXT (REMOTE + PAGES) /* + page; segment/page.h: pending_next, page + 1 or 0 */
#define LIST (NEXT + PAGES)   /* + heap; front/heap.h: pending, page + 1 or 0 */
#define STATE (LIST + HEAPS)  /* of heap 0; front/heap.h: state */
#define ATOMICS (STATE + 1)
/* plain places */
#define HEAP ATOMICS          /* + heap; its lists and its pages' fields */
#define BLOCK (HEAP + HEAPS)  /* + page * SLOTS + slot; the user's bytes */
#define PLACES (BLOCK + PAGES * SLOTS)

#define MESSAGES 14
#include "memory.pml"

#define ACTIVE 1
#define FULL 2
#define PENDING 4
#define FLAGS 7

#define BUSY 0
#define ORPHAN 1
#define HELD 2

/* ---- mutations ---- */

#ifdef WEAK_PUSH /* the pusher may read the state before its page is on the list */
#define PUSH_ORDER release
#else
#ifdef RELAXED_PUSH /* the link may not be visible to who takes the list */
#define PUSH_ORDER relaxed
#else
#define PUSH_ORDER seq_cst
#endif
#endif
#ifdef WEAK_PUSHER_LOOK
#define PUSHER_LOOK_ORDER acquire
#else
#define PUSHER_LOOK_ORDER seq_cst
#endif
#ifdef WEAK_STATE /* ORPHAN may become visible after the look at the list */
#define STATE_ORDER acq_rel
#else
#ifdef RELAXED_STATE /* who holds the heap next does not see what was done to it */
#define STATE_ORDER relaxed
#else
#define STATE_ORDER seq_cst
#endif
#endif
#ifdef WEAK_HELP_LOOK
#define HELP_LOOK_ORDER acquire
#else
#define HELP_LOOK_ORDER seq_cst
#endif
#ifdef RELAXED_DRAIN /* the links are not seen */
#define DRAIN_ORDER relaxed
#else
#define DRAIN_ORDER acquire
#endif
/* PUSH_BLIND, HELP_DROPPED, LINK_LATE, LINK_AFTER, ADOPT_PENDING, STATE_STORED: below */

/* ---- the heaps ---- */

#define PARTIAL 1
#define SPARE 2 /* FULL is set */

byte free[PAGES];  /* [owner] the bitmap; a page has one more slot, in use: it never closes */
byte list[PAGES];  /* [owner] PARTIAL or SPARE */
byte owned_by[PAGES]; /* [owner] the heap whose list the page is on */
byte freed[PAGES]; /* bits that were freed */
bool held;         /* somebody works on heap 0 */

/* Work on a heap starts, and ends; heap 0 may be another's the next time. */
inline work_start() { atomic { assert(heap != 0 || !held); held = (heap == 0 -> true : held); use(HEAP + heap) } }
inline work_end() { atomic { use(HEAP + heap); held = (heap == 0 -> false : held) } }

#define OWNER 0
#define FREER 1
#define ADOPTER 2
#define TAKER 3

/*
 * All threads run this one process, so that each step stands in it once. Functions that several
 * call are behind labels, and go back to where `at_change` or `at_drain` says.
 */
proctype thread(byte role; byte mine; byte blocks)
{
    byte word, head, state, bits, page, slot, heap, from, to, at_change, at_drain;
    bool done, to_rest, rested;

    if
    :: role == OWNER -> work_start(); goto thread_exit
    :: role == FREER -> goto bits_free
    :: role == ADOPTER -> from = ORPHAN; to = HELD; at_change = 1; goto state_change
    :: role == TAKER -> from = ORPHAN; to = BUSY; at_change = 2; goto state_change
    fi;

bits_free: /* front/remote.c:bits_free */
    if
    :: slot == blocks -> goto over
    :: else
    fi;
    use(BLOCK + mine * SLOTS + slot); /* the user writes to it */
    freed[mine] = freed[mine] | (1 << slot);
    fetch_or(REMOTE + mine, seq_cst, 1 << slot, _); /* segment/page.c:hak_page_free_remote */
    slot++;
    load(WORD + mine, seq_cst, word);
    do
    :: !done && (word & FLAGS) == ACTIVE + FULL ->
        cas(WORD + mine, acq_rel, acquire, word, word | PENDING)
    :: else -> break
    od;
    if
    :: !done -> word = 0; goto bits_free
    :: else -> done = false
    fi;

    word = word / 8; /* front/remote.c:owner_notify */
    load(LIST + word, relaxed, head);
    do
    :: done -> break
    :: else ->
#ifdef LINK_AFTER
        cas(LIST + word, PUSH_ORDER, relaxed, head, mine + 1);
        if
        :: done -> store(NEXT + mine, relaxed, head)
        :: else
        fi
#else
        store(NEXT + mine, relaxed, head);
        cas(LIST + word, PUSH_ORDER, relaxed, head, mine + 1)
#endif
    od;
    done = false;
    head = 0;
    if
    :: word != 0 -> word = 0; goto bits_free /* the other heaps here do not end */
    :: else
    fi;
    load(STATE, PUSHER_LOOK_ORDER, state);
#ifdef PUSH_BLIND
    state = 0;
#endif
    if
    :: state == ORPHAN -> state = 0; goto help
    :: else -> state = 0; goto bits_free
    fi;

help: /* front/thread.c:hak_heap_help */
#ifndef HELP_DROPPED
    load(LIST, HELP_LOOK_ORDER, head);
    if
    :: head != 0 -> head = 0; from = ORPHAN; to = HELD; at_change = 3; goto state_change
    :: else
    fi;
#endif
    if
    :: role == FREER -> goto bits_free
    :: role == ADOPTER -> goto adopted
    :: else -> goto over
    fi;

help_held:
    work_start();
    to_rest = true;
    at_drain = 3;
    goto drain;
help_drained:
    work_end();
    from = HELD;
    to = ORPHAN;
    at_change = 4;
    goto state_change;

state_change: /* front/thread.c:state_change */
    load(STATE, relaxed, state); /* front/thread.c:state_of */
    if
#ifdef STATE_STORED
    :: state == from -> store(STATE, seq_cst, to); done = true
#else
    :: state == from -> cas(STATE, STATE_ORDER, relaxed, state, to)
#endif
    :: else
    fi;
    state = 0;
    from = 0;
    to = 0;
    if
    :: at_change == 1 && done -> goto adopt
    :: at_change == 1 && !done -> goto over
    :: at_change == 2 && done -> goto take
    :: at_change == 2 && !done -> goto over
    :: at_change == 3 && done -> at_change = 0; done = false; goto help_held
    :: at_change == 3 && !done && role == FREER -> at_change = 0; goto bits_free
    :: at_change == 3 && !done && role == ADOPTER -> at_change = 0; goto adopted
    :: at_change == 3 && !done && role != FREER && role != ADOPTER -> goto over
    :: at_change == 4 -> assert(done); at_change = 0; done = false; goto help
    fi;

drain: /* front/shelf.c:hak_shelf_drain */
    load(LIST + heap, relaxed, head);
    if
    :: head != 0 -> exchange(LIST + heap, DRAIN_ORDER, 0, head)
    :: else
    fi;
drain_next:
    if
    :: head == 0 -> goto drained
    :: else -> page = head - 1
    fi;
#ifndef LINK_LATE
    load(NEXT + page, relaxed, head);
#endif
    assert(owned_by[page] == heap);
    fetch_and(WORD + page, seq_cst, 255 - FULL - PENDING, _); /* segment/page.c:hak_page_clear_pending */
    rested = false;
collect: /* segment/page.c:hak_page_collect */
    load(REMOTE + page, seq_cst, bits);
    if
    :: bits != 0 ->
        exchange(REMOTE + page, acquire, 0, bits);
        atomic {
            assert((bits & free[page]) == 0 && (bits & freed[page]) == bits);
            free[page] = free[page] | bits
        };
        if
        :: bits & 1 -> use(BLOCK + page * SLOTS)
        :: else
        fi;
#if SLOTS == 2
        if
        :: bits & 2 -> use(BLOCK + page * SLOTS + 1)
        :: else
        fi;
#endif
        bits = 0
    :: else
    fi;
    if /* front/shelf.c:page_drain, or who rests a page */
    :: rested -> list[page] = SPARE
    :: !rested && at_drain != 5 && (list[page] == PARTIAL || (free[page] && !to_rest)) ->
        list[page] = PARTIAL /* front/shelf.c:hak_shelf_freed; FULL is clear already */
    :: else ->
        rested = true;
        fetch_or(WORD + page, seq_cst, FULL, _); /* segment/page.c:hak_page_set_full */
        goto collect
    fi;
    if
    :: at_drain == 5 -> page++; goto rest_next
    :: else
    fi;
#ifdef LINK_LATE
    load(NEXT + page, relaxed, head);
#endif
    page = 0;
    goto drain_next;
drained:
    page = 0;
    rested = false;
    to_rest = false;
    if
    :: at_drain == 1 -> at_drain = 0; goto adopt_drained
    :: at_drain == 2 -> at_drain = 0; goto take_drained
    :: at_drain == 3 -> at_drain = 0; goto help_drained
    :: at_drain == 4 -> at_drain = 5; goto rest_next
    :: at_drain == 6 -> goto adopted_drained
    fi;

thread_exit: /* front/thread.c:heap_thread_exit */
    at_drain = 4; /* front/refill.c:hak_heap_release_all */
    to_rest = (SCENE == 0); /* there it drains as front/thread.c:heaps_tend does */
    goto drain;
rest_next: /* front/shelf.c:hak_shelf_rest, and front/shelf.c:page_rest */
    rested = false;
    do
    :: page < PAGES && (owned_by[page] != 0 || list[page] != PARTIAL) -> page++
    :: else -> break
    od;
    if
    :: page < PAGES -> goto collect
    :: else -> page = 0; at_drain = 0
    fi;
#if SCENE == 0
    if /* it lives on: a drain, a rest, and once more */
    :: slot == 0 -> slot++; goto thread_exit
    :: else
    fi;
    work_end();
    goto over;
#endif
    work_end();
    from = BUSY;
    to = ORPHAN;
    at_change = 4;
    goto state_change;

adopt: /* front/shelf.c:adopt_from_orphans; front/thread.c:hak_heap_hold_orphan is behind us */
    at_change = 0;
    done = false;
    work_start();
    to_rest = true;
    at_drain = 1;
    goto drain; /* front/shelf.c:pages_adopt */
adopt_drained:
    if
    :: owned_by[0] == 0 && list[0] == SPARE && free[0] -> /* front/shelf.c:page_adopt */
        load(WORD, relaxed, word); /* segment/page.c:hak_page_adopt */
        do
#ifdef ADOPT_PENDING
        :: done -> break
        :: else ->
#else
        :: done || (word & PENDING) || word / 8 != 0 -> break
        :: else ->
#endif
            cas(WORD, acq_rel, relaxed, word, mine * 8 + (word & FLAGS))
        od;
        if
        :: done ->
            done = false;
            owned_by[0] = mine;
            list[0] = PARTIAL;
            load(WORD, relaxed, word); /* segment/page.c:hak_page_clear_full */
            if
            :: word & FULL -> fetch_and(WORD, relaxed, 255 - FULL, _)
            :: else
            fi
        :: else
        fi;
        word = 0
    :: else
    fi;
    work_end();
    from = HELD; /* front/thread.c:hak_heap_let_go_orphan */
    to = ORPHAN;
    at_change = 4;
    goto state_change;

adopted: /* its own next slow path */
    if
    :: owned_by[0] != mine -> goto over
    :: else -> heap = mine; at_drain = 6; goto drain
    fi;
adopted_drained:
    if /* it wants to be told */
    :: list[0] == PARTIAL -> fetch_or(WORD, seq_cst, FULL, _); list[0] = SPARE
    :: else
    fi;
    load(REMOTE, seq_cst, bits);
    if
    :: bits -> exchange(REMOTE, acquire, 0, bits); free[0] = free[0] | bits; use(BLOCK)
    :: else
    fi;
    goto over;

take: /* front/thread.c:heap_take_orphan, and a slow path */
    at_change = 0;
    done = false;
    work_start();
    at_drain = 2;
    goto drain;
take_drained:
    if
    :: owned_by[0] == 0 && list[0] == SPARE && free[0] -> /* front/shelf.c:page_wake */
        fetch_and(WORD, relaxed, 255 - FULL, _);
        list[0] = PARTIAL
    :: else
    fi;
#if SCENE == 3
    goto thread_exit;
#endif
    work_end();

over:
    finish()
}

/* What must be so when all have ended: of a page, and of the list of a heap. */
inline check_page()
{
    peek(WORD + page, word);
    peek(REMOTE + page, bits);
    assert(word / 8 == owned_by[page]);
    assert((free[page] | bits) == freed[page] && (free[page] & bits) == 0);
    if
    :: owned_by[page] == 0 && state == ORPHAN -> assert(bits == 0 && (word & FLAGS) == ACTIVE + FULL)
    :: else -> assert(bits == 0 || !(word & FULL) || (word & PENDING))
    fi;
    announced = announced + (word & PENDING -> 1 : 0)
}

inline check_list()
{
    peek(LIST + heap, head);
    do
    :: head == 0 -> break
    :: else ->
        peek(WORD + head - 1, word);
        assert((word & PENDING) && word / 8 == heap); /* and so no page is on a list twice */
        announced--;
        peek(NEXT + head - 1, head)
    od
}

init {
    byte page, word, bits, state, head, heap, announced;
    atomic {
        begin();
        do
        :: page < PAGES ->
#if SCENE == 3
            set(WORD + page, ACTIVE);
            list[page] = PARTIAL;
#else
            set(WORD + page, ACTIVE + FULL);
            list[page] = SPARE;
#endif
#if SCENE == 1 || SCENE == 2
            set(STATE, ORPHAN);
            free[page] = 2; /* something to adopt */
            freed[page] = 2;
#endif
            page++
        :: else -> page = 0; break
        od;
#if SCENE == 0 || SCENE == 3
        run thread(OWNER, 0, 0);
#endif
        run thread(FREER, 0, 1);
#if SCENE == 0
        run thread(FREER, 1, 2)
#endif
#if SCENE == 1
        run thread(ADOPTER, 1, 0);
        run thread(TAKER, 0, 0)
#endif
#if SCENE == 2
        run thread(ADOPTER, 1, 0);
        run thread(ADOPTER, 2, 0)
#endif
#if SCENE == 3
        run thread(TAKER, 0, 0)
#endif
    }
    atomic {
        finished == THREADS - 1;
        peek(STATE, state);
        do
        :: page < PAGES -> check_page(); page++
        :: else -> break
        od;
        do
        :: heap < HEAPS -> check_list(); heap++
        :: else -> break
        od;
        assert(announced == 0)
    }
}
