/*
 * page_tags: a page's tag and fields are published before its blocks, and withdrawn before its slot.
 *
 * What      Two heaps open a page in the same slot of a segment, in any order, and close it when its
 *           block came back; each hands the block to another thread, which looks the page up by the
 *           tag and frees the block. A purge takes the slot whenever it is free.
 * Shows     Who has a block finds the tag of the page's present life and fields that are written; a
 *           freer reads no field of the page after its bit; a slot that is free, or up for purge, has
 *           no tag; its memory is not touched by two.
 * Bounds    One life of the page by each heap, TRIES of the slot; one purge.
 * Not here  FULL and the notice (page_remote.pml): the owner looks until the block is back.
 * Checks    see test/test_models.sh
 *   check: -DTRIES=2
 *     mutations: TAG_AFTER_SLOT RELAXED_SEGMENT RELAXED_BITS TAG_AFTER_BLOCK
 *     mutations: FIELDS_AFTER_BIT FIELDS_AFTER_BLOCK
 */
#ifndef TRIES
#define TRIES 2
#endif

#define THREADS 6 /* init, two owners, their freers, the purge */

/* atomic places */
#define SEGMENT 0 /* segment/segment.h: word, 1: the slot is taken */
#define TAG 1     /* region/region.h: tags, the heap or 0 */
#define WORD 2    /* segment/page.h: word, heap * 8 + flags */
#define REMOTE 3  /* segment/page.h: remote */
#define MAIL 4    /* + heap - 1: the program passes the block on */
#define ATOMICS 6
/* plain places */
#define FIELDS 6  /* segment/page.h: what is const while the page is open */
#define BLOCK 7   /* the user's bytes, and the slot's memory */
#define PLACES 8

#include "memory.pml"

#define ACTIVE 1

/* ---- mutations ---- */

#ifdef RELAXED_SEGMENT /* the slot is not handed over with the word */
#define SEGMENT_ORDER relaxed
#else
#define SEGMENT_ORDER seq_cst
#endif
#ifdef RELAXED_BITS
#define BITS_ORDER relaxed
#else
#define BITS_ORDER seq_cst
#endif
/* TAG_AFTER_BLOCK, TAG_AFTER_SLOT, FIELDS_AFTER_BIT, FIELDS_AFTER_BLOCK: below */

byte holder;  /* of the slot */
byte open_of; /* the heap whose page is open */

inline segment_claim()
{
    seen = 0;
    cas(SEGMENT, SEGMENT_ORDER, SEGMENT_ORDER, seen, 1); /* segment/segment.c:word_replace */
    seen = 0;
    if
    :: done -> atomic { assert(holder == 0); holder = _pid }
    :: else
    fi
}

inline segment_release()
{
    holder = 0;
    fetch_and(SEGMENT, SEGMENT_ORDER, 0, _) /* segment/segment.c:release_in_segment */
}

/* segment/page.c:hak_page_open */
inline fields_set() { use(FIELDS) }

/* region/region.c:hak_region_set */
inline tag_set(tag) { store(TAG, relaxed, tag) }

proctype owner(byte heap)
{
    byte seen, tries;
    bool done;
    do
    :: done || tries == TRIES -> break
    :: else -> tries++; segment_claim() /* segment/segment.c:hak_pages_claim */
    od;
    if
    :: done -> /* front/shelf.c:page_new */
        done = false;
        load(TAG, relaxed, seen);
        assert(seen == 0);
#ifndef FIELDS_AFTER_BLOCK
        fields_set();
#endif
        store(WORD, release, heap * 8 + ACTIVE); /* segment/page.c:hak_page_open */
#ifndef TAG_AFTER_BLOCK
        tag_set(heap);
#endif
        open_of = heap;
        use(BLOCK);
        store(MAIL + heap - 1, release, 1); /* the program's own hand-over */
#ifdef FIELDS_AFTER_BLOCK
        fields_set();
#endif
#ifdef TAG_AFTER_BLOCK
        tag_set(heap);
#endif
        do
        :: load(REMOTE, seq_cst, seen); /* segment/page.c:hak_page_collect */
            if
            :: seen -> seen = 0; break
            :: else
            fi
        od;
        exchange(REMOTE, acquire, 0, _);
        open_of = 0;
        seen = heap * 8 + ACTIVE;
        cas(WORD, acq_rel, relaxed, seen, 0); /* segment/page.c:hak_page_close */
        assert(done);
        use(FIELDS); /* segment/meta.c:hak_meta_give, and the list's links */
        seen = 0;
#ifdef TAG_AFTER_SLOT
        segment_release();
        tag_set(0)
#else
        tag_set(0);
        segment_release() /* segment/segment.c:hak_pages_release */
#endif
    :: else -> store(MAIL + heap - 1, release, 2) /* there is no block */
    fi;
    finish()
}

/* front/malloc.c:free_slow of who was handed the block */
proctype freer(byte heap)
{
    byte mail, seen;
    do
    :: load(MAIL + heap - 1, acquire, mail);
        if
        :: mail != 0 -> break
        :: else
        fi
    od;
    if
    :: mail == 1 ->
        use(BLOCK); /* the user writes to it */
        load(TAG, relaxed, seen); /* front/find.h:hak_find_by_tag */
        assert(seen == heap && open_of == heap);
        look(FIELDS); /* front/remote.c:hak_remote_free */
        fetch_or(REMOTE, BITS_ORDER, 1, seen); /* segment/page.c:hak_page_free_remote */
        assert(seen == 0);
#ifdef FIELDS_AFTER_BIT
        look(FIELDS);
#endif
        load(WORD, seq_cst, seen) /* of whatever life */
    :: else
    fi;
    finish()
}

/* segment/segment.c:hak_segment_purge */
proctype purge()
{
    byte seen, tries;
    bool done;
    do
    :: done || tries == TRIES -> break
    :: else -> tries++; segment_claim()
    od;
    if
    :: done ->
        load(TAG, relaxed, seen);
        assert(seen == 0);
        use(BLOCK); /* segment/segment.c:slots_purge */
        segment_release()
    :: else
    fi;
    finish()
}

init {
    atomic {
        begin();
        run owner(1);
        run freer(1);
        run owner(2);
        run freer(2);
        run purge()
    }
    finished == THREADS - 1
}
