/*
 * lock: mutual exclusion in a hardened process.
 *
 * Purpose   a lock that knows its holder: a fork, or the check at exit, inside a handler that
 *           interrupted the holder must not wait for itself. A thread is known by the address of
 *           a variable of its own, which is the same in the child of a fork.
 * Threads   any. Who waits gives the CPU away after a while.
 */
#ifndef HAK_LOCK_H
#define HAK_LOCK_H

#include <stdatomic.h>
#include <sys/single_threaded.h>

#include "front/heap.h"
#include "segment/os.h"

#define HAK_LOCK_SPINS 200

struct hak_lock {
    _Atomic(uintptr_t) holder; /* [any, atomic] 0: nobody */
    uint32_t depth;            /* [holder] takes beyond the first */
};

static inline uintptr_t hak_lock_self(void)
{
    return (uintptr_t)&hak_heap_self;
}

static inline bool hak_lock_is_mine(const struct hak_lock *lock)
{
    /* relaxed: only the thread itself writes its own address. */
    return atomic_load_explicit(&lock->holder, memory_order_relaxed) == hak_lock_self();
}

static inline bool hak_lock_try(struct hak_lock *lock)
{
    uintptr_t nobody = 0;
    if (__libc_single_threaded != 0 && !hak_lock_is_mine(lock)) {
        /* relaxed: there is nobody else, and so nobody holds it. */
        atomic_store_explicit(&lock->holder, hak_lock_self(), memory_order_relaxed);
        return true;
    }
    /* acquire: pairs with the release in hak_lock_drop(). */
    return atomic_compare_exchange_weak_explicit(&lock->holder, &nobody, hak_lock_self(),
                                                 memory_order_acquire, memory_order_relaxed);
}

static inline void hak_lock_take(struct hak_lock *lock)
{
    for (uint32_t spins = 0; !hak_lock_try(lock); spins++) {
        if (hak_lock_is_mine(lock)) {
            lock->depth++;
            return;
        }
        if (spins >= HAK_LOCK_SPINS) {
            hak_os_yield();
        }
    }
}

static inline void hak_lock_drop(struct hak_lock *lock)
{
    if (HAK_UNLIKELY(lock->depth != 0)) {
        lock->depth--;
        return;
    }
    /* release: pairs with the acquire in hak_lock_try(). */
    atomic_store_explicit(&lock->holder, 0, memory_order_release);
}

#endif
