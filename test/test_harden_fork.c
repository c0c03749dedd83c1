/*
 * Forks of a hardened process, whose locks other threads hold just then. The child has all blocks,
 * allocates, and is stopped at misuse as before; nothing waits for a thread that is not there.
 *
 * Another thread is stopped at any of its instructions, by single steps, while this one forks; or
 * this one forks there, in a signal's handler. HAKMEM_TEST_SECONDS is the time for all cases.
 *
 * ctest: labels=quick timeout=180 core=fake
 */
#include "front/harden/pen.h"
#include "segment/os_fake.h"

#include "steps.h"
#include "stress.h"

#define CHILD_SECONDS 60
#define THREADS 4

/* ---- blocks -----------------------------------------------------------------------------------
 */

#define SIZES 5
#define SIZE_BLOCKS 600

/* The first ones leave few bytes behind them, each its number: less canary than is looked at in
 * front of the next slot. */
#define SMALL_BYTES 110

static const size_t sizes[SIZES] = {SMALL_BYTES, 1000, 9000, 60000, 300000};
static const size_t counts[SIZES] = {600, 100, 20, 4, 3};        /* of the thread that forks */
static const size_t others_counts[SIZES] = {40, 40, 20, 100, 4}; /* of the thread that is stopped */

struct live {
    char *block;
    size_t bytes;
};

static struct live blocks[SIZES][SIZE_BLOCKS];

static void live_fill(struct live *live, size_t bytes)
{
    SUPPORT_REQUIRE(live->block != NULL);
    live->bytes = bytes;
    live->block[0] = live->block[bytes / 2] = live->block[bytes - 1] = 'x';
}

static void live_take(struct live *live, size_t bytes)
{
    live->block = support_hide(hak_malloc(bytes));
    SUPPORT_REQUIRE(support_is_zero(live->block, bytes));
    live_fill(live, bytes);
}

static void live_drop(struct live *live)
{
    if (live->block == NULL)
        return;
    SUPPORT_REQUIRE(live->block[0] == 'x' && live->block[live->bytes / 2] == 'x' &&
                    live->block[live->bytes - 1] == 'x');
    hak_free(live->block);
    live->block = NULL;
}

static void blocks_take(void)
{
    for (size_t i = 0; i < SIZES; i++)
        for (size_t k = 0; k < counts[i]; k++)
            live_take(&blocks[i][k], sizes[i] - k % 4);
}

static void blocks_drop(void)
{
    for (size_t i = 0; i < SIZES; i++)
        for (size_t k = 0; k < counts[i]; k++)
            live_drop(&blocks[i][k]);
}

/* Some blocks of each size come and go. */
static void *use_some(void *unused)
{
    struct live live[12];
    for (size_t i = 0; i < SIZES; i++) {
        size_t count = sizes[i] < 50000 ? SUPPORT_COUNT(live) : 2;
        for (size_t k = 0; k < count; k++)
            live_take(&live[k], sizes[i] - k);
        for (size_t k = 0; k < count; k++)
            live_drop(&live[k]);
    }
    return unused;
}

/* At exit every block is looked at. Sanitizers look at what they cannot know after a fork, too. */
static _Noreturn void leave(void)
{
    if (SUPPORT_SHADOWED)
        _exit(0);
    exit(0);
}

/* What a child does: other threads begin together with it. */
static _Noreturn void child_work(void)
{
    pthread_t threads[THREADS];
    support_child_begin(CHILD_SECONDS);
    for (size_t i = 0; i < THREADS && !SUPPORT_SHADOWED; i++)
        SUPPORT_REQUIRE(pthread_create(&threads[i], NULL, use_some, NULL) == 0);
    (void)use_some(NULL);
    for (size_t i = 0; i < THREADS && !SUPPORT_SHADOWED; i++)
        SUPPORT_REQUIRE(pthread_join(threads[i], NULL) == 0);
    for (size_t i = 0; i < SIZES; i++)
        for (size_t k = 0; k < counts[i]; k += 2)
            live_drop(&blocks[i][k]);
    (void)use_some(NULL);
    SUPPORT_REQUIRE(hak_segment_is_valid());
    leave();
}

static void child_wait(pid_t child)
{
    int status = -1;
    SUPPORT_REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
    SUPPORT_REQUIRE(status == 0);
}

static void child_run(void)
{
    pid_t child = fork();
    if (child == 0)
        child_work();
    child_wait(child);
}

static void begin(void)
{
    hak_fake_wake(4096);
    hak_free(support_hide(hak_malloc(1)));
    SUPPORT_REQUIRE(hak_harden_is_on());
    blocks_take();
}

static size_t pens_held(void)
{
    size_t held = 0;
    /* relaxed: who holds them is at a stop. */
    for (size_t i = 1; i < HAK_BINS; i++)
        held += atomic_load_explicit(&hak_pens[i].lock.holder, memory_order_relaxed) != 0;
    return held;
}

static void run(void (*body)(void *), void *argument)
{
    struct support_end end = support_run_child(body, argument);
    if (end.status != 0)
        fail_msg("a child ended with status %#x; it wrote: %s", (unsigned)end.status, end.text);
    print_message("%s", end.text);
}

/* ---- a thread that is stopped ------------------------------------------------------------------
 */

static int commands[2], answers[2];

static void pipes_open(void)
{
    SUPPORT_REQUIRE(pipe(commands) == 0 && pipe(answers) == 0);
}

static void tell(const int *ends)
{
    SUPPORT_REQUIRE(write(ends[1], "x", 1) == 1);
}

static void hear(const int *ends)
{
    char byte;
    SUPPORT_REQUIRE(read(ends[0], &byte, 1) == 1);
}

/* In a signal's handler too. */
static void park(void)
{
    tell(answers);
    hear(commands);
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

static pid_t handlers_child;

/* What was interrupted ends in both processes. */
static void fork_in_handler(void)
{
    handlers_child = fork();
    if (handlers_child == 0)
        alarm(CHILD_SECONDS);
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

#define AGAIN_BLOCKS 1200

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

/* ---- a pen that is held -------------------------------------------------------------------------
 */

/* Of the smallest blocks. */
static struct hak_pen *pen_first(void)
{
    return &hak_pens[hak_pen_bin(hak_region_tag(hak_region_page_idx(blocks[0][0].block)))];
}

/* A slot that is not live looks as if it were just being filled. */
static void *hold_pen(void *unused)
{
    char *slot = support_hide(hak_malloc(SMALL_BYTES));
    hak_free(slot);
    hak_lock_take(&pen_first()->lock);
    slot[50] = 1;
    park();
    slot[50] = 0;
    hak_lock_drop(&pen_first()->lock);
    return unused;
}

static pthread_t pen_held(void)
{
    pthread_t thread;
    pipes_open();
    begin();
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, hold_pen, NULL) == 0);
    hear(answers);
    return thread;
}

static void free_twice(char *block)
{
    hak_free(block);
    hak_free(support_hide(block));
}

static void write_behind(char *block)
{
    block[SMALL_BYTES] = 1;
    hak_free(block);
}

static void write_before(char *block)
{
    block[-1] = 1;
    hak_free(block);
}

static void free_inside(char *block)
{
    hak_free(block + 16);
}

static void leave_written(char *block)
{
    block[SMALL_BYTES] = 1;
    leave();
}

struct misuse {
    void (*commit)(char *block);
    const char *message;
};

static void misuse_in_child(void *argument)
{
    const struct misuse *misuse = argument;
    (void)pen_held();
    pid_t child = fork();
    if (child == 0) {
        support_child_begin(CHILD_SECONDS);
        (void)use_some(NULL);
        misuse->commit(blocks[0][0].block);
        _exit(0);
    }
    int status = -1;
    SUPPORT_REQUIRE(waitpid(child, &status, 0) == child);
    SUPPORT_REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    _exit(0);
}

static void harden_fork__pen_lost__misuse_is_stopped(void **state)
{
    struct misuse rows[] = {
        {free_twice, "free of a block that is already free"},
        {write_behind, HAK_MESSAGE_PAST_END},
        {write_before, HAK_MESSAGE_BEFORE},
        {free_inside, "free of a pointer inside a block"},
        {leave_written, HAK_MESSAGE_PAST_END},
    };
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(rows) - SUPPORT_SHADOWED; i++) {
        struct support_end end = support_run_child(misuse_in_child, &rows[i]);
        if (end.status != 0 || strstr(end.text, rows[i].message) == NULL)
            fail_msg("%zu: status %#x: %s", i, (unsigned)end.status, end.text);
    }
}

/* Freed blocks of the lost pen's pages are zero, and never come back. */
static void rest_in_child(void *unused)
{
    char *freed[SIZE_BLOCKS];
    (void)unused;
    (void)pen_held();
    pid_t child = fork();
    if (child == 0) {
        support_child_begin(CHILD_SECONDS);
        for (size_t k = 0; k < counts[0]; k++)
            freed[k] = blocks[0][k].block;
        blocks_drop();
        for (size_t k = 0; k < counts[0]; k++)
            SUPPORT_REQUIRE(support_is_zero(freed[k], sizes[0] - 3));
        for (unsigned times = 0; times < 5000; times++) {
            char *block = support_hide(hak_malloc(SMALL_BYTES));
            for (size_t k = 0; k < counts[0]; k++)
                SUPPORT_REQUIRE(block != freed[k]);
            hak_free(block);
        }
        leave();
    }
    child_wait(child);
    _exit(0);
}

static void harden_fork__pen_lost__its_slots_rest_for_ever(void **state)
{
    (void)state;
    run(rest_in_child, NULL);
}

static struct hak_page *half_closed; /* a span that nobody else has blocks in */

/* As hak_pen_tidy() leaves a page half-way: first without notes, then with the tags' rest. */
static void *close_half(void *unused)
{
    char *block = support_hide(hak_malloc(30000));
    half_closed = hak_page_of(block);
    void *notes = half_closed->notes;
    size_t page_idx = hak_page_idx(half_closed);
    uintptr_t tag = hak_region_tag(page_idx);
    hak_lock_take(&hak_pens[hak_pen_bin(tag)].lock);
    half_closed->notes = NULL;
    park();
    hak_region_set(page_idx, 1, HAK_TAG_NONE);
    park();
    hak_region_set(page_idx, 1, tag);
    half_closed->notes = notes;
    hak_lock_drop(&hak_pens[hak_pen_bin(tag)].lock);
    hak_free(block);
    return unused;
}

static void fork_half_closed(void *unused)
{
    pthread_t thread;
    (void)unused;
    pipes_open();
    begin();
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, close_half, NULL) == 0);
    hear(answers);
    child_run();
    tell(commands);
    hear(answers);
    pid_t child = fork();
    if (child == 0) {
        (void)use_some(NULL);
        SUPPORT_REQUIRE(half_closed->span_pages > 1 && half_closed->notes == NULL);
        for (size_t i = 0; i < half_closed->span_pages; i++)
            SUPPORT_REQUIRE(hak_region_tag(hak_page_idx(half_closed) + i) == HAK_TAG_NONE);
        child_work();
    }
    child_wait(child);
    tell(commands);
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
    leave();
}

static void harden_fork__page_half_closed__child_works(void **state)
{
    (void)state;
    run(fork_half_closed, NULL);
}

/* ---- a fork while this thread waits ------------------------------------------------------------
 */

static pthread_t waiter;

static void fork_while_waiting(int number)
{
    (void)number;
    fork_in_handler();
    if (handlers_child > 0)
        tell(commands); /* the holder goes on */
}

static void *interrupt_waiter(void *unused)
{
    const struct timespec pause = {.tv_nsec = 50000000};
    (void)nanosleep(&pause, NULL);
    SUPPORT_REQUIRE(pthread_kill(waiter, SIGUSR1) == 0);
    return unused;
}

static void fork_waiting(void *unused)
{
    pthread_t holder = pen_held(), interrupter;
    (void)unused;
    waiter = pthread_self();
    signal(SIGUSR1, fork_while_waiting);
    handlers_child = -1;
    SUPPORT_REQUIRE(pthread_create(&interrupter, NULL, interrupt_waiter, NULL) == 0);
    struct live live;
    live_take(&live, sizes[0]);
    if (handlers_child == 0)
        child_work();
    child_wait(handlers_child);
    live_drop(&live);
    SUPPORT_REQUIRE(pthread_join(holder, NULL) == 0 && pthread_join(interrupter, NULL) == 0);
    leave();
}

static void harden_fork__by_a_handler_of_who_waits__child_goes_on(void **state)
{
    (void)state;
    if (SUPPORT_SHADOWED)
        skip(); /* signals come late */
    run(fork_waiting, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(harden_fork__slot_filled_with_more_than_before__its_neighbours_hold),
        cmocka_unit_test(harden_fork__pen_lost__misuse_is_stopped),
        cmocka_unit_test(harden_fork__pen_lost__its_slots_rest_for_ever),
        cmocka_unit_test(harden_fork__page_half_closed__child_works),
        cmocka_unit_test(harden_fork__by_a_handler_of_who_waits__child_goes_on),
        cmocka_unit_test(harden_fork__at_any_instruction_of_another__child_works),
        cmocka_unit_test(harden_fork__page_not_cleared_by_the_kernel__child_works),
        cmocka_unit_test(harden_fork__by_a_handler_at_any_instruction__both_go_on),
    };
    setenv("HAKMEM_HARDEN", "1", 1); /* read when the fake kernel wakes */
    return cmocka_run_group_tests_name("harden_fork", tests, NULL, NULL);
}
