/*
 * Blocks of every kind while memory calls to the kernel may fail.
 *
 *   fault_load [served]     with `served`, a request that is refused is an error
 *
 * Every block is filled and looked at again; a refused request must say ENOMEM, and free() and
 * malloc_trim() must leave errno alone. At the end everything is freed and a block of each size is
 * asked for once more.
 *
 * Prints "whole" and ends with 0; ends with 1 and says what was wrong.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCKS 300
#define KIB ((size_t)1024)

static struct {
    char *start;
    size_t bytes;
} blocks[BLOCKS];

static bool all_served;

static _Noreturn void stop(const char *what, size_t i)
{
    char line[128];
    int bytes =
        snprintf(line, sizeof line, "fault_load: block %zu: %s (errno %d)\n", i, what, errno);
    (void)!write(STDERR_FILENO, line, (size_t)bytes);
    _exit(1);
}

/* The value of every 1024th byte and of the last one. */
static char mark(size_t i, size_t at)
{
    return (char)(i * 7 + at / 1024 + 1);
}

static void fill(size_t i)
{
    for (size_t at = 0; at < blocks[i].bytes; at += 1024)
        blocks[i].start[at] = mark(i, at);
    blocks[i].start[blocks[i].bytes - 1] = mark(i, blocks[i].bytes - 1);
}

/* The first `bytes`, or all of it. */
static void verify(size_t i, size_t bytes)
{
    size_t last = blocks[i].bytes - 1;
    for (size_t at = 0; at < last && at < bytes; at += 1024) {
        if (blocks[i].start[at] != mark(i, at))
            stop("its contents changed", i);
    }
    if (bytes > last && blocks[i].start[last] != mark(i, last))
        stop("its last byte changed", i);
}

static bool served(const void *answer, size_t i)
{
    if (answer == NULL && errno != ENOMEM)
        stop("refused without ENOMEM", i);
    if (answer == NULL && all_served)
        stop("refused", i);
    return answer != NULL;
}

static void give(size_t i)
{
    if (blocks[i].start == NULL)
        return;
    verify(i, blocks[i].bytes);
    errno = 77;
    free(blocks[i].start);
    if (errno != 77)
        stop("free() changed errno", i);
    blocks[i].start = NULL;
}

static void take(size_t i, size_t bytes)
{
    give(i);
    errno = 0;
    char *start = i % 3 == 0 ? calloc(1, bytes) : malloc(bytes);
    if (!served(start, i))
        return;
    if (i % 3 == 0 && (start[0] != 0 || start[bytes / 2] != 0 || start[bytes - 1] != 0))
        stop("not zero", i);
    blocks[i].start = start;
    blocks[i].bytes = bytes;
    fill(i);
}

static void resize(size_t i, size_t bytes)
{
    if (blocks[i].start == NULL)
        return;
    verify(i, blocks[i].bytes);
    errno = 0;
    char *start = realloc(blocks[i].start, bytes);
    if (!served(start, i))
        return;
    size_t kept_bytes = blocks[i].bytes < bytes ? blocks[i].bytes - 1 : bytes - 1;
    blocks[i].start = start;
    verify(i, kept_bytes);
    blocks[i].bytes = bytes;
    fill(i);
}

static void trim(void)
{
    errno = 77;
    malloc_trim(0);
    if (errno != 77)
        stop("malloc_trim() changed errno", 0);
}

static size_t size_of(size_t i)
{
    return i % 20 == 19 ? i * 5 * KIB : i % 4 == 3 ? 600 + i * 200 : 1 + i * 3;
}

static void *use_in_thread(void *unused)
{
    for (size_t i = 0; i < BLOCKS; i += 2)
        give(i);
    for (size_t i = 0; i < BLOCKS; i += 5)
        take(i, size_of(i));
    return unused;
}

int main(int count, char **arguments)
{
    all_served = count > 1 && strcmp(arguments[1], "served") == 0;
    if (all_served && errno != 0)
        stop("the library's set-up changed errno", 0);
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < BLOCKS; i++)
            take(i, size_of((i + 7 * round) % BLOCKS));
        for (size_t i = 19; i < BLOCKS; i += 40)
            resize(i, 3 * size_of(i)); /* moves: others lie behind it */
        for (size_t i = 39; i < BLOCKS; i += 40)
            resize(i, size_of(i) / 3);
        trim();
        pthread_t thread;
        if (pthread_create(&thread, NULL, use_in_thread, NULL) == 0)
            pthread_join(thread, NULL);
        for (size_t i = 0; i < BLOCKS; i++) {
            if (blocks[i].start != NULL)
                verify(i, blocks[i].bytes);
        }
        for (size_t i = round; i < BLOCKS; i += 2)
            give(i);
        trim();
    }
    for (size_t i = 0; i < BLOCKS; i++)
        give(i);
    for (size_t i = 0; i < BLOCKS; i++)
        take(i, size_of(i));
    (void)!write(STDOUT_FILENO, "whole\n", 6);
    return 0;
}
