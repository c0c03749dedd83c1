/*
 * start: set-up of the process, and what the library does when it is loaded.
 */
#include "front/start.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "front/classes.h"
#include "front/heap.h"
#include "front/options.h"
#include "segment/os.h"
#include "segment/purge.h"

enum { NOT_STARTED, STARTING, STARTED };
static _Atomic(uint32_t) progress; /* [any, atomic] */

static bool start_once(void)
{
    hak_options_read();
    struct hak_arena_config config = {
        .reserve_bytes = hak_options.arena_gib * HAK_GIB,
        .step_bytes = hak_options.arena_mb_init * HAK_MIB,
        .max_step_bytes = hak_options.arena_mb_max * HAK_MIB,
        .growth_levels = (unsigned)hak_options.arena_growth_levels,
    };
    if (!hak_arena_init(&config)) {
        return false;
    }
    hak_classes_init(hak_options.tiny_max_class == 5 ? 256 : HAK_SMALL_MAX,
                     hak_options.smallmid_enable != 0);
    hak_purge_init(hak_options.purge_decay_ms);
    hak_thread_init();
    hak_os_barrier_prepare();
    return true;
}

bool hak_start(void)
{
    for (;;) {
        /* acquire: pairs with the release below; everything is set up. */
        uint32_t at = atomic_load_explicit(&progress, memory_order_acquire);
        if (at == STARTED) {
            return true;
        }
        if (at == STARTING) {
            hak_os_yield();
            continue;
        }
        /* acquire: a failed attempt of another thread is over. */
        if (atomic_compare_exchange_strong_explicit(&progress, &at, STARTING, memory_order_acquire,
                                                    memory_order_relaxed)) {
            bool done = start_once();
            /* release: pairs with the acquire above. */
            atomic_store_explicit(&progress, done ? STARTED : NOT_STARTED, memory_order_release);
            return done;
        }
    }
}

bool hak_start_prewarm(void)
{
    return hak_options.prewarm != 0;
}

#define PURGE_STACK_BYTES (256 * HAK_KIB)

/* HAKMEM_PURGE_THREAD: programs that idle never come by a slow path. */
static void *purge_loop(void *unused)
{
    (void)unused;
    uint64_t ms = hak_max(hak_options.purge_decay_ms, 10);
    struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    for (;;) {
        (void)nanosleep(&pause, NULL);
        hak_heap_poll();
    }
    return NULL;
}

static void purge_thread_start(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    if (hak_options.purge_thread == 0 || pthread_attr_init(&attributes) != 0) {
        return;
    }
    /* No signal of the program's is this thread's to take. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0 &&
        pthread_attr_setstacksize(&attributes, PURGE_STACK_BYTES) == 0) {
        (void)pthread_create(&thread, &attributes, purge_loop, NULL);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
}

static void fork_child(void)
{
    hak_heap_fork_child();
    purge_thread_start();
}

__attribute__((constructor)) static void library_loaded(void)
{
    if (hak_start()) {
        (void)pthread_atfork(NULL, NULL, fork_child);
        purge_thread_start();
    }
}
