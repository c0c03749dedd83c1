/*
 * bench.h: what every workload shares: clock, arguments, tables, blocks.
 *
 * Threads: arguments are read by main(), all else by any.
 *
 * No helper of the benches but bench_block calls malloc, so that a workload's figures are those of
 * its own blocks. An operation is one malloc or one free, in every workload but bench_realloc.
 */
#ifndef HAK_BENCH_H
#define HAK_BENCH_H

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "bench_random.h"

enum { BENCH_OS_PAGE_BYTES = 4096 }; /* the smallest that there is */

static inline uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static inline void bench_sleep_ns(long ns)
{
    struct timespec pause = {ns / 1000000000L, ns % 1000000000L};
    nanosleep(&pause, NULL);
}

_Noreturn static inline void bench_die(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- arguments: all optional, each with the default of the program's head comment ---- */

static inline double bench_arg_real(int argc, char **argv, int idx, double fallback, double min,
                                    double max)
{
    if (idx >= argc)
        return fallback;
    char *end = NULL;
    double value = strtod(argv[idx], &end);
    if (end == argv[idx] || *end != '\0' || !(value >= min && value <= max)) {
        fprintf(stderr, "%s: argument %d is '%s', not a number from %g to %g\n", argv[0], idx,
                argv[idx], min, max);
        exit(2);
    }
    return value;
}

static inline uint64_t bench_arg(int argc, char **argv, int idx, uint64_t fallback, uint64_t min,
                                 uint64_t max)
{
    if (idx >= argc)
        return fallback;
    char *end = NULL;
    errno = 0;
    uint64_t value = strtoull(argv[idx], &end, 10);
    if (errno != 0 || end == argv[idx] || *end != '\0' || argv[idx][0] == '-' || value < min ||
        value > max) {
        fprintf(stderr, "%s: argument %d is '%s', not an integer from %" PRIu64 " to %" PRIu64 "\n",
                argv[0], idx, argv[idx], min, max);
        exit(2);
    }
    return value;
}

/* ---- tables and blocks ---- */

/* Zeroed memory for the workload's own tables, apart from the heap that is measured. */
static inline void *bench_table(size_t count, size_t item_bytes)
{
    void *table =
        mmap(NULL, count * item_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (table == MAP_FAILED)
        bench_die("mmap");
    return table;
}

/* Writes the first and the last byte of what malloc returned; ends the process if that is NULL. */
static inline void bench_touch_ends(unsigned char *block, size_t bytes)
{
    if (block == NULL)
        bench_die("malloc");
    block[0] = (unsigned char)bytes;
    block[bytes - 1] = (unsigned char)bytes;
}

/* Writes one byte of each os page of block[from .. bytes). */
static inline void bench_touch_pages(unsigned char *block, size_t from, size_t bytes)
{
    for (size_t at = from; at < bytes; at = (at | (BENCH_OS_PAGE_BYTES - 1)) + 1)
        block[at] = (unsigned char)bytes;
}

/* A block with its first and last byte written. */
static inline void *bench_block(size_t bytes)
{
    void *block = malloc(bytes);
    bench_touch_ends(block, bytes);
    return block;
}

#endif
