/*
 * A hardened process whose arena grows in two threads at once: the one that comes late must not
 * open fences that stand there by then. And nobody finds the process hardened before it is set up.
 *
 * The program's own mprotect() and pthread_key_create() are called in place of libc's.
 *
 * ctest: labels=quick timeout=60
 */
#include "front/harden/harden.h"
#include "segment/arena.h"

#include "readable.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BYTES ((size_t)3 << 20)
#define WAIT_MS 300

enum step { IDLE, ARMED, HALTED, DONE, INTERRUPTED };
static _Atomic(int) step;
static char *late, *early;

static int step_now(void)
{
    /* acquire: what the other thread wrote before its step. */
    return atomic_load_explicit(&step, memory_order_acquire);
}

static void step_go(int to)
{
    /* release: see above. */
    atomic_store_explicit(&step, to, memory_order_release);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* More than any step commits beyond what was asked for. */
#define MANY_BYTES ((size_t)200 << 20)

static pid_t child_within; /* of the thread that grows the arena, forked before it does */
static char *within;       /* a block that was asked for there */

/* As a signal's handler might: then both processes go on with what was interrupted. */
static void fork_within(void)
{
    within = support_hide(hak_malloc(BYTES));
    SUPPORT_REQUIRE(within == NULL);
    child_within = fork();
    if (child_within == 0) {
        alarm(20);
        within = support_hide(hak_malloc(BYTES));
    }
}

/* The first that makes memory of the arena accessible halts before it does, until the other thread
 * has a block there, or has waited for this one for a while. Or it is interrupted there. */
int mprotect(void *start, size_t bytes, int access)
{
    size_t offset = (size_t)((char *)start - hak_arena.base);
    if (access != PROT_NONE && offset < hak_arena.max_segments * HAK_SEGMENT_BYTES) {
        if (step_now() == ARMED) {
            step_go(HALTED);
            for (unsigned ms = 0; step_now() != DONE && ms < WAIT_MS; ms++)
                nap();
        } else if (step_now() == INTERRUPTED) {
            step_go(IDLE);
            fork_within();
        }
    }
    return (int)syscall(SYS_mprotect, start, bytes, access);
}

static bool was_hardened_early;

int pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    int (*next)(pthread_key_t *, void (*)(void *));
    *(void **)&next = dlsym(RTLD_NEXT, "pthread_key_create");
    /* relaxed: whoever reads it may go on at once. */
    was_hardened_early |= atomic_load_explicit(&hak_hardened, memory_order_relaxed);
    return next(key, destructor);
}

static void *take_early(void *unused)
{
    while (step_now() != HALTED)
        nap();
    early = support_hide(hak_malloc(BYTES));
    step_go(DONE);
    return unused;
}

static void harden__two_threads_grow_the_arena__no_fence_opens(void **state)
{
    pthread_t thread;
    (void)state;
    assert_true(hak_harden_is_on());
    assert_int_equal(hak_arena_committed(), 0);
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, take_early, NULL) == 0);
    step_go(ARMED);
    late = support_hide(hak_malloc(BYTES));
    pthread_join(thread, NULL);
    assert_true(late != NULL && early != NULL);
    assert_true(readable_is(late + BYTES - 1) && readable_is(early + BYTES - 1));
    assert_false(readable_is(late + BYTES));
    assert_false(readable_is(early + BYTES));
    hak_free(late);
    hak_free(early);
}

static void *take_many(void *unused)
{
    late = support_hide(hak_malloc(MANY_BYTES));
    return unused;
}

/* No handler tells the child: one that was registered earlier may allocate. */
static void harden__fork_while_the_arena_grows__child_grows_it_too(void **state)
{
    pthread_t thread;
    int status = -1;
    (void)state;
    step_go(ARMED);
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, take_many, NULL) == 0);
    while (step_now() != HALTED)
        nap();
    pid_t child = _Fork();
    if (child == 0) {
        alarm(20);
        step_go(IDLE);
        char *block = hak_malloc(MANY_BYTES);
        _exit(block != NULL && readable_is(block + MANY_BYTES - 1) ? 0 : 1);
    }
    assert_true(child > 0);
    step_go(DONE);
    pthread_join(thread, NULL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    hak_free(late);
}

/* Opened once, by who was interrupted: what was asked for in between is not under it. */
static void grow_interrupted(void *unused)
{
    int status = -1;
    alarm(60);
    step_go(INTERRUPTED);
    (void)take_many(unused);
    SUPPORT_REQUIRE(late != NULL && step_now() == IDLE);
    SUPPORT_REQUIRE(within == NULL || !readable_is(within + BYTES));
    SUPPORT_REQUIRE(within == NULL);
    SUPPORT_REQUIRE(readable_is(late + MANY_BYTES - 1) && !readable_is(late + MANY_BYTES));
    early = support_hide(hak_malloc(BYTES));
    SUPPORT_REQUIRE(early != NULL && !readable_is(early + BYTES));
    hak_free(early);
    hak_free(late);
    if (child_within == 0)
        _exit(0);
    SUPPORT_REQUIRE(waitpid(child_within, &status, 0) == child_within && status == 0);
}

static void harden__fork_by_a_handler_while_it_grows__gets_no_memory_there(void **state)
{
    (void)state;
    struct support_end end = support_run_child(grow_interrupted, NULL);
    if (end.status != 0)
        fail_msg("a child ended with status %#x; it wrote: %s", (unsigned)end.status, end.text);
}

static void harden__start__is_told_when_all_is_set_up(void **state)
{
    (void)state;
    assert_true(hak_harden_is_on());
    assert_false(was_hardened_early);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(harden__fork_by_a_handler_while_it_grows__gets_no_memory_there),
        cmocka_unit_test(harden__two_threads_grow_the_arena__no_fence_opens),
        cmocka_unit_test(harden__fork_while_the_arena_grows__child_grows_it_too),
        cmocka_unit_test(harden__start__is_told_when_all_is_set_up),
    };
    (void)argc;
    if (getenv("HAKMEM_HARDEN") == NULL) { /* the library has read its options already */
        setenv("HAKMEM_HARDEN", "1", 1);
        execv("/proc/self/exe", argv);
        return 99;
    }
    return cmocka_run_group_tests_name("harden_grow", tests, NULL, NULL);
}
