/*
 * take: blocks by bin or by pages, for callers that have chosen those themselves.
 *
 * Threads   any.
 * Errors    NULL and ENOMEM when memory is out.
 */
#ifndef HAK_TAKE_H
#define HAK_TAKE_H

#include <errno.h>
#include <stddef.h>

#include "segment/count.h"

static inline void *hak_take_nothing(void)
{
    hak_count(HAK_COUNT_REFUSED);
    errno = ENOMEM;
    return NULL;
}

/* A block of a bin, 1 to HAK_BINS - 1. */
void *hak_take_bin(size_t bin_idx);

/* A block of pages of its own at a multiple of `alignment`, a power of two from 64 KiB on. */
void *hak_take_large(size_t size, size_t alignment);

#endif
