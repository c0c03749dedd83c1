/*
 * The turn to grow the arena, and forks: a child has nobody's turn but that of the thread that
 * forked, from the first handler on; and a handler within its own thread's turn gets no memory.
 *
 * Pages of the pool of huge pages here; test_harden_grow.c has the same of a hardened process.
 * The handler for children is registered before the library's. The program's own munmap() is called
 * in place of libc's.
 *
 * ctest: labels=quick timeout=120 core=fake
 */
#include "readable.h"
#include "scenario_huge.h"
#include "steps.h"

#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define SECONDS_MAX 60

static void (*at_child)(void); /* what the handler does; NULL: nothing */

static void child_begins(void)
{
    if (at_child != NULL) {
        alarm(SECONDS_MAX);
        at_child();
    }
}

__attribute__((constructor(101))) static void handler_register(void)
{
    (void)pthread_atfork(NULL, NULL, child_begins);
}

static unsigned yields;

static void count_yield(void)
{
    yields++;
}

static void pool_begin(bool wipes)
{
    alarm(2 * SECONDS_MAX);
    hak_fake_fail(HAK_FAKE_WIPE, 1, wipes ? 0 : HAK_FAKE_FOREVER);
    begin((struct setting){"hugetlb", "safe", NULL, NULL, 64});
    grow(0, 3);
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 3);
    SUPPORT_REQUIRE((hak_fake_failures(HAK_FAKE_WIPE) == 0) == wipes);
}

static void child_end(pid_t child)
{
    int status = -1;
    SUPPORT_REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
    SUPPORT_REQUIRE(status == 0);
}

/* ---- another thread's turn ------------------------------------------------------------------ */

static sem_t arrived;

/* In the turn, for ever. */
static void stay(void)
{
    sem_post(&arrived);
    for (;;)
        pause();
}

static void *grow_for_ever(void *unused)
{
    support_hide(hak_malloc(SEGMENT_BLOCK));
    return unused;
}

/* Starts a thread that stays where it is when it has come there; a test's end is _exit(). */
static void thread_stays(void)
{
    pthread_t thread;
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, grow_for_ever, NULL) == 0);
    SUPPORT_REQUIRE(sem_wait(&arrived) == 0);
}

static void grow_some(size_t from, size_t to)
{
    hak_fake_at_huge_map(NULL);
    grow(from, to);
    huge_check();
    for (size_t i = from; i < to; i++)
        SUPPORT_REQUIRE(hak_fake_is_huge(segment_start(i)));
}

static void grow_at_once(void)
{
    grow_some(3, 6);
}

static void *grow_in_thread(void *unused)
{
    grow_at_once();
    return unused;
}

static void grow_by_a_thread(void)
{
    pthread_t thread;
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, grow_in_thread, NULL) == 0);
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
}

struct course {
    bool wipes;           /* the kernel clears pages in children */
    void (*handle)(void); /* before the library's handler */
};

static void fork_beside_a_turn(void *argument)
{
    const struct course *course = argument;
    pool_begin(course->wipes);
    SUPPORT_REQUIRE(sem_init(&arrived, 0, 0) == 0);
    hak_huge_fork_prepare();
    hak_fake_at_huge_map(stay);
    thread_stays();
    at_child = course->handle;
    pid_t child = fork();
    if (child == 0) {
        alarm(SECONDS_MAX);
        SUPPORT_REQUIRE(course->handle != NULL || hak_fake_huge_held() == 0);
        if (course->handle == NULL)
            grow_at_once();
        grow_some(6, 8);
        room_check();
        _exit(0);
    }
    child_end(child);
    _exit(0);
}

static void turn__lost_at_a_fork__earlier_handlers_grow(void **state)
{
    struct course courses[] = {{true, grow_at_once}, {true, grow_by_a_thread}};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(courses) - SUPPORT_SHADOWED; i++)
        scenario_run(fork_beside_a_turn, &courses[i]);
}

static void turn__lost_at_a_fork__child_grows_whatever_the_kernel_clears(void **state)
{
    struct course courses[] = {{true, NULL}, {false, NULL}};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(courses); i++)
        scenario_run(fork_beside_a_turn, &courses[i]);
}

/* ---- room that was being let go ------------------------------------------------------------- */

static _Atomic(bool) watches; /* the next munmap() of whole huge pages */
static char *gone;
static size_t gone_bytes;

int munmap(void *start, size_t bytes)
{
    int result = (int)syscall(SYS_munmap, start, bytes);
    /* relaxed: set before the thread that looks began. */
    if (bytes % (2 * MIB) == 0 && atomic_exchange_explicit(&watches, false, memory_order_relaxed)) {
        gone = start;
        gone_bytes = bytes;
        stay();
    }
    return result;
}

/* Somebody else's memory there. */
static void use_the_place(void)
{
    char *place = mmap(gone, gone_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    SUPPORT_REQUIRE(place == gone);
    *place = 1;
}

static void fork_beside_a_drop(void *unused)
{
    (void)unused;
    pool_begin(true);
    SUPPORT_REQUIRE(sem_init(&arrived, 0, 0) == 0);
    /* relaxed: see munmap(). */
    atomic_store_explicit(&watches, true, memory_order_relaxed);
    thread_stays();
    at_child = use_the_place;
    pid_t child = fork();
    if (child == 0)
        _exit(*(volatile char *)gone == 1 ? 0 : 1);
    child_end(child);
    _exit(0);
}

static void turn__lost_as_room_goes__its_place_is_left_alone(void **state)
{
    (void)state;
    scenario_run(fork_beside_a_drop, NULL);
}

/* ---- the own turn --------------------------------------------------------------------------- */

static pid_t child_within;

static void take_nothing(void)
{
    errno = 0;
    SUPPORT_REQUIRE(support_hide(hak_malloc(2 * SEGMENT_BLOCK)) == NULL && errno == ENOMEM);
}

/* A signal's handler could do so within a turn. Then both processes go on. */
static void fork_within(void)
{
    hak_fake_at_huge_map(NULL);
    take_nothing();
    workload_free(&work, 1);
    hak_malloc_trim(0);
    at_child = take_nothing;
    yields = 0;
    hak_huge_fork_prepare();
    SUPPORT_REQUIRE(yields == 0); /* nobody to wait for */
    child_within = fork();
    if (child_within != 0)
        hak_huge_fork_parent();
    SUPPORT_REQUIRE(hak_fake_huge_held() != 0); /* it is left to who is in the turn */
    take_nothing();
}

static void grow_with_a_fork(void *wipes)
{
    pool_begin(wipes != NULL);
    hak_fake_at_yield(count_yield);
    hak_fake_at_huge_map(fork_within);
    grow(3, 4);
    SUPPORT_REQUIRE(hak_fake_is_huge(segment_start(3)) && !hak_fake_is_huge(segment_start(1)));
    if (child_within != 0)
        room_check(); /* no more than is mapped: the page that went was settled after the turn */
    grow(4, 8);
    huge_check();
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
    if (child_within == 0)
        _exit(0);
    child_end(child_within);
    room_check();
}

static void turn__fork_by_a_handler_within_it__gets_no_memory_there(void **state)
{
    (void)state;
    scenario_run(grow_with_a_fork, "");
    scenario_run(grow_with_a_fork, NULL);
}

/* ---- at any instruction --------------------------------------------------------------------- */

#define SEGMENTS 4096
#define REFUSED 2 /* how a child ends that got nothing in between */

static char *hidden; /* a page that was committed in between, and closed; NULL: there was nothing */

static void commit_one(void)
{
    SUPPORT_REQUIRE(hak_arena_commit(hak_arena_committed() + 1));
}

static void commit_and_hide(void)
{
    size_t have = hak_arena_committed();
    hidden = NULL;
    if (hak_arena_commit(have + 1)) {
        hidden = hak_arena.base + have * HAK_SEGMENT_BYTES;
        SUPPORT_REQUIRE(hak_os_hide(hidden, hak_os_page_bytes()));
    }
}

static void interrupt_and_fork(void)
{
    child_within = fork();
    if (child_within == 0)
        alarm(SECONDS_MAX);
    commit_and_hide();
}

/* Nothing was committed twice, and the turn is free. */
static void interrupted_check(void)
{
    SUPPORT_REQUIRE(hidden == NULL || !readable_is(hidden));
    commit_one();
    SUPPORT_REQUIRE(readable_is(hak_arena.base + (hak_arena_committed() - 1) * HAK_SEGMENT_BYTES));
}

static void commit_interrupted(void *wipes)
{
    const struct hak_arena_config config = {
        .reserve_bytes = SEGMENTS * HAK_SEGMENT_BYTES,
        .step_bytes = HAK_SEGMENT_BYTES,
        .max_step_bytes = HAK_SEGMENT_BYTES,
        .commits_in_turn = true,
    };
    size_t stops = 0, refused = 0;
    int status = -1;
    alarm(4 * SECONDS_MAX);
    hak_fake_fail(HAK_FAKE_WIPE, 1, wipes != NULL ? 0 : HAK_FAKE_FOREVER);
    hak_fake_wake(4096);
    SUPPORT_REQUIRE(hak_arena_init(&config));
    steps_begin();
    commit_one();
    while (steps_run(commit_one, stops + 1, interrupt_and_fork)) {
        interrupted_check();
        if (child_within == 0)
            _exit(hidden != NULL ? 0 : REFUSED);
        SUPPORT_REQUIRE(waitpid(child_within, &status, 0) == child_within);
        SUPPORT_REQUIRE(status == 0 || (WIFEXITED(status) && WEXITSTATUS(status) == REFUSED));
        refused += status != 0;
        stops++;
    }
    SUPPORT_REQUIRE(stops > 50 && refused > 10 && refused < stops - 10);
    dprintf(STDERR_FILENO, "%zu forks, %zu of them within the turn\n", stops, refused);
}

static void turn__interrupted_at_any_instruction__nothing_is_committed_twice(void **state)
{
    (void)state;
    if (!STEPS_CAN)
        skip();
    scenario_run(commit_interrupted, "");
    scenario_run(commit_interrupted, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turn__lost_at_a_fork__earlier_handlers_grow),
        cmocka_unit_test(turn__lost_at_a_fork__child_grows_whatever_the_kernel_clears),
        cmocka_unit_test(turn__lost_as_room_goes__its_place_is_left_alone),
        cmocka_unit_test(turn__fork_by_a_handler_within_it__gets_no_memory_there),
        cmocka_unit_test(turn__interrupted_at_any_instruction__nothing_is_committed_twice),
    };
    return cmocka_run_group_tests_name("turn", tests, NULL, NULL);
}
