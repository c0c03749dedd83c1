/*
 * What the tests of forks of a hardened process share.
 *
 * Purpose   blocks of the thread that forks, the child's work, and two pipes by which one thread
 *           leads another from stop to stop.
 * Threads   as each says; a failing check ends the process.
 */
#ifndef HAKMEM_TEST_HARDEN_FORK_H
#define HAKMEM_TEST_HARDEN_FORK_H

#include "segment/os_fake.h"

#include "pens.h"
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
static const size_t counts[SIZES] = {600, 100, 20, 4, 3}; /* of the thread that forks */

struct live {
    char *block;
    size_t bytes;
};

static struct live blocks[SIZES][SIZE_BLOCKS];

static inline void live_fill(struct live *live, size_t bytes)
{
    SUPPORT_REQUIRE(live->block != NULL);
    live->bytes = bytes;
    live->block[0] = live->block[bytes / 2] = live->block[bytes - 1] = 'x';
}

static inline void live_take(struct live *live, size_t bytes)
{
    live->block = support_hide(hak_malloc(bytes));
    SUPPORT_REQUIRE(support_is_zero(live->block, bytes));
    live_fill(live, bytes);
}

static inline void live_drop(struct live *live)
{
    if (live->block == NULL)
        return;
    SUPPORT_REQUIRE(live->block[0] == 'x' && live->block[live->bytes / 2] == 'x' &&
                    live->block[live->bytes - 1] == 'x');
    hak_free(live->block);
    live->block = NULL;
}

static inline void blocks_take(void)
{
    for (size_t i = 0; i < SIZES; i++)
        for (size_t k = 0; k < counts[i]; k++)
            live_take(&blocks[i][k], sizes[i] - k % 4);
}

static inline void blocks_drop(void)
{
    for (size_t i = 0; i < SIZES; i++)
        for (size_t k = 0; k < counts[i]; k++)
            live_drop(&blocks[i][k]);
}

/* Some blocks of each size come and go. */
static inline void *use_some(void *unused)
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

/* Pens that were lost are valid, too. At exit every block is looked at. Sanitizers look at what
 * they cannot know after a fork, too. */
static inline _Noreturn void leave(void)
{
    SUPPORT_REQUIRE(pens_are_valid());
    if (SUPPORT_SHADOWED)
        _exit(0);
    exit(0);
}

/* What a child does: other threads begin together with it. */
static inline _Noreturn void child_work(void)
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

static inline void child_wait(pid_t child)
{
    int status = -1;
    SUPPORT_REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
    SUPPORT_REQUIRE(status == 0);
}

static inline void child_run(void)
{
    pid_t child = fork();
    if (child == 0)
        child_work();
    child_wait(child);
}

static inline void begin(void)
{
    hak_fake_wake(4096);
    hak_free(support_hide(hak_malloc(1)));
    SUPPORT_REQUIRE(hak_harden_is_on());
    blocks_take();
}

static inline void run(void (*body)(void *), void *argument)
{
    struct support_end end = support_run_child(body, argument);
    if (end.status != 0)
        fail_msg("a child ended with status %#x; it wrote: %s", (unsigned)end.status, end.text);
    print_message("%s", end.text);
}

/* ---- a thread that is stopped ------------------------------------------------------------------
 */

static int commands[2], answers[2];

static inline void pipes_open(void)
{
    SUPPORT_REQUIRE(pipe(commands) == 0 && pipe(answers) == 0);
}

static inline void tell(const int *ends)
{
    SUPPORT_REQUIRE(write(ends[1], "x", 1) == 1);
}

static inline void hear(const int *ends)
{
    char byte;
    SUPPORT_REQUIRE(read(ends[0], &byte, 1) == 1);
}

/* In a signal's handler too. */
static inline void park(void)
{
    tell(answers);
    hear(commands);
}

static pid_t handlers_child;

/* What was interrupted ends in both processes. */
static inline void fork_in_handler(void)
{
    handlers_child = fork();
    if (handlers_child == 0)
        alarm(CHILD_SECONDS);
}

#endif
