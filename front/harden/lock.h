/*
 * lock: mutual exclusion in a hardened process.
 *
 * Purpose   a lock that knows its holder: a fork, or the check at exit, inside a handler that
 *           interrupted the holder must not wait for itself. A thread is known by a number, which
 *           no other one ever gets, and which it keeps in the child of a fork.
 * Forks     take no lock, so nobody can wait for a fork, nor a fork for anybody. In its child
 *           locks may be lost: held by threads that are not there, and may have left half-way what
 *           the lock guards. Whoever is first at any lock there settles that before he takes it.
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
    _Atomic(uint64_t) holder; /* [any, atomic] 0: nobody */
    uint32_t depth;           /* [holder] takes beyond the first */
    _Atomic(uint64_t) takes;  /* [holder, atomic for reports] ... */
    _Atomic(uint64_t) waits;  /* [holder, atomic for reports] ... that another thread was before */
};

/* The number of the thread that settles what a fork left, or one of these. The kernel clears it in
 * every child (MADV_WIPEONFORK); where it cannot, a handler does. */
enum { HAK_LOCK_UNSETTLED, HAK_LOCK_SETTLED, HAK_LOCK_NUMBERS };
extern HAK_HIDDEN _Atomic(uint64_t)
    *hak_lock_state; /* [any, atomic] the pointer: const after init */

extern HAK_HIDDEN _Atomic(uint64_t) hak_lock_numbers;     /* [any, atomic] the next one */
extern HAK_HIDDEN _Thread_local uint64_t hak_lock_number; /* [its thread] 0: none yet */

/* In the child of a fork: frees what lost locks guard, and the locks. */
void hak_lock_settle(void);

static inline uint64_t hak_lock_self(void)
{
    if (HAK_UNLIKELY(hak_lock_number == 0)) {
        /* relaxed: only that it differs from all others matters. */
        hak_lock_number = atomic_fetch_add_explicit(&hak_lock_numbers, 1, memory_order_relaxed);
    }
    return hak_lock_number;
}

static inline bool hak_lock_is_mine(const struct hak_lock *lock)
{
    /* relaxed: only the thread itself writes its own number. */
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

/* Before a lock is tried. */
static inline void hak_lock_ready(void)
{
    /* acquire: pairs with hak_lock_settle(). */
    if (HAK_UNLIKELY(atomic_load_explicit(hak_lock_state, memory_order_acquire) !=
                     HAK_LOCK_SETTLED)) {
        hak_lock_settle();
    }
}

/* Takes a lock that was not to be had at once. False if the thread itself had it. */
__attribute__((cold)) static inline bool hak_lock_wait(struct hak_lock *lock)
{
    for (uint32_t spins = 0;; spins++) {
        if (hak_lock_is_mine(lock)) {
            lock->depth++;
            return false;
        }
        if (spins >= HAK_LOCK_SPINS) {
            hak_os_yield();
        }
        hak_lock_ready(); /* each time: a handler may fork while this waits */
        if (hak_lock_try(lock)) {
            hak_tally_add(&lock->waits, 1);
            return true;
        }
    }
}

static inline void hak_lock_take(struct hak_lock *lock)
{
    hak_lock_ready();
    if (HAK_LIKELY(hak_lock_try(lock)) || hak_lock_wait(lock)) {
        hak_tally_add(&lock->takes, 1);
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

/* For who settles: whether the holder is not in this process. */
static inline bool hak_lock_is_lost(const struct hak_lock *lock)
{
    /* relaxed: no other thread takes a lock now. */
    return atomic_load_explicit(&lock->holder, memory_order_relaxed) != 0 &&
           !hak_lock_is_mine(lock);
}

static inline void hak_lock_recover(struct hak_lock *lock)
{
    lock->depth = 0;
    hak_lock_drop(lock);
}

/* What stands before it is there in the child of a fork, if anything of what stands behind is: the
 * child has what a thread did up to one of its instructions. */
static inline void hak_lock_order(void)
{
    /* seq_cst: for the compiler only. */
    atomic_signal_fence(memory_order_seq_cst);
}

#endif
