/*
 * Children that write to every block they share with their parent: huge_fork WAY COUNT MIB
 *
 *   exec      fork, write, exec, one after the other
 *   exit      the same, and _exit
 *   threads   the same as exec, while three threads of the parent write and allocate
 *   many      COUNT children at once, which write together
 *   nested    each child forks a child of its own when it has written; both write
 *   spawn     posix_spawn
 *   vfork     vfork and exec
 *
 * Ends with the line "children=COUNT well=N hugetlb_kib=N", whose last figure was taken before the
 * first child, and with 0 if every child ended well and the parent's blocks hold what the parent
 * wrote; 3 if blocks do not; 1 if children were lost.
 */
#include "huge_blocks.h"

#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>

enum { THREADS = 3, THREAD_MIB = 4, CHILDREN_MAX = 1000, CHILD_SECONDS = 60 };

static struct huge_block blocks[HUGE_BLOCKS_MAX];
static struct huge_block thread_blocks[THREADS][HUGE_BLOCKS_MAX / 10];
static struct huge_blocks own = {.blocks = blocks, .stamp = 1};
static _Atomic bool stop_now;
static char *const no_words[] = {(char[]){"true"}, NULL};
static char *const no_settings[] = {NULL};

static void child_writes(void)
{
    (void)alarm(CHILD_SECONDS);
    huge_blocks_check(&own);
    huge_blocks_write(&own);
    huge_blocks_grow(&own, 1);
    huge_blocks_check(&own);
}

static _Noreturn void program_become(void)
{
    (void)execve("/bin/true", no_words, no_settings);
    _exit(4);
}

static bool ended_well(pid_t child)
{
    int status = -1;
    if (child <= 0 || waitpid(child, &status, 0) != child)
        return false;
    if (WIFSIGNALED(status))
        dprintf(STDOUT_FILENO, "a child ended by signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static pid_t child_that(bool execs)
{
    pid_t child = fork();
    if (child == 0) {
        child_writes();
        if (execs)
            program_become();
        _exit(0);
    }
    return child;
}

static pid_t child_nested(void)
{
    pid_t child = fork();
    if (child == 0) {
        child_writes();
        pid_t grandchild = child_that(false);
        huge_blocks_write(&own);
        huge_blocks_check(&own);
        _exit(ended_well(grandchild) ? 0 : 5);
    }
    return child;
}

static pid_t child_vfork(void)
{
    pid_t child = vfork();
    if (child == 0)
        program_become();
    return child;
}

static pid_t child_spawn(void)
{
    pid_t child = -1;
    return posix_spawn(&child, "/bin/true", NULL, NULL, no_words, no_settings) == 0 ? child : -1;
}

static pid_t child_start(const char *way)
{
    if (strcmp(way, "exec") == 0 || strcmp(way, "threads") == 0)
        return child_that(true);
    if (strcmp(way, "exit") == 0)
        return child_that(false);
    if (strcmp(way, "nested") == 0)
        return child_nested();
    if (strcmp(way, "spawn") == 0)
        return child_spawn();
    if (strcmp(way, "vfork") == 0)
        return child_vfork();
    huge_stop("no such way");
    return -1;
}

static unsigned long children_in_turn(const char *way, unsigned long count)
{
    unsigned long well = 0;
    for (unsigned long i = 0; i < count; i++) {
        pid_t child = child_start(way);
        huge_blocks_write(&own);
        well += ended_well(child);
        huge_blocks_check(&own);
    }
    return well;
}

/* They wait for the pipe's end, so that all live before one writes, and go when all have written.
 */
static unsigned long children_at_once(unsigned long count)
{
    static pid_t children[CHILDREN_MAX];
    int go[2];
    int leave[2];
    char byte;
    if (count > CHILDREN_MAX || pipe(go) != 0 || pipe(leave) != 0)
        huge_stop("too many children");
    for (unsigned long i = 0; i < count; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            (void)close(go[1]);
            (void)alarm(CHILD_SECONDS);
            huge_blocks_grow(&own, 1); /* of what its brothers may need */
            (void)!read(go[0], &byte, 1);
            child_writes();
            (void)close(leave[1]);
            (void)!read(leave[0], &byte, 1);
            huge_blocks_check(&own);
            _exit(0);
        }
    }
    (void)close(leave[1]);
    (void)close(leave[0]);
    (void)close(go[1]);
    huge_blocks_write(&own);
    unsigned long well = 0;
    for (unsigned long i = 0; i < count; i++)
        well += ended_well(children[i]);
    huge_blocks_check(&own);
    return well;
}

static void *write_always(void *argument)
{
    struct huge_blocks set = {.blocks = argument, .stamp = 7};
    huge_blocks_grow(&set, THREAD_MIB);
    /* relaxed: nothing is published with it. */
    while (!atomic_load_explicit(&stop_now, memory_order_relaxed)) {
        huge_blocks_write(&set);
        free(malloc(90000));
        huge_blocks_check(&set);
    }
    huge_blocks_drop(&set);
    return NULL;
}

static unsigned long children_of_writers(unsigned long count)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, write_always, thread_blocks[i]) != 0)
            huge_stop("no thread");
    }
    unsigned long well = children_in_turn("threads", count);
    /* relaxed: as above. */
    atomic_store_explicit(&stop_now, true, memory_order_relaxed);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    return well;
}

int main(int arguments, char **words)
{
    if (arguments != 4)
        huge_stop("huge_fork WAY COUNT MIB");
    unsigned long count = strtoul(words[2], NULL, 10);
    huge_blocks_grow(&own, strtoul(words[3], NULL, 10));
    unsigned long pooled_kib = huge_pooled_kib();
    unsigned long well = strcmp(words[1], "many") == 0      ? children_at_once(count)
                         : strcmp(words[1], "threads") == 0 ? children_of_writers(count)
                                                            : children_in_turn(words[1], count);
    huge_blocks_check(&own);
    dprintf(STDOUT_FILENO, "children=%lu well=%lu hugetlb_kib=%lu\n", count, well, pooled_kib);
    return well == count ? 0 : 1;
}
