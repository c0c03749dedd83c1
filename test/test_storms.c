/*
 * Many ends and many interruptions: threads that hardly begin, destructors of keys that allocate in
 * every round, threads that are cancelled, signals in the middle of an operation, and forks by
 * their handlers.
 *
 * What a signal handler may do is what POSIX lets it: no malloc, and it returns. A handler that
 * leaves by longjmp, and asynchronous cancellation, may leave an operation half-way; no allocator
 * of the system allows them, and neither does this one.
 *
 * HAKMEM_TEST_SECONDS is the time for the cases together, beyond what each does at least.
 *
 * ctest: labels=quick timeout=180
 */
#include "stress.h"

#include <limits.h>

#define SPAWNERS 4
#define WORKERS 4
#define EXITS (SUPPORT_SHADOWED ? 600 : 5000)
/* TSan leaves a thread before the last round of destructors. */
#define ROUNDS (PTHREAD_DESTRUCTOR_ITERATIONS - (SUPPORT_SHADOWED ? 1 : 0))
/* A first block in the last round is a case of its own: late_exit.cpp, for libc helps there. */
#define FIRST_MAX (PTHREAD_DESTRUCTOR_ITERATIONS - (SUPPORT_SHADOWED ? 2 : 1))

static void use_some(uint64_t *seed, unsigned count)
{
    struct stress_block *held[8] = {0};
    for (unsigned i = 0; i < count; i++) {
        size_t at = support_random(seed) % SUPPORT_COUNT(held);
        stress_drop(held[at]);
        held[at] = stress_make(seed);
    }
    for (size_t i = 0; i < SUPPORT_COUNT(held); i++)
        stress_drop(held[i]);
    count_operations(count);
}

static size_t heaps_count(void)
{
    size_t count = 0;
    for (struct hak_heap *heap = hak_heap_first(); heap != NULL; heap = heap->next)
        count++;
    return count;
}

/* ---- threads that end -------------------------------------------------------------------------
 */

/* Made after the allocator's, so its destructor runs after that in each round. */
static pthread_key_t late_key;

struct late {
    unsigned round, first, last; /* allocates in rounds `first` to `last` of the destructors */
    uint64_t seed;
};

static void late_destroy(void *value)
{
    struct late *late = value;
    late->round++;
    if (late->round >= late->first && late->round <= late->last)
        use_some(&late->seed, 5);
    if (late->round < late->last)
        SUPPORT_REQUIRE(pthread_setspecific(late_key, late) == 0);
}

static _Thread_local struct late late_own;

static void *short_life(void *argument)
{
    uint64_t seed = (uintptr_t)argument;
    unsigned kind = seed % 4;
    late_own = (struct late){.seed = seed, .last = ROUNDS};
    late_own.first = kind == 0 ? 1 : 1 + support_random(&seed) % FIRST_MAX;
    if (kind < 3)
        SUPPORT_REQUIRE(pthread_setspecific(late_key, &late_own) == 0);
    if (kind == 0 || kind == 3) /* others allocate nothing before their destructors run */
        use_some(&seed, (unsigned)(support_random(&seed) % 20));
    return NULL;
}

static void *spawner_run(void *argument)
{
    uint64_t seed = stress_seed((uintptr_t)argument);
    for (unsigned i = 0; i < EXITS / SPAWNERS; i++) {
        pthread_t thread;
        uintptr_t first = (uintptr_t)support_random(&seed);
        SUPPORT_REQUIRE(pthread_create(&thread, NULL, short_life, (void *)first) == 0);
        SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
    }
    return NULL;
}

static void run_spawners(void)
{
    pthread_t spawners[SPAWNERS];
    for (uintptr_t i = 0; i < SPAWNERS; i++)
        assert_int_equal(pthread_create(&spawners[i], NULL, spawner_run, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < SPAWNERS; i++)
        assert_int_equal(pthread_join(spawners[i], NULL), 0);
}

static void storms__5000_threads_end_allocating__memory_is_flat(void **state)
{
    double begin = support_seconds(), end = begin + stress_seconds(0.2);
    unsigned ended = 0;
    (void)state;
    assert_int_equal(pthread_key_create(&late_key, late_destroy), 0);
    struct stress_memory before = stress_memory();
    size_t heaps_before = heaps_count();
    do {
        run_spawners();
        ended += EXITS;
    } while (support_seconds() < end);
    stress_assert_returned(before, 4 * MIB);
    /* Each spawner's thread and itself, and heaps that are borrowed for a moment. */
    size_t heaps = heaps_count();
    if (heaps > heaps_before + 4 * SPAWNERS)
        fail_msg("%zu heaps before %u threads, %zu after", heaps_before, ended, heaps);
    stress_say("threads end", SPAWNERS, support_seconds() - begin, operations_take());
    print_message("%u threads ended\n", ended);
    assert_int_equal(pthread_key_delete(late_key), 0);
}

/* ---- threads that are cancelled ---------------------------------------------------------------
 */

static void drop_cancelled(void *block)
{
    stress_drop(block);
}

static void *cancel_run(void *argument)
{
    uint64_t seed = (uintptr_t)argument;
    for (;;) {
        struct stress_block *block = stress_make(&seed);
        pthread_cleanup_push(drop_cancelled, block);
        use_some(&seed, 3);
        pthread_testcancel();
        pthread_cleanup_pop(1);
    }
    return NULL;
}

static void storms__threads_are_cancelled__nothing_is_lost(void **state)
{
    double begin = support_seconds(), end = begin + stress_seconds(0.1);
    uint64_t seed = stress_seed(50);
    (void)state;
    struct stress_memory before = stress_memory();
    for (unsigned round = 0; round < 50 || support_seconds() < end; round++) {
        pthread_t threads[WORKERS];
        void *result;
        for (unsigned i = 0; i < WORKERS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, cancel_run,
                                            (void *)(uintptr_t)support_random(&seed)),
                             0);
        nanosleep(&(struct timespec){.tv_nsec = (long)(support_random(&seed) % 1000000)}, NULL);
        for (unsigned i = 0; i < WORKERS; i++)
            assert_int_equal(pthread_cancel(threads[i]), 0);
        for (unsigned i = 0; i < WORKERS; i++) {
            assert_int_equal(pthread_join(threads[i], &result), 0);
            assert_ptr_equal(result, PTHREAD_CANCELED);
        }
    }
    stress_assert_returned(before, 16 * MIB);
    stress_say("cancel", WORKERS, support_seconds() - begin, operations_take());
}

/* ---- signals ----------------------------------------------------------------------------------
 */

static _Atomic(uint64_t) signals_seen;

/* Changes what an operation must not rely on over a signal: errno is restored, as it should be. */
static void signal_handle(int number)
{
    int saved = errno;
    char scrap[512];
    memset(scrap, number, sizeof scrap);
    (void)support_hide(scrap);
    errno = EINTR;
    atomic_fetch_add_explicit(&signals_seen, 1, memory_order_relaxed); /* only a count */
    errno = saved;
}

static void *interrupted_run(void *argument)
{
    uint64_t seed = stress_seed((uintptr_t)argument + 60);
    while (!is_over()) {
        use_some(&seed, 50);
        errno = 77;
        hak_free(hak_malloc(support_random(&seed) % 3000));
        SUPPORT_REQUIRE(errno == 77);
        if (support_random(&seed) % 64 == 0)
            hak_malloc_trim(0);
    }
    return NULL;
}

static void signals_begin(void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    SUPPORT_REQUIRE(sigemptyset(&action.sa_mask) == 0);
    SUPPORT_REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
}

static void storms__signals_in_the_middle_of_all__nothing_is_lost(void **state)
{
    double begin = support_seconds(), end = begin + stress_seconds(0.2);
    uint64_t seed = stress_seed(70), sent = 0;
    pthread_t threads[WORKERS];
    (void)state;
    struct stress_memory before = stress_memory();
    signals_begin(signal_handle, 0); /* calls are interrupted: none is made again by itself */
    for (uintptr_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, interrupted_run, (void *)i), 0);
    for (; support_seconds() < end; sent++) {
        assert_int_equal(pthread_kill(threads[support_random(&seed) % WORKERS], SIGUSR1), 0);
        nanosleep(&(struct timespec){.tv_nsec = (long)(support_random(&seed) % 20000)}, NULL);
    }
    set_over(true);
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    set_over(false);
    signal(SIGUSR1, SIG_IGN);
    /* relaxed: the threads are joined. */
    uint64_t seen = atomic_exchange_explicit(&signals_seen, 0, memory_order_relaxed);
    assert_true(seen > 0 && seen <= sent);
    stress_assert_returned(before, 16 * MIB);
    stress_say("signals", WORKERS, support_seconds() - begin, operations_take());
    print_message("%llu signals\n", (unsigned long long)seen);
}

/* ---- forks by a signal's handler --------------------------------------------------------------
 */

#define CHILDREN_MAX 3

static struct {
    volatile sig_atomic_t forked;   /* in the child: the handler made it */
    volatile sig_atomic_t children; /* of this process, not waited for */
    volatile sig_atomic_t quiet;    /* no fork now */
} forker;

/* POSIX lets it: fork() is async-signal-safe. What was interrupted ends in both processes. */
static void fork_in_handler(int number)
{
    int saved = errno;
    (void)number;
    if (!forker.quiet && !forker.forked && forker.children < CHILDREN_MAX) {
        pid_t child = fork();
        if (child == 0)
            forker.forked = 1;
        else if (child > 0)
            forker.children++;
    }
    errno = saved;
}

static void *use_in_thread(void *argument)
{
    uint64_t seed = (uintptr_t)argument;
    use_some(&seed, 100);
    SUPPORT_REQUIRE(hak_heap_is_valid());
    return NULL;
}

/* The child has the blocks of the parent, half an operation behind it, and no other thread. */
static _Noreturn void child_work(uint64_t *seed, struct stress_block **held, size_t count)
{
    pthread_t thread;
    support_child_begin(100);
    for (size_t i = 0; i < count; i++) {
        stress_drop(held[i]);
        held[i] = stress_make(seed);
    }
    SUPPORT_REQUIRE(
        pthread_create(&thread, NULL, use_in_thread, (void *)(uintptr_t)support_random(seed)) == 0);
    use_some(seed, 100);
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
    hak_malloc_trim(0);
    SUPPORT_REQUIRE(hak_heap_is_valid() && hak_segment_is_valid());
    _exit(0);
}

static void children_wait(int flags, unsigned *ended)
{
    int status;
    forker.quiet = 1;
    while (forker.children > 0 && waitpid(-1, &status, flags) > 0) {
        assert_int_equal(status, 0);
        forker.children--;
        ++*ended;
    }
    forker.quiet = 0;
}

static void storms__handler_forks_in_the_middle_of_an_operation__both_go_on(void **state)
{
    struct stress_block *held[200] = {0};
    const struct itimerspec interval = {{0, 300000}, {0, 300000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    pthread_t busy[2];
    sigset_t mask;
    timer_t timer;
    unsigned ended = 0;
    uint64_t seed = stress_seed(80);
    double begin = support_seconds(), end = begin + stress_seconds(0.4);
    (void)state;
    if (SUPPORT_SHADOWED)
        skip(); /* TSan and ASan deliver signals late */
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &mask, NULL); /* for the others: this thread is interrupted */
    for (uintptr_t i = 0; i < SUPPORT_COUNT(busy); i++)
        assert_int_equal(pthread_create(&busy[i], NULL, interrupted_run, (void *)i), 0);
    pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
    signals_begin(fork_in_handler, SA_RESTART);
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    assert_int_equal(timer_settime(timer, 0, &interval, NULL), 0);
    while (ended < 100 || support_seconds() < end) {
        size_t at = support_random(&seed) % SUPPORT_COUNT(held);
        stress_drop(held[at]);
        held[at] = stress_make(&seed);
        if (support_random(&seed) % 512 == 0)
            hak_malloc_trim(0);
        if (forker.forked)
            child_work(&seed, held, SUPPORT_COUNT(held));
        count_operations(1);
        children_wait(WNOHANG, &ended);
    }
    forker.quiet = 1;
    if (forker.forked) /* by the last signal */
        child_work(&seed, held, SUPPORT_COUNT(held));
    assert_int_equal(timer_delete(timer), 0);
    signal(SIGUSR1, SIG_IGN);
    children_wait(0, &ended);
    set_over(true);
    for (size_t i = 0; i < SUPPORT_COUNT(busy); i++)
        assert_int_equal(pthread_join(busy[i], NULL), 0);
    set_over(false);
    for (size_t i = 0; i < SUPPORT_COUNT(held); i++)
        stress_drop(held[i]);
    assert_true(hak_heap_is_valid());
    stress_say("fork in handler", 3, support_seconds() - begin, operations_take());
    print_message("%u children ended\n", ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(storms__5000_threads_end_allocating__memory_is_flat),
        cmocka_unit_test(storms__threads_are_cancelled__nothing_is_lost),
        cmocka_unit_test(storms__signals_in_the_middle_of_all__nothing_is_lost),
        cmocka_unit_test(storms__handler_forks_in_the_middle_of_an_operation__both_go_on),
    };
    return cmocka_run_group_tests_name("storms", tests, NULL, NULL);
}
