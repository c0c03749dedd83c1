/*
 * trace_lock.h: the recorder's spin lock.
 *
 * Owner    the recorder. Zeroed memory is a free lock.
 * Threads  any, with and without a real-time priority.
 *
 * Not a pthread mutex, whose functions the program or the next malloc may have taken over. The one
 * that is waited for may need this processor: so a wait spins, then yields, then sleeps, for a
 * thread of the class SCHED_FIFO yields to none below it.
 */
#ifndef HAK_BENCH_TRACE_LOCK_H
#define HAK_BENCH_TRACE_LOCK_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_SPINS = 100, LOCK_YIELDS = 20, LOCK_NAP_NS = 50000 };

/* One step of a wait that began with *steps == 0. Sleeps by number: nanosleep can be cancelled. */
static inline void lock_step(unsigned *steps)
{
    static const struct timespec nap = {0, LOCK_NAP_NS};
    unsigned step = ++*steps;
    if (step % LOCK_SPINS != 0)
        return;
    if (step <= LOCK_SPINS * LOCK_YIELDS)
        sched_yield();
    else
        (void)syscall(SYS_nanosleep, &nap, NULL);
}

/* May change errno. */
static inline void lock_take(_Atomic bool *lock)
{
    unsigned steps = 0;
    /* acquire: pairs with the release in lock_give; makes what the lock guards visible. */
    while (atomic_exchange_explicit(lock, true, memory_order_acquire))
        lock_step(&steps);
}

static inline void lock_give(_Atomic bool *lock)
{
    /* release: pairs with the acquire in lock_take. */
    atomic_store_explicit(lock, false, memory_order_release);
}

#endif
