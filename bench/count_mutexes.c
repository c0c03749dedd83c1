/*
 * libcountmutexes.so: preloaded behind an allocator, counts the pthread mutexes that it takes.
 *
 * The benches take none, so all are the allocator's and libc's. At exit a line on standard error
 * says `mutex acquisitions: N`.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

/* glibc's second names of these functions: found without dlsym(), which allocates. */
extern int __pthread_mutex_lock(pthread_mutex_t *mutex);
extern int __pthread_mutex_trylock(pthread_mutex_t *mutex);

static _Atomic unsigned long acquisitions; /* [any, atomic] */

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    /* relaxed: a figure. */
    atomic_fetch_add_explicit(&acquisitions, 1, memory_order_relaxed);
    return __pthread_mutex_lock(mutex);
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    /* relaxed: a figure. */
    atomic_fetch_add_explicit(&acquisitions, 1, memory_order_relaxed);
    return __pthread_mutex_trylock(mutex);
}

__attribute__((destructor)) static void acquisitions_print(void)
{
    /* relaxed: the other threads have ended. */
    fprintf(stderr, "mutex acquisitions: %lu\n",
            atomic_load_explicit(&acquisitions, memory_order_relaxed));
}
