/*
 * bench_threads.h: worker threads that start together and end without a futex of their own.
 *
 * Owner: the main thread holds the gate; workers only arrive and wait.
 * Threads: as said at each function.
 *
 * The futex calls of a run are to be the allocator's. So the gate yields, pauses sleep, and a join
 * polls; none of them takes a pthread mutex or condition.
 */
#ifndef HAK_BENCH_THREADS_H
#define HAK_BENCH_THREADS_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "bench.h"

enum { BENCH_MAX_THREADS = 256 };

struct bench_gate {
    _Atomic unsigned arrived; /* [any, atomic] workers that reached the gate */
    _Atomic bool open;        /* [main] set once */
};

static inline void bench_thread_start(pthread_t *id, void *(*body)(void *), void *argument)
{
    errno = pthread_create(id, NULL, body, argument);
    if (errno != 0)
        bench_die("pthread_create");
}

/* pthread_join waits in a futex; this one asks every 100 us. */
static inline void bench_thread_join(pthread_t id)
{
    while (pthread_tryjoin_np(id, NULL) == EBUSY)
        bench_sleep_ns(100000);
}

/* [worker] */
static inline void gate_wait(struct bench_gate *gate)
{
    /* relaxed: only counted; the main thread reads nothing that the worker wrote before. */
    atomic_fetch_add_explicit(&gate->arrived, 1, memory_order_relaxed);
    /* acquire: pairs with the release in gate_open; makes the start time and tables visible. */
    while (!atomic_load_explicit(&gate->open, memory_order_acquire))
        sched_yield();
}

/* [main] Waits until all workers stand at the gate, writes the time, opens. */
static inline void gate_open(struct bench_gate *gate, unsigned workers, uint64_t *start_ns)
{
    /* relaxed: pairs with nothing, see gate_wait. */
    while (atomic_load_explicit(&gate->arrived, memory_order_relaxed) < workers)
        sched_yield();
    *start_ns = bench_now_ns();
    /* release: pairs with the acquire in gate_wait. */
    atomic_store_explicit(&gate->open, true, memory_order_release);
}

#endif
