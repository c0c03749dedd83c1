/*
 * visit: a walk over all live blocks, for include/hakmem.h.
 *
 * Purpose   pages tell which of their slots are not free; the calling thread's magazines, which of
 *           those are free nevertheless. Of each page the live slots are noted first and told
 * after, when nothing is held any more: what the visitor does cannot change what is read, and
 *           nobody waits for it.
 * Owner     a walk is its thread's, on its stack; its notes are a record of the thread's heap.
 * Threads   any. The own heap stays entered, so nobody adopts its pages. Another heap is held while
 *           its pages are noted: its owner waits in its next slow path, some microseconds.
 */
#ifndef HAK_VISIT_H
#define HAK_VISIT_H

#include "front/heap.h"
#include "hakmem.h"

struct hak_walk {
    hak_visitor *visit;
    void *context;
    struct hak_heap *self; /* NULL in a hardened process */
    uint64_t *notes;       /* a page: number and bin, then its bitmap of live slots */
    size_t noted_words;
    enum hak_visit result;
};

/* Tells of a block; false: the visitor wants no more. `heap` may be NULL. */
bool hak_visit_tell(struct hak_walk *walk, struct hak_block block, const struct hak_heap *heap);

/* The blocks of a hardened process (visit_pens.c). */
void hak_visit_pens(struct hak_walk *walk);

#endif
