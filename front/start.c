/*
 * start: set-up of the process, and what the library does when it is loaded.
 */
#include "front/start.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "front/harden/harden.h"
#include "front/harden/limit.h"
#include "front/observe/live.h"
#include "front/options.h"
#include "front/policy/learner.h"
#include "front/profile/prof.h"
#include "segment/huge.h"
#include "segment/os.h"
#include "segment/purge.h"

enum { NOT_STARTED, STARTING, STARTED };
static _Atomic(uint32_t) progress; /* [any, atomic] */

#define EXIT_REQUIRED 1 /* status of a program whose huge pages cannot be had */

/* If pages of the pool cannot be had from the mount that is named, THP is what is left: not pages
 * from elsewhere, a mount may be there for its quota. */
static void mount_check(void)
{
    const char *mount = hak_options.hugetlbfs;
    const char *fault = mount == NULL ? NULL : hak_os_huge_mount_fault(mount);
    if (fault == NULL || hak_options.huge < HAK_HUGE_HUGETLB) {
        return;
    }
    hak_options_say("HAKMEM_HUGETLBFS", mount, fault);
    if (hak_options.huge_require != 0) {
        _exit(EXIT_REQUIRED);
    }
    hak_options.huge = HAK_HUGE_THP;
}

/* What HAKMEM_HUGE and its kin ask for. */
static void huge_configure(void)
{
    mount_check();
    if (hak_options.huge == HAK_HUGE_OFF) {
        hak_options.huge_reserve = hak_options.huge_require = 0;
    }
    struct hak_huge_config config = {
        .mode = (enum hak_huge_mode)hak_options.huge,
        .threshold_segments = hak_options.huge_threshold_mb * HAK_MIB / HAK_SEGMENT_BYTES,
        .reserve_segments = hak_max(hak_options.huge_reserve, hak_options.huge_require),
        .mount = hak_options.hugetlbfs,
        .fork_safe = hak_options.huge_fork == 0,
    };
    hak_huge_init(&config);
}

/* Populates the reserve; says what was asked for and what was got if that is less. Who asks for
 * hugetlb is not content with THP. */
static void huge_reserve(void)
{
    size_t asked = hak_max(hak_options.huge_reserve, hak_options.huge_require);
    if (asked == 0) {
        return;
    }
    (void)hak_arena_commit(asked);
    size_t got = hak_huge_count(HAK_BACKED_HUGETLB) + hak_huge_count(HAK_BACKED_GIGANTIC);
    if (hak_options.huge != HAK_HUGE_HUGETLB) {
        got += hak_min(hak_huge_count(HAK_BACKED_THP), hak_huge_populate_max());
    }
    if (got < asked) {
        hak_options_say_short("HAKMEM_HUGE_RESERVE", asked, got);
        if (hak_options.huge_require != 0) {
            _exit(EXIT_REQUIRED);
        }
    }
}

static bool start_once(void)
{
    hak_options_read();
    hak_harden_choose();
    hak_prof_start();
    huge_configure();
    struct hak_arena_config config = {
        .reserve_bytes = hak_options.arena_gib * HAK_GIB,
        .step_bytes = hak_options.arena_mb_init * HAK_MIB,
        .max_step_bytes = hak_options.arena_mb_max * HAK_MIB,
        .growth_levels = (unsigned)hak_options.arena_growth_levels,
        .limit_bytes = hak_limit_read(),
        .commits_in_turn = hak_options.harden != 0, /* there are fences */
        .maps_pool = hak_options.huge >= HAK_HUGE_HUGETLB,
    };
    static bool arena_there; /* also in the child of a fork from the middle of this */
    if (!arena_there && !(arena_there = hak_arena_init(&config))) {
        return false;
    }
    huge_reserve();
    hak_policy_start();
    hak_learner_start();
    hak_purge_init(hak_options.purge_decay_ms);
    hak_thread_init();
    hak_os_barrier_prepare();
    hak_live_start();
    hak_harden_init(); /* last: from here on other threads allocate */
    return true;
}

bool hak_start(void)
{
    for (;; hak_os_yield()) {
        /* acquire: pairs with the release below; everything is set up. */
        uint32_t at = atomic_load_explicit(&progress, memory_order_acquire);
        if (at == STARTED) {
            return true;
        }
        /* acquire: a failed attempt of another thread is over. */
        if (at == NOT_STARTED &&
            atomic_compare_exchange_strong_explicit(&progress, &at, STARTING, memory_order_acquire,
                                                    memory_order_relaxed)) {
            bool done = start_once();
            /* release: pairs with the acquire above. */
            atomic_store_explicit(&progress, done ? STARTED : NOT_STARTED, memory_order_release);
            return done;
        }
    }
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
    sigset_t all, before;
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
    uint32_t at = STARTING; /* by a thread that is not there any more: nobody would wait for it */
    /* relaxed: the child has one thread. */
    (void)atomic_compare_exchange_strong_explicit(&progress, &at, NOT_STARTED, memory_order_relaxed,
                                                  memory_order_relaxed);
    hak_arena_fork_child();
    hak_harden_fork_child();
    hak_heap_fork_child();
    hak_learner_fork_child();
    hak_live_fork_child();
    purge_thread_start();
}

__attribute__((constructor)) static void library_loaded(void)
{
    (void)pthread_atfork(NULL, NULL, fork_child); /* first: others may fork from here on */
    if (hak_start()) {
        if (hak_options.huge >= HAK_HUGE_HUGETLB) { /* else a fork has nothing to prepare */
            (void)pthread_atfork(hak_huge_fork_prepare, hak_huge_fork_parent, NULL);
        }
        purge_thread_start();
    }
}
