/*
 * page_remote: the remote bits of a page against FULL and PENDING of its word.
 *
 * What      Two owners, one after the other, and two threads that free the page's two blocks. The
 *           owner takes blocks again and hands them out again, so a block is freed, collected,
 *           reused and freed once more while a freer stands between its bits and the word. When all
 *           slots are free the owner may close the page, and the second owner opens it: the late
 *           freer then meets the word of another life.
 * Shows     Every freed block is collected once, and none is left where nobody looks; what a freer
 *           wrote is seen by who has the block next; no page stands on the list of a heap that does
 *           not own it any more.
 * Bounds    FREES of one block and one of the other, two lives of the page.
 * Not here  several words of a bitmap, several pages, orphans (heap_orphan.pml), fork.
 * Checks    see test/test_models.sh
 *   check: -DFREES=2
 *     mutations: RECHECK_DROPPED WEAK_BITS RELAXED_BITS WEAK_WORD WEAK_FULL WEAK_LOOK
 *     mutations: RELAXED_COLLECT RECHECK_FIRST CLOSE_PENDING NOTIFY_TWICE
 */
#ifndef FREES
#define FREES 2
#endif
#define LIVES 2

#define THREADS 5 /* init, two owners, two freers */

/* atomic places */
#define WORD 0   /* segment/page.h: word, owner * 8 + flags */
#define REMOTE 1 /* segment/page.h: remote */
#define LIST 2   /* + owner - 1; front/heap.h: pending, 1: the page */
#define ATOMICS 4
/* plain places */
#define BLOCK 4 /* + slot: the user's bytes */
#define PAGE 6  /* the descriptor's fields of the owner */
#define PLACES 7

#define MESSAGES 14
#include "memory.pml"

#define ACTIVE 1
#define FULL 2
#define PENDING 4
#define FLAGS 7
#define ALL 3

/* ---- mutations ---- */

#ifdef WEAK_BITS /* the bits may become visible after the freer has read the word */
#define BITS_ORDER acq_rel
#else
#ifdef RELAXED_BITS /* the bits do not carry what the freer did with the block */
#define BITS_ORDER relaxed
#else
#define BITS_ORDER seq_cst
#endif
#endif
#ifdef WEAK_WORD /* the freer may read the word before its bits are visible */
#define WORD_ORDER acquire
#else
#define WORD_ORDER seq_cst
#endif
#ifdef WEAK_FULL /* FULL may become visible after the second look */
#define FULL_ORDER acq_rel
#else
#define FULL_ORDER seq_cst
#endif
#ifdef WEAK_LOOK /* the second look may be moved before FULL */
#define LOOK_ORDER acquire
#else
#define LOOK_ORDER seq_cst
#endif
#ifdef RELAXED_COLLECT /* what the freer did with the block is not seen */
#define COLLECT_ORDER relaxed
#else
#define COLLECT_ORDER acquire
#endif
/* RECHECK_DROPPED, RECHECK_FIRST, CLOSE_PENDING, NOTIFY_TWICE: below */

/* ---- the page ---- */

#define PARTIAL 1
#define REST 1 /* what the owner does with it */
#define WAKE 2
#define RESTING 2 /* or on the list of full ones: FULL is set */

#define LIVE 0  /* a user has the block */
#define FREED 1 /* on its way back */
#define FREE 2  /* collected */

byte free;        /* [owner] the bitmap */
byte list;        /* [owner] which of its lists the page is on */
byte where[2];    /* of a block; tells a block that is collected twice */
byte life = 1;    /* of the page; its owner's number */
bool mail[2];     /* the block is with its freer */
byte left[2];     /* how often the freer will still get it */
byte freers_done;

/* segment/page.c:hak_page_collect */
inline collect()
{
    load(REMOTE, LOOK_ORDER, bits);
    if
    :: bits == 0
    :: else ->
        exchange(REMOTE, COLLECT_ORDER, 0, bits);
        atomic {
            assert((bits & free) == 0);
            assert(!(bits & 1) || where[0] == FREED);
            assert(!(bits & 2) || where[1] == FREED);
            where[0] = (bits & 1 -> FREE : where[0]);
            where[1] = (bits & 2 -> FREE : where[1]);
            free = free | bits
        }
        if :: bits & 1 -> use(BLOCK) :: else fi;
        if :: bits & 2 -> use(BLOCK + 1) :: else fi
    fi;
    bits = 0
}

/* front/shelf.c:page_close of a page whose slots are all free; `done`: it is closed */
inline close()
{
    done = false;
    load(WORD, relaxed, word); /* front/shelf.c:page_is_pending */
    if
    :: word & PENDING
    :: else ->
        load(REMOTE, relaxed, bits); /* segment/page.c:remote_is_clear */
        assert(bits == 0);
        load(WORD, relaxed, word); /* segment/page.c:hak_page_close */
        do
#ifdef CLOSE_PENDING /* PENDING is looked at before the CAS only */
        :: done -> break
        :: else ->
#else
        :: done || (word & PENDING) -> break
        :: else ->
#endif
            assert(done || word / 8 == me);
            cas(WORD, acq_rel, relaxed, word, 0)
        od
    fi;
    word = 0;
    if
    :: done -> atomic { list = 0; hand_over(2); life = 2 } /* segment/segment.c:word_replace */
    :: else
    fi
}

#define WANTED (((free & 1) && left[0] > 0) || ((free & 2) && left[1] > 0))

/* A miss: front/shelf.c:hak_shelf_page, as far as this page goes. What follows the drain there, is
 * the next miss here. */
inline slow_path()
{
    load(LIST + me - 1, relaxed, head); /* front/shelf.c:hak_shelf_drain */
    if
    :: head != 0 -> exchange(LIST + me - 1, acquire, 0, head)
    :: else
    fi;
    if
    :: head != 0 -> /* front/shelf.c:page_drain */
        head = 0;
        assert(life == me); /* whoever announced the page, it is ours */
        use(PAGE);
        fetch_and(WORD, seq_cst, 255 - FULL - PENDING, _); /* segment/page.c:hak_page_clear_pending */
        collect();
        if
        :: list != PARTIAL && free == 0 -> does = REST
        :: list != PARTIAL && free != 0 -> does = WAKE /* front/shelf.c:hak_shelf_freed */
        :: else
        fi
    :: else -> /* front/shelf.c:hak_shelf_current */
        if
        :: list == PARTIAL && free == 0 ->
            collect();
            does = (free == 0 -> REST : 0)
        :: list == RESTING && WANTED -> does = WAKE
        :: else
        fi
    fi;
    if
    :: does == REST -> /* front/shelf.c:page_rest */
#ifdef RECHECK_FIRST
        collect();
#endif
        fetch_or(WORD, FULL_ORDER, FULL, _); /* segment/page.c:hak_page_set_full */
#ifndef RECHECK_DROPPED
#ifndef RECHECK_FIRST
        collect();
#endif
#endif
        list = RESTING
    :: does == WAKE -> /* front/shelf.c:page_wake */
        load(WORD, relaxed, word); /* segment/page.c:hak_page_clear_full */
        if
        :: word & FULL -> fetch_and(WORD, relaxed, 255 - FULL, _)
        :: else
        fi;
        word = 0;
        list = PARTIAL
    :: else
    fi;
    does = 0;
    if
    :: free == ALL && life < LIVES -> close(); done = false
    :: else
    fi
}

/* segment/page.c:hak_page_take; and the program has its freer free the block again */
inline take(slot)
{
    atomic {
        assert(where[slot] == FREE);
        free = free & (255 - (1 << slot));
        where[slot] = LIVE
    };
    use(BLOCK + slot);
    atomic { hand_over(3 + slot); left[slot]--; mail[slot] = true }
}

#define CAN_TAKE(slot) (list == PARTIAL && (free & (1 << slot)) && left[slot] > 0)

proctype owner(byte me)
{
    byte word, bits, head, does;
    bool done;
    do
    :: life == me -> break
    :: life < me && freers_done == 2 -> goto over
    od;
    use(PAGE);
    if
    :: me > 1 -> /* front/shelf.c:page_new */
        free = ALL;
        list = PARTIAL;
        store(WORD, release, me * 8 + ACTIVE) /* segment/page.c:hak_page_open */
    :: else
    fi;
    do
    :: life != me -> goto over
    :: life == me && freers_done < 2 -> slow_path()
    :: life == me && CAN_TAKE(0) -> take(0)
    :: life == me && CAN_TAKE(1) -> take(1)
    :: life == me && freers_done == 2 -> break
    od;
    slow_path();
    if
    :: life == me && list == PARTIAL -> collect() /* front/shelf.c:list_sweep */
    :: else
    fi;
    assert(where[0] == FREE && where[1] == FREE); /* none is lost */
over:
    finish()
}

/* front/remote.c:bits_free */
proctype freer(byte slot)
{
    byte word, old, head;
    bool done;
    do
    :: atomic { mail[slot] -> mail[slot] = false };
        use(BLOCK + slot); /* the user writes to it */
        where[slot] = FREED;
        fetch_or(REMOTE, BITS_ORDER, 1 << slot, old); /* segment/page.c:hak_page_free_remote */
        assert((old & (1 << slot)) == 0);
        old = 0;
        load(WORD, WORD_ORDER, word);
        do
#ifdef NOTIFY_TWICE /* PENDING does not keep another freer from announcing the page */
        :: (word & (ACTIVE + FULL)) == ACTIVE + FULL ->
#else
        :: (word & FLAGS) == ACTIVE + FULL ->
#endif
            cas(WORD, acq_rel, acquire, word, word | PENDING);
            if
            :: done -> break
            :: else
            fi
        :: else -> break
        od;
        if
        :: done -> /* front/remote.c:owner_notify */
            done = false;
            word = word / 8 - 1;
            load(LIST + word, relaxed, head);
            do
            :: done -> break
            :: else ->
                assert(head == 0); /* the page is on the list once */
                cas(LIST + word, seq_cst, relaxed, head, 1)
            od;
            done = false
        :: else
        fi;
        word = 0
    :: left[slot] == 0 && !mail[slot] -> break
    od;
    atomic { hand_over(1); hand_over(2); freers_done++; finish() }
}

init {
    byte head;
    atomic {
        begin();
        set(WORD, 1 * 8 + ACTIVE);
        list = PARTIAL;
        mail[0] = true;
        mail[1] = true;
        left[0] = FREES - 1;
        left[1] = 0;
        run owner(1);
        run owner(2);
        run freer(0);
        run freer(1)
    }
    atomic {
        finished == THREADS - 1;
        peek(LIST, head);
        assert(life == 1 || head == 0) /* no notice to a heap that closed the page */
    }
}
