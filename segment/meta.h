/*
 * meta: memory for the allocator's own records.
 *
 * Purpose   heaps, magazines and bitmaps lie apart from user memory, so that no overflow of a
 *           block reaches them. Records have sizes of a power of two, from one cache line on.
 * Owner     a hak_meta_pool belongs to a heap; the space behind all pools is one a process and
 *           is never given back: records are type-stable.
 * Threads   a pool is its heap's alone. The common space is a bounded CAS, without lock.
 */
#ifndef HAK_META_H
#define HAK_META_H

#include "segment/os.h"

#define HAK_META_MIN_BYTES ((size_t)64)
#define HAK_META_SIZES 12 /* 64 B ... 128 KiB */

/* Records given back, one list a size, linked through their first word. */
struct hak_meta_pool {
    void *free[HAK_META_SIZES]; /* [owner] */
};

_Static_assert(HAK_META_MIN_BYTES << (HAK_META_SIZES - 1) == 128 * HAK_KIB,
               "the largest record is a large magazine");

/* Takes over reserved address space. Called once. */
void hak_meta_init(char *start, size_t bytes);

/* A new zeroed record of `bytes` at a multiple of `alignment` (a power of two), for ever.
 * NULL when memory is out. */
void *hak_meta_new(size_t bytes, size_t alignment);

/* A page of the kernel's that reads as zero again in every child of a fork, whatever the child does
 * first. NULL when memory is out, or where the kernel has no such pages: it is to be noticed there
 * by a handler, which others come before. */
static inline void *hak_meta_new_wiped(void)
{
    size_t os_page = hak_os_page_bytes();
    void *page = hak_meta_new(os_page, os_page);
    return page != NULL && hak_os_wipe_in_child(page, os_page) ? page : NULL;
}

/* A record of at least `bytes`, zeroed, from the pool or new; NULL when memory is out.
 * At most 128 KiB. */
void *hak_meta_take(struct hak_meta_pool *pool, size_t bytes);

/* Gives a record of that many bytes back to a pool. */
void hak_meta_give(struct hak_meta_pool *pool, void *record, size_t bytes);

/* A record of that many bytes went from one pool's use to the other's: evens that out, if there is
 * a spare one. */
void hak_meta_even(struct hak_meta_pool *from, struct hak_meta_pool *to, size_t bytes);

/* Bytes handed out so far, in all pools. */
size_t hak_meta_used_bytes(void);

#endif
