/*
 * Forks of a hardened process whose locks another thread holds. The child has all blocks,
 * allocates, and is stopped at misuse as before.
 *
 * ctest: labels=quick timeout=180 core=fake
 */
#include "harden_fork.h"

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

static void harden_held__pen_lost__misuse_is_stopped(void **state)
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

static void harden_held__pen_lost__its_slots_rest_for_ever(void **state)
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

static void harden_held__page_half_closed__child_works(void **state)
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

static void harden_held__by_a_handler_of_who_waits__child_goes_on(void **state)
{
    (void)state;
    if (SUPPORT_SHADOWED)
        skip(); /* signals come late */
    run(fork_waiting, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(harden_held__pen_lost__misuse_is_stopped),
        cmocka_unit_test(harden_held__pen_lost__its_slots_rest_for_ever),
        cmocka_unit_test(harden_held__page_half_closed__child_works),
        cmocka_unit_test(harden_held__by_a_handler_of_who_waits__child_goes_on),
    };
    setenv("HAKMEM_HARDEN", "1", 1); /* read when the fake kernel wakes */
    return cmocka_run_group_tests_name("harden_held", tests, NULL, NULL);
}
