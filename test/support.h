/*
 * What the tests share.
 *
 * Purpose   cmocka with the includes it wants, checks for any thread, fills keyed by an
 *           identity, readings of the process, and children whose end is looked at.
 * Threads   cmocka's asserts are for the main thread of the first process only.
 *           SUPPORT_REQUIRE works on every thread and in every child: it ends the process.
 */
#ifndef HAKMEM_TEST_SUPPORT_H
#define HAKMEM_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include "hakmem.h"
#include "surroundings.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define SUPPORT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define SUPPORT_REQUIRE(condition)                                                                 \
    do {                                                                                           \
        if (!(condition))                                                                          \
            support_stop(__FILE__, __LINE__, #condition);                                          \
    } while (0)

static inline _Noreturn void support_stop(const char *file, int line, const char *condition)
{
    dprintf(STDERR_FILENO, "%s:%d: not so: %s (errno %d)\n", file, line, condition, errno);
    abort();
}

/* Hides where a pointer or a size came from, so that the compiler cannot reason about it. */
static inline void *support_hide(const void *pointer)
{
    __asm__ volatile("" : "+r"(pointer));
    return (void *)(uintptr_t)pointer;
}

static inline size_t support_hide_size(size_t size)
{
    __asm__ volatile("" : "+r"(size));
    return size;
}

/* splitmix64: a seed gives the same run every time. */
static inline uint64_t support_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The fill of a block: word i is the XXH3 of i under the block's key. */
static inline uint64_t support_word(uint64_t key, uint64_t index)
{
    return XXH3_64bits_withSeed(&index, sizeof index, key);
}

static inline void support_fill(void *block, size_t bytes, uint64_t key)
{
    char *at = block;
    for (size_t done = 0; done < bytes; done += sizeof(uint64_t)) {
        uint64_t word = support_word(key, done);
        size_t left = bytes - done;
        memcpy(at + done, &word, left < sizeof word ? left : sizeof word);
    }
}

static inline bool support_holds(const void *block, size_t bytes, uint64_t key)
{
    const char *at = block;
    for (size_t done = 0; done < bytes; done += sizeof(uint64_t)) {
        uint64_t word = support_word(key, done);
        size_t left = bytes - done;
        if (memcmp(at + done, &word, left < sizeof word ? left : sizeof word) != 0)
            return false;
    }
    return true;
}

static inline bool support_is_zero(const void *block, size_t bytes)
{
    const char *at = block;
    return bytes == 0 || (at[0] == 0 && memcmp(at, at + 1, bytes - 1) == 0);
}

static inline double support_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Resident bytes of the process now. */
static inline size_t support_resident_bytes(void)
{
    char text[128] = {0};
    unsigned long total_pages = 0, resident_pages = 0;
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    SUPPORT_REQUIRE(file >= 0);
    SUPPORT_REQUIRE(read(file, text, sizeof text - 1) > 0);
    close(file);
    SUPPORT_REQUIRE(sscanf(text, "%lu %lu", &total_pages, &resident_pages) == 2);
    return resident_pages * (size_t)sysconf(_SC_PAGESIZE);
}

static inline size_t support_minor_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (size_t)usage.ru_minflt;
}

/* First thing in a child: cmocka's handlers would return into the parent's test. */
static inline void support_child_begin(unsigned limit_seconds)
{
    const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGABRT, SIGALRM};
    const struct rlimit no_core = {0, 0};
    for (size_t i = 0; i < SUPPORT_COUNT(numbers); i++)
        signal(numbers[i], SIG_DFL);
    setrlimit(RLIMIT_CORE, &no_core);
    alarm(limit_seconds);
}

/* How a child ended: its wait status and the beginning of what it wrote to stderr. */
struct support_end {
    int status;
    char text[8192];
};

/* Forks, runs body(argument) in the child, which then exits with 0 unless body ended it. */
static inline struct support_end support_run_child(void (*body)(void *), void *argument)
{
    struct support_end end = {0};
    int pipe_ends[2];
    SUPPORT_REQUIRE(pipe(pipe_ends) == 0);
    fflush(NULL);
    pid_t child = fork();
    SUPPORT_REQUIRE(child >= 0);
    if (child == 0) {
        support_child_begin(240);
        dup2(pipe_ends[1], STDERR_FILENO);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        body(argument);
        _exit(0);
    }
    close(pipe_ends[1]);
    size_t used = 0;
    char scrap[512];
    for (;;) {
        bool full = used == sizeof end.text - 1;
        ssize_t got = read(pipe_ends[0], full ? scrap : end.text + used,
                           full ? sizeof scrap : sizeof end.text - 1 - used);
        if (got <= 0)
            break;
        used += full ? 0 : (size_t)got;
    }
    close(pipe_ends[0]);
    surroundings_drop_words(end.text);
    SUPPORT_REQUIRE(waitpid(child, &end.status, 0) == child);
    return end;
}

#endif
