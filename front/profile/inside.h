/*
 * inside: what the files of the profiler know of each other.
 *
 * Purpose   stacks that allocate, and what a heap of a profiled process has before its bins.
 * Owner     sites are the process's, from when they were first seen to its end; the rest is a
 *           heap's.
 * Threads   any. Sites are added by one CAS and stay; their figures are atomic.
 */
#ifndef HAK_PROF_INSIDE_H
#define HAK_PROF_INSIDE_H

#include "front/profile/prof.h"

#define HAK_PROF_CALLERS 128 /* of a stack at most, from malloc outwards */

/* A stack that allocated. Objects count in units of 1 / HAK_PROF_OBJECT. */
#define HAK_PROF_OBJECT 65536
struct hak_prof_site {
    struct hak_prof_site *next; /* [const after it was published] of the same bucket */
    uint64_t hash;              /* [const after it was published] XXH3 of the callers */
    _Atomic(uint64_t) taken_bytes, taken_objects; /* [any, atomic] estimates, as all four */
    _Atomic(uint64_t) freed_bytes, freed_objects; /* [any, atomic] */
    size_t count;                                 /* [const after it was published] of callers */
    uintptr_t callers[];                          /* [const after it was published] */
};

/* A stack that was seen, and where in memory its return addresses stood: if all stand there again,
 * it is the same. */
#define HAK_PROF_PLACES 32
struct hak_prof_seen {
    struct hak_prof_site *site;
    const void *frame; /* of the allocator's function that was called */
    const uintptr_t *places[HAK_PROF_PLACES];
};

/* [owner] What a heap of a profiled process has before its bins. */
#define HAK_PROF_SEEN 8
struct hak_prof {
    uint64_t left[HAK_BINS];                  /* calls of malloc before the one that is sampled */
    uint64_t random;                          /* state of the generator */
    size_t next_seen;                         /* the one that is replaced next */
    size_t takes;                             /* slow paths of malloc */
    struct hak_prof_seen seen[HAK_PROF_SEEN]; /* the last stacks */
};

/* From the start of a record to the heap in it. */
#define HAK_PROF_HEAP_OFFSET (2 * HAK_HEAP_ALIGN - sizeof(struct hak_bin))

_Static_assert(sizeof(struct hak_prof) <= HAK_PROF_HEAP_OFFSET - HAK_BINS * sizeof(struct hak_bin),
               "it ends before the bins below the heap");
/* In HAK_HEAP_ALIGN bytes, of the bins below a heap, the first that is used and the last one. */
_Static_assert(((HAK_HEAP_ALIGN - sizeof(struct hak_bin)) ^
                (HAK_HEAP_ALIGN - HAK_BINS * sizeof(struct hak_bin))) <
                       HAK_BINS * sizeof(struct hak_bin) &&
                   HAK_BINS * sizeof(struct hak_bin) < HAK_HEAP_ALIGN / 4 * 3 + 64,
               "hak_find_by_tag() finds them");

static inline struct hak_prof *hak_prof_of(struct hak_heap *heap)
{
    return (struct hak_prof *)(void *)((char *)heap - HAK_PROF_HEAP_OFFSET);
}

enum { HAK_PROF_BY_TABLES }; /* of HAKMEM_PROF_STACKS, the first word */

/* The stack of a frame (prof_stack.c); and all of them, in any order: the one after `site`, or the
 * first after NULL. */
struct hak_prof_site *hak_prof_site(struct hak_heap *heap, const void *frame);
const struct hak_prof_site *hak_prof_site_after(const struct hak_prof_site *site);

/* Writes profiles from here on (prof_dump.c); and, for slow paths, one if a file asks for it. */
void hak_prof_dump_start(void);
void hak_prof_poll(void);

#endif
