/*
 * policy: nobody reads a policy that is half written, and what was learnt does not replace what was
 * set meanwhile.
 *
 * What      One thread sets a policy, another one has learnt one: each writes a snapshot, unless one
 *           of the same content is on the list of all, puts it there, and makes it the current one;
 *           the learner only if nobody else has meanwhile. A heap looks for the current one in its
 *           slow paths and walks through its classes, and at last looks through the list.
 * Shows     Every class of a snapshot is written before anybody else reads it, however it was found;
 *           a policy that was learnt from the first one is not current once one was set.
 * Bounds    Two snapshots of two classes each beside the first; ENTRIES slow paths.
 * Not here  The bound on their number; memory that is out.
 * Checks    see test/test_models.sh
 *   check:
 *     mutations: PUBLISH_FIRST RELAXED_PUBLISH RELAXED_NOW LEARNT_STORED
 *     mutations: RELAXED_KEPT RELAXED_LIST
 */
#define THREADS 4 /* init, who sets, who learns, the heap */
#ifndef ENTRIES
#define ENTRIES 2
#endif

/* atomic places */
#define CURRENT 0 /* front/policy/policy.h: hak_policy_current; 0 is the first policy */
#define KEPT 1    /* front/policy/policy.c: kept; 0: none */
#define ATOMICS 2
/* plain places, a class each */
#define CLASS 2 /* + 2 * (snapshot - 1) + class */
#define PLACES 6

#include "memory.pml"

/* ---- mutations ---- */

#ifdef RELAXED_PUBLISH
#define PUBLISH_ORDER relaxed
#define SET_ORDER relaxed
#else
#define PUBLISH_ORDER release
#define SET_ORDER acq_rel
#endif
#ifdef RELAXED_NOW
#define NOW_ORDER relaxed
#else
#define NOW_ORDER acquire
#endif
#ifdef RELAXED_KEPT
#define KEPT_ORDER relaxed
#else
#define KEPT_ORDER acq_rel
#endif
#ifdef RELAXED_LIST
#define LIST_ORDER relaxed
#else
#define LIST_ORDER acquire
#endif
/* PUBLISH_FIRST, LEARNT_STORED: below */

byte next_of[3]; /* of each snapshot on the list: the one behind it */
byte set_to;     /* the snapshot that was set */
bool from_first; /* the learner's draft is of the first policy */

/* A snapshot's classes are written once, and read by anybody. */
#define write(snapshot) \
    use(CLASS + 2 * (snapshot) - 2); \
    use(CLASS + 2 * (snapshot) - 1)
#define read(snapshot) \
    if \
    :: (snapshot) == 0 \
    :: else -> look(CLASS + 2 * (snapshot) - 2); look(CLASS + 2 * (snapshot) - 1) \
    fi

/* front/policy/policy.c:snapshot_of; one on the list may be the same */
inline keep(snapshot)
{
    load(KEPT, LIST_ORDER, seen);
    read(seen);
    if
    :: seen != 0 -> snapshot = seen /* it is the same */
    :: true ->
        write(snapshot);
        do
        :: done -> break
        :: else ->
            next_of[snapshot] = seen;
            cas(KEPT, KEPT_ORDER, LIST_ORDER, seen, snapshot)
        od;
        done = false
    fi;
    seen = 0
}

/* front/policy/policy.c:hak_policy_set, and front/policy/policy.c:hak_policy_publish */
proctype setter()
{
    byte snapshot = 1, seen;
    bool done;
#ifdef PUBLISH_FIRST
    set_to = snapshot;
    store(CURRENT, PUBLISH_ORDER, snapshot);
    keep(snapshot);
#else
    keep(snapshot);
    set_to = snapshot;
    exchange(CURRENT, SET_ORDER, snapshot, seen);
    read(seen); /* front/policy/policy.c:change_tell */
#endif
    finish()
}

/* front/policy/learner.c:fold, and front/policy/policy.c:hak_policy_publish */
proctype learner()
{
    byte snapshot = 2, base, seen;
    bool done;
    load(CURRENT, NOW_ORDER, base); /* front/policy/policy.h:hak_policy_now */
    from_first = (base == 0);
    read(base); /* the draft is a copy */
    keep(snapshot);
#ifdef LEARNT_STORED
    store(CURRENT, PUBLISH_ORDER, snapshot);
#else
    cas(CURRENT, PUBLISH_ORDER, relaxed, base, snapshot);
#endif
    finish()
}

/* front/policy/policy.h:hak_policy_look, and front/policy/policy.c:hak_policy_apply */
proctype heap()
{
    byte obeyed, newest, entries;
    do
    :: entries == ENTRIES -> break
    :: else ->
        entries++;
        load(CURRENT, NOW_ORDER, newest);
        if
        :: newest != obeyed -> read(newest); obeyed = newest
        :: else
        fi;
        newest = 0
    od;
    load(KEPT, LIST_ORDER, newest); /* as if it published, too */
    do
    :: newest == 0 -> break
    :: else -> read(newest); newest = next_of[newest]
    od;
    finish()
}

init {
    byte current;
    atomic {
        begin();
        run setter();
        run learner();
        run heap()
    }
    atomic {
        finished == THREADS - 1;
        peek(CURRENT, current);
        assert(!from_first || current == set_to)
    }
}
