/*
 * tally: how many blocks of a bin went which way.
 *
 * Purpose   a figure a bin of a heap, kept where a magazine is refilled or flushed; the fast paths
 *           count nothing. Over all heaps, taken - given - remote is what is in magazines, on its
 *           way to other heaps, or live.
 * Owner     the bin's heap; what it counted stays when the thread ends.
 * Threads   whoever holds the heap writes, any may read.
 */
#ifndef HAK_TALLY_H
#define HAK_TALLY_H

#include "segment/count.h"

struct hak_tally {
    _Atomic(uint64_t) refills; /* [holder, atomic for others] of the magazine */
    _Atomic(uint64_t) flushes; /* [holder, atomic for others] of it, whole or in part */
    _Atomic(uint64_t) taken;   /* [holder, atomic for others] blocks from pages to the magazine */
    _Atomic(uint64_t) given;   /* [holder, atomic for others] and back */
    _Atomic(uint64_t) remote;  /* [holder, atomic for others] blocks given to other heaps' pages */
};

static inline void hak_tally_add(_Atomic(uint64_t) *figure, uint64_t count)
{
    hak_figure_add_own(figure, count);
}

#endif
