/*
 * Uses memory inside of a cgroup with a limit.
 *
 *   limit_load churn LIVE_MIB TOTAL_MIB THREADS   TOTAL_MIB come and go, at most LIVE_MIB at a time
 *   limit_load exceed                             takes and touches memory without end
 *   limit_load fork LIVE_MIB                      as a parent whose children exceed; goes on after
 *   limit_load pass LIVE_MIB                      had twice that; then a child has it
 *
 * churn, fork and pass print "whole" and end with 0. What a block holds is looked at before it is
 * freed.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

struct block {
    struct block *next;
    size_t bytes;
};

static size_t live_bytes, total_bytes; /* a thread */

/* From this size to twice that, a phase each: what was freed in one serves the next. */
static const size_t phases[] = {32, 3000, 200, 40 * KIB, 900, 300 * KIB, 9000, 3 * MIB};

static uint64_t random_next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static struct block *block_take(size_t bytes, struct block *next)
{
    struct block *block = malloc(bytes);
    if (block == NULL) {
        fprintf(stderr, "limit_load: no %zu bytes\n", bytes);
        exit(1);
    }
    memset(block, (int)(bytes & 127) + 1, bytes);
    *block = (struct block){next, bytes};
    return block;
}

static struct block *block_give(struct block *block)
{
    struct block *next = block->next;
    const char *at = (const char *)block;
    for (size_t i = sizeof *block; i < block->bytes; i += 4096) {
        if (at[i] != (char)((block->bytes & 127) + 1)) {
            fprintf(stderr, "limit_load: a block's contents changed\n");
            exit(1);
        }
    }
    free(block);
    return next;
}

static void *churn(void *argument)
{
    uint64_t seed = (uintptr_t)argument;
    size_t done_bytes = 0;
    for (size_t phase = (size_t)seed; done_bytes < total_bytes; phase++) {
        size_t least = phases[phase % (sizeof phases / sizeof *phases)];
        struct block *list = NULL;
        for (size_t held = 0; held + 2 * least <= live_bytes;) {
            size_t bytes = least + random_next(&seed) % least;
            list = block_take(bytes, list);
            held += bytes;
            done_bytes += bytes;
        }
        while (list != NULL)
            list = block_give(list);
    }
    return NULL;
}

static bool run_churn(size_t threads)
{
    pthread_t ids[64];
    if (threads == 0 || threads > 64)
        return false;
    live_bytes /= threads;
    total_bytes /= threads;
    for (size_t i = 0; i < threads; i++) {
        if (pthread_create(&ids[i], NULL, churn, (void *)(i + 1)) != 0)
            return false;
    }
    for (size_t i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    return true;
}

static _Noreturn void exceed(void)
{
    FILE *score = fopen("/proc/self/oom_score_adj", "w"); /* this one is to be ended, no other */
    if (score != NULL) {
        fputs("1000", score);
        fclose(score);
    }
    struct block *list = NULL;
    for (uint64_t seed = 1;;)
        list = block_take(sizeof *list + random_next(&seed) % (400 * KIB), list);
}

/* Children that the kernel ends, with what they had of the parent's; the parent works on. */
static bool run_fork(void)
{
    struct block *list = NULL;
    total_bytes = 4 * live_bytes;
    for (size_t held = 0; held < live_bytes / 4; held += 1000)
        list = block_take(1000, list);
    for (unsigned round = 0; round < 3; round++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            exceed();
        if (child < 0 || waitpid(child, &status, 0) != child)
            return false;
        if (!WIFSIGNALED(status) || WTERMSIG(status) != 9) {
            fprintf(stderr, "limit_load: a child's status is %#x\n", (unsigned)status);
            return false;
        }
        live_bytes /= 2;
        churn((void *)(uintptr_t)round);
        live_bytes *= 2;
    }
    while (list != NULL)
        list = block_give(list);
    return true;
}

/* What was freed here goes back to the group: a child has no room else. */
static bool run_pass(const char *live_mib)
{
    struct block *list = NULL;
    int status = -1;
    for (size_t held = 0; held < 2 * live_bytes; held += 50 * KIB)
        list = block_take(50 * KIB, list);
    while (list != NULL)
        list = block_give(list);
    malloc_trim(0);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "limit_load", "churn", live_mib, "200", "1", (char *)NULL);
        _exit(127);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int main(int count, char **arguments)
{
    const char *what = count > 1 ? arguments[1] : "";
    bool done = false;
    if (strcmp(what, "exceed") == 0)
        exceed();
    live_bytes = count > 2 ? strtoul(arguments[2], NULL, 10) * MIB : 0;
    if (strcmp(what, "churn") == 0 && count > 4) {
        total_bytes = strtoul(arguments[3], NULL, 10) * MIB;
        done = run_churn(strtoul(arguments[4], NULL, 10));
    } else if (strcmp(what, "fork") == 0 && count > 2) {
        done = run_fork();
    } else if (strcmp(what, "pass") == 0 && count > 2) {
        done = run_pass(arguments[2]);
    } else {
        fprintf(stderr, "limit_load: see its head for what it takes\n");
        return 2;
    }
    if (done)
        puts("whole");
    return done ? 0 : 1;
}
