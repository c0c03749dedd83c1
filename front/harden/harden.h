/*
 * harden: malloc and free of a process that was started with HAKMEM_HARDEN=1.
 *
 * Purpose   misuse stops the process: see design/threat-model.md. Threads of a hardened process
 *           never get a heap, so the fast paths find the constant empty one and leave; their slow
 *           exits come here. Nothing of this is on a fast path.
 *
 *               small, medium  slots.c   random slots, a canary behind the bytes asked for, freed
 *                                        slots zero and kept from use for a while
 *               large          fence.c   the same, between pages that cannot be touched
 *               any            harden.c  which of the two; start, fork, the check at exit
 *
 * Owner     the process: pens (slots.c) and the freed large blocks (fence.c) are everybody's.
 * Threads   any; a lock a class of sizes, and one for large blocks, one of them held at a time;
 *           by a fork none, see lock.h.
 * Errors    NULL and ENOMEM as everywhere; misuse ends in hak_fatal() with a fixed message.
 */
#ifndef HAK_HARDEN_H
#define HAK_HARDEN_H

#include "front/heap.h"

/* Starts the process if need be. True if it is hardened, or cannot be started. */
bool hak_harden_decide(void);

/* Called within the start: after the options were read; after the tables were filled. */
void hak_harden_choose(void);
void hak_harden_init(void);

/* Called in the child of a fork. */
void hak_harden_fork_child(void);

extern HAK_HIDDEN _Atomic(bool) hak_hardened; /* [who starts the process, atomic] */

static inline bool hak_harden_is_on(void)
{
    /* acquire: pairs with hak_harden_init(); everything is set up. */
    return !hak_heap_is_real(hak_heap_self) &&
           (atomic_load_explicit(&hak_hardened, memory_order_acquire) || hak_harden_decide());
}

/* For a process for which hak_harden_is_on(). An alignment is a power of two. */
void *hak_harden_take(size_t size, size_t alignment);
void *hak_harden_realloc(void *block, size_t size);
void hak_harden_free(void *block);

/* What a caller wants of an address: the word in the message that stops it. */
enum hak_use { HAK_USE_FREE, HAK_USE_REALLOC, HAK_USE_SIZE, HAK_USES };

/* Bytes that were asked for, 0 for NULL; stops at what is no live block. */
size_t hak_harden_usable_bytes(const void *block, enum hak_use use);

/* Stops if a live block was allocated with another size, or cannot have that alignment. */
void hak_harden_check_size(const void *block, size_t alignment, size_t size);

/* What malloc_trim() gives back: what rests goes on resting, without memory. */
bool hak_harden_trim(void);

/* How much of the page, span or large block that starts at a page with a tag was freed and is kept
 * from use; all of it if no block lives there and it cannot be touched. 0 if not hardened. */
size_t hak_harden_resting_bytes(size_t page_idx);

/* False if the process is not hardened, and then nothing was done. */
static inline bool hak_harden_frees(void *block)
{
    bool on = hak_harden_is_on();
    if (on) {
        hak_harden_free(block);
    }
    return on;
}

#endif
