/*
 * Every call to the kernel may fail. For each k, the workload runs in a process of its own in which
 * the k-th call fails, or all calls from the k-th on: requests are served, or refused with ENOMEM;
 * blocks stay whole, nothing is lost, and when memory is back everything is served again.
 *
 * ctest: labels=quick timeout=240 core=fake
 */
#include "scenario.h"
#include "workload.h"

#include <stdatomic.h>
#include <sys/mman.h>

/* What children report, in memory that is shared with them. */
static struct {
    _Atomic(size_t) calls[HAK_FAKE_CALLS]; /* of the workload when nothing fails */
    _Atomic(size_t) failures, refusals, refused_children;
} * report;

/* Sanitizers take their time. */
#define STRIDE ((size_t)(SUPPORT_SHADOWED ? 5 : 1))

struct fault {
    enum hak_fake_call call;
    size_t at, times;
};

static struct workload work, works[4];

/* After memory is back: all is whole, everything is served, and nothing was lost. */
static void go_on(struct workload *some, size_t count)
{
    hak_fake_heal();
    workload_check();
    for (size_t i = 0; i < count; i++)
        workload_free_all(&some[i]);
    workload_check();
    work.may_fail = false;
    workload_main(&work);
    workload_free_all(&work);
    workload_check();
    /* A place that could not be renewed stays out of use; a block of 7 MiB had 140 slots. */
    size_t lost_most = hak_fake_failures(HAK_FAKE_RENEW) * 140;
    if (workload_taken() > lost_most || hak_dirty_bytes() != 0)
        dprintf(STDERR_FILENO, "%zu slots are lost, %zu bytes dirty\n", workload_taken(),
                hak_dirty_bytes());
    SUPPORT_REQUIRE(workload_taken() <= lost_most && hak_dirty_bytes() == 0);
}

static void run_with_fault(void *argument)
{
    const struct fault *fault = argument;
    hak_fake_wake(4096);
    hak_fake_fail(fault->call, fault->at, fault->times);
    work.may_fail = true;
    workload_run(&work);
    atomic_fetch_add(&report->failures, hak_fake_failures(HAK_FAKE_ANY));
    atomic_fetch_add(&report->refusals, work.refused);
    atomic_fetch_add(&report->refused_children, work.refused != 0);
    go_on(&work, 1);
}

static void run_without_fault(void *unused)
{
    (void)unused;
    hak_fake_wake(4096);
    workload_run(&work);
    for (size_t call = 0; call < HAK_FAKE_CALLS; call++)
        atomic_store(&report->calls[call], hak_fake_count((enum hak_fake_call)call));
    go_on(&work, 1);
}

static void try_fault(struct fault fault)
{
    struct support_end end = support_run_child(run_with_fault, &fault);
    if (end.status != 0)
        fail_msg("call %zu of kind %d failed %zu times: status %#x; it wrote: %s", fault.at,
                 (int)fault.call, fault.times, (unsigned)end.status, end.text);
}

static void say(const char *what, size_t points)
{
    print_message("%s: %zu fault points, %zu calls failed; %zu requests were refused, in %zu of "
                  "the runs\n",
                  what, points, atomic_exchange(&report->failures, 0),
                  atomic_exchange(&report->refusals, 0),
                  atomic_exchange(&report->refused_children, 0));
}

static size_t calls_of(enum hak_fake_call call)
{
    if (atomic_load(&report->calls[call]) == 0)
        scenario_run(run_without_fault, NULL);
    size_t calls = atomic_load(&report->calls[call]);
    assert_true(calls > 0); /* the workload comes by calls of every kind */
    return calls;
}

static void faults__one_call_fails__is_survived(void **state)
{
    (void)state;
    size_t calls = calls_of(HAK_FAKE_ANY), points = 0;
    for (size_t at = 1; at <= calls; at += STRIDE, points++)
        try_fault((struct fault){HAK_FAKE_ANY, at, 1});
    size_t failed = atomic_load(&report->failures);
    say("the k-th call", points);
    assert_int_equal(failed, points); /* each was one indeed */
}

static void faults__all_calls_fail_from_one_on__is_survived(void **state)
{
    (void)state;
    size_t calls = calls_of(HAK_FAKE_ANY), points = 0;
    for (size_t at = 1; at <= calls; at += STRIDE, points++)
        try_fault((struct fault){HAK_FAKE_ANY, at, HAK_FAKE_FOREVER});
    assert_true(atomic_load(&report->refusals) > points);
    say("all from the k-th call on", points);
}

/* Of one kind only: the others still work. */
static void faults__all_calls_of_a_kind_fail__is_survived(void **state)
{
    size_t points = 0;
    (void)state;
    for (unsigned call = 0; call < HAK_FAKE_ANY; call++) {
        size_t calls = calls_of((enum hak_fake_call)call);
        for (size_t at = 1; at <= calls; at += 1 + at / 2, points++)
            try_fault((struct fault){(enum hak_fake_call)call, at, HAK_FAKE_FOREVER});
    }
    say("all of a kind from the k-th on", points);
}

/* Short and long failures in turn. */
static void fail_now_and_then(void *argument)
{
    uint64_t seed = *(const uint64_t *)argument;
    hak_fake_wake(4096);
    work.may_fail = true;
    for (unsigned round = 0; round < 6; round++) {
        hak_fake_fail(HAK_FAKE_ANY, 1 + support_random(&seed) % 50, 1 + support_random(&seed) % 40);
        workload_main(&work);
        workload_in_thread(&work);
        workload_check();
        for (size_t i = support_random(&seed) % 2; i < WORKLOAD_BLOCKS; i += 2)
            workload_free(&work, i);
        for (size_t i = 300; i < WORKLOAD_BLOCKS; i++)
            workload_free(&work, i);
    }
    atomic_fetch_add(&report->failures, hak_fake_failures(HAK_FAKE_ANY));
    atomic_fetch_add(&report->refusals, work.refused);
    go_on(&work, 1);
}

static void faults__memory_comes_and_goes__is_survived(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed += STRIDE)
        scenario_run(fail_now_and_then, &seed);
    say("random courses", 120 / STRIDE);
}

static void run_in_thread(unsigned index, void *unused)
{
    (void)unused;
    works[index].may_fail = true;
    for (unsigned round = 0; round < 2; round++) {
        workload_main(&works[index]);
        for (size_t i = round; i < WORKLOAD_BLOCKS; i += 2)
            workload_free(&works[index], i);
        for (size_t i = 300; i < WORKLOAD_BLOCKS; i++)
            workload_free(&works[index], i);
        SUPPORT_REQUIRE(hak_heap_is_valid());
    }
}

static void run_threads(void *argument)
{
    const struct fault *fault = argument;
    hak_fake_wake(4096);
    hak_fake_fail(fault->call, fault->at, fault->times);
    scenario_threads(SUPPORT_COUNT(works), run_in_thread, NULL);
    atomic_fetch_add(&report->failures, hak_fake_failures(HAK_FAKE_ANY));
    for (size_t i = 0; i < SUPPORT_COUNT(works); i++)
        atomic_fetch_add(&report->refusals, works[i].refused);
    go_on(works, SUPPORT_COUNT(works));
}

static void faults__threads_while_calls_fail__is_survived(void **state)
{
    size_t points = 0;
    (void)state;
    for (size_t at = 1; at <= 200; at += STRIDE + at / 3) {
        for (size_t times = 1; times <= 100; times *= 100, points++) {
            struct fault fault = {HAK_FAKE_ANY, at, times};
            scenario_run(run_threads, &fault);
        }
        struct fault fault = {HAK_FAKE_ANY, at, HAK_FAKE_FOREVER};
        scenario_run(run_threads, &fault);
        points++;
    }
    say("4 threads at once", points);
}

/* Threads that have a heap start one more, until one gets none; that one frees a block. */
static void *thread_without_heap(void *block)
{
    pthread_t thread;
    void *mine = hak_malloc(16);
    if (mine == NULL) {
        hak_free(block);
        return NULL;
    }
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, thread_without_heap, block) == 0);
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
    hak_free(mine);
    return NULL;
}

static void free_without_heap(void *argument)
{
    hak_fake_wake(4096);
    void *block = hak_malloc(*(const size_t *)argument);
    SUPPORT_REQUIRE(block != NULL);
    hak_fake_fail(HAK_FAKE_COMMIT, 1, HAK_FAKE_FOREVER);
    (void)thread_without_heap(block);
    go_on(&work, 1);
}

static void faults__thread_that_got_no_heap_frees__block_is_not_lost(void **state)
{
    size_t sizes[] = {100, 3000, 40000, 300000};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
        scenario_run(free_without_heap, &sizes[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults__one_call_fails__is_survived),
        cmocka_unit_test(faults__all_calls_fail_from_one_on__is_survived),
        cmocka_unit_test(faults__all_calls_of_a_kind_fail__is_survived),
        cmocka_unit_test(faults__memory_comes_and_goes__is_survived),
        cmocka_unit_test(faults__threads_while_calls_fail__is_survived),
        cmocka_unit_test(faults__thread_that_got_no_heap_frees__block_is_not_lost),
    };
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    setenv("HAKMEM_ARENA_MB_MAX", "2", 1); /* many commit steps */
    return report == MAP_FAILED ? 1 : cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
