/*
 * Forks of a hardened process, whose locks other threads hold just then. The child has all blocks,
 * allocates, and nothing waits for a thread that is not there.
 *
 * Another thread is stopped at any of its instructions, by single steps, while this one forks; or
 * this one forks there, in a signal's handler. HAKMEM_TEST_SECONDS is the time for all cases.
 *
 * ctest: labels=quick timeout=180 core=fake
 */
#include "harden_fork.h"
#include "steps.h"

static const size_t others_counts[SIZES] = {40, 40, 20, 100, 4}; /* of the thread that is stopped */
static size_t pens_held(void)
{
    size_t held = 0;
    /* relaxed: who holds them is at a stop. */
    for (size_t i = 1; i < HAK_BINS; i++)
        held += atomic_load_explicit(&hak_pens[i].lock.holder, memory_order_relaxed) != 0;
    return held;
}

/* ---- an operation -----------------------------------------------------------------------------
 */

static struct {
    struct live blocks[SIZES][SIZE_BLOCKS];
    uint64_t random;
    size_t count; /* so far */
    size_t size_idx, block_idx, bytes;
    size_t lengths[SIZES][2]; /* instructions of the last one that ended, of a take or another */
} work;

static void operation_choose(void)
{
    uint64_t bits = support_random(&work.random);
    work.size_idx = bits % SIZES;
    work.block_idx = (bits >> 8) % others_counts[work.size_idx];
    size_t range = (bits >> 24) % 16 == 0 ? sizes[work.size_idx] / 2 : 90;
    work.bytes = sizes[work.size_idx] - (bits >> 32) % range;
    work.count++;
}

/* More blocks for a while, then fewer. */
static void operation_run(void)
{
    struct live *live = &work.blocks[work.size_idx][work.block_idx];
    if (live->block == NULL)
        live->block = hak_malloc(work.bytes);
    else if (work.count / 2000 % 2 == 0)
        live->block = hak_realloc(live->block, work.bytes);
    else {
        hak_free(live->block);
        live->block = NULL;
    }
}

/* The first instructions, the last ones, or any of them. */
static size_t stop_choose(size_t length)
{
    uint64_t bits = support_random(&work.random);
    size_t near = length < 600 ? length : 600;
    size_t within = (bits >> 8) % (bits % 4 == 0 ? length : near);
    return 1 + (bits % 4 == 1 ? length - 1 - within : within);
}

static void operation_stopped(void (*at_stop)(void))
{
    for (unsigned i = 0; i < 30; i++) {
        operation_choose();
        operation_run();
    }
    operation_choose();
    size_t *length =
        &work.lengths[work.size_idx][work.blocks[work.size_idx][work.block_idx].block == NULL];
    bool measure = *length == 0 || work.count % 20 == 0;
    if (!steps_run(operation_run, measure ? 0 : stop_choose(*length), at_stop)) {
        *length = steps.done;
        at_stop();
    }
}

/* ---- cases ------------------------------------------------------------------------------------
 */

static void *be_stopped(void *unused)
{
    hear(commands);
    while (!is_over())
        operation_stopped(park);
    return unused;
}

struct course {
    double share; /* of the time */
    bool refuse;  /* the kernel clears no page */
};

static void fork_beside(void *argument)
{
    const struct course *course = argument;
    double end = support_seconds() + stress_seconds(course->share);
    size_t forks = 0, lost = 0;
    pthread_t thread;
    pipes_open();
    steps_begin();
    if (course->refuse)
        hak_fake_fail(HAK_FAKE_WIPE, 1, HAK_FAKE_FOREVER);
    begin();
    SUPPORT_REQUIRE((hak_fake_failures(HAK_FAKE_WIPE) != 0) == course->refuse);
    work.random = stress_seed(1);
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, be_stopped, NULL) == 0);
    for (; forks < 50 || support_seconds() < end; forks++) {
        tell(commands);
        hear(answers);
        lost += pens_held() != 0;
        child_run();
    }
    set_over(true);
    tell(commands);
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
    SUPPORT_REQUIRE(lost > 0 && lost < forks);
    blocks_drop();
    dprintf(STDERR_FILENO, "%zu forks, %zu of them with a pen held\n", forks, lost);
    leave();
}

static void harden_fork__at_any_instruction_of_another__child_works(void **state)
{
    struct course course = {.share = 0.5};
    (void)state;
    if (!STEPS_CAN)
        skip();
    run(fork_beside, &course);
}

static void harden_fork__page_not_cleared_by_the_kernel__child_works(void **state)
{
    struct course course = {.share = 0.1, .refuse = true};
    (void)state;
    if (!STEPS_CAN)
        skip();
    run(fork_beside, &course);
}

static void *use_on(void *unused)
{
    while (!is_over())
        (void)use_some(NULL);
    return unused;
}

static void fork_within(void *unused)
{
    double end = support_seconds() + stress_seconds(0.3);
    pthread_t thread;
    size_t forks = 0;
    (void)unused;
    steps_begin();
    begin();
    work.random = stress_seed(2);
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, use_on, NULL) == 0);
    for (; forks < 50 || support_seconds() < end; forks++) {
        operation_stopped(fork_in_handler);
        if (handlers_child == 0)
            child_work();
        child_wait(handlers_child);
    }
    set_over(true);
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
    blocks_drop();
    dprintf(STDERR_FILENO, "%zu forks\n", forks);
    leave();
}

static void harden_fork__by_a_handler_at_any_instruction__both_go_on(void **state)
{
    (void)state;
    if (!STEPS_CAN)
        skip();
    run(fork_within, NULL);
}

/* ---- a slot that is filled again ---------------------------------------------------------------
 */

#define AGAIN_BLOCKS 3000

static struct live again[AGAIN_BLOCKS];

/* Blocks of seven bytes less than their slots have; beside each, slots of such that had rested. */
static void again_begin(void)
{
    for (size_t i = 0; i < AGAIN_BLOCKS; i++)
        live_take(&again[i], 105);
    for (size_t i = 0; i < AGAIN_BLOCKS; i += 2)
        live_drop(&again[i]);
    for (size_t i = 0; i < 3 * HAK_EPOCH_TAKES; i++)
        hak_free(support_hide(hak_malloc(1000)));
}

static void take_again(void)
{
    (void)support_hide(hak_malloc(111));
}

static void *take_stopped(void *unused)
{
    hear(commands);
    for (size_t stop = 1; steps_run(take_again, stop, park); stop++) {
    }
    set_over(true);
    tell(answers);
    return unused;
}

static void fork_at_each(void *unused)
{
    pthread_t thread;
    size_t forks = 0;
    (void)unused;
    pipes_open();
    steps_begin();
    begin();
    again_begin();
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, take_stopped, NULL) == 0);
    for (;; forks++) {
        tell(commands);
        hear(answers);
        if (is_over())
            break;
        pid_t child = fork();
        if (child == 0) {
            support_child_begin(CHILD_SECONDS);
            for (size_t i = 1; i < AGAIN_BLOCKS; i += 2)
                live_drop(&again[i]); /* looks at what stands before them */
            leave();
        }
        child_wait(child);
    }
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
    SUPPORT_REQUIRE(forks > 50 && forks < AGAIN_BLOCKS / 2);
    dprintf(STDERR_FILENO, "%zu forks\n", forks);
    leave();
}

static void harden_fork__slot_filled_with_more_than_before__its_neighbours_hold(void **state)
{
    (void)state;
    if (!STEPS_CAN)
        skip();
    run(fork_at_each, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(harden_fork__slot_filled_with_more_than_before__its_neighbours_hold),
        cmocka_unit_test(harden_fork__at_any_instruction_of_another__child_works),
        cmocka_unit_test(harden_fork__page_not_cleared_by_the_kernel__child_works),
        cmocka_unit_test(harden_fork__by_a_handler_at_any_instruction__both_go_on),
    };
    setenv("HAKMEM_HARDEN", "1", 1); /* read when the fake kernel wakes */
    return cmocka_run_group_tests_name("harden_fork", tests, NULL, NULL);
}
