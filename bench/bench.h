/*
 * bench.h: what every workload shares: clock, arguments, memory figures, report.
 *
 * Owner: each program includes it once; nothing here outlives main().
 * Threads: bench_now_ns, bench_sleep_ns, bench_table and bench_block by any, the rest by main().
 *
 * No helper here calls malloc before the report is printed, so that a workload's figures are those
 * of its own blocks. An operation is one malloc or one free, in every workload.
 *
 * Report: first line `name ops ns_per_op ops_per_s`, second line one flat JSON object, which is
 * what bench_runner reads. Add keys freely; never rename one.
 */
#ifndef HAK_BENCH_H
#define HAK_BENCH_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench_random.h"

/* Resident memory of this process in KiB; hugetlb pages are not part of VmRSS and stand apart. */
struct bench_memory {
    long peak_kb;    /* VmHWM */
    long rss_kb;     /* VmRSS */
    long hugetlb_kb; /* HugetlbPages */
};

struct bench_report {
    const char *name;
    uint64_t ops;
    double seconds;
    struct bench_memory live;  /* when the clock stopped, blocks still held */
    struct bench_memory after; /* when every block was freed and every worker joined */
    uint64_t blocks;           /* blocks handed from thread to thread; 0: not that kind of bench */
};

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

/* ---- memory ---- */

/* Zeroed memory for the workload's own tables, apart from the heap that is measured. */
static inline void *bench_table(size_t count, size_t item_bytes)
{
    void *table =
        mmap(NULL, count * item_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (table == MAP_FAILED)
        bench_die("mmap");
    return table;
}

/* A block with its first and last byte written. */
static inline void *bench_block(size_t bytes)
{
    unsigned char *block = malloc(bytes);
    if (block == NULL)
        bench_die("malloc");
    block[0] = (unsigned char)bytes;
    block[bytes - 1] = (unsigned char)bytes;
    return block;
}

static inline long bench_status_kb(const char *status, const char *key)
{
    const char *line = strstr(status, key);
    return line == NULL ? 0 : strtol(line + strlen(key), NULL, 10);
}

static inline struct bench_memory bench_memory_now(void)
{
    struct bench_memory memory = {0, 0, 0};
    char status[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, status, sizeof status - 1);
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return memory;
    status[length] = '\0';
    memory.peak_kb = bench_status_kb(status, "\nVmHWM:");
    memory.rss_kb = bench_status_kb(status, "\nVmRSS:");
    memory.hugetlb_kb = bench_status_kb(status, "\nHugetlbPages:");
    return memory;
}

/* ---- report ---- */

/* The file that serves this program's malloc, so that a preload that did not load is noticed. */
static inline const char *bench_malloc_file(void)
{
    Dl_info info;
    void *address = dlsym(RTLD_DEFAULT, "malloc");
    if (address == NULL || dladdr(address, &info) == 0 || info.dli_fname == NULL)
        return "?";
    return info.dli_fname;
}

static inline void bench_print(const struct bench_report *report)
{
    double ns = report->ops == 0 ? 0.0 : report->seconds * 1e9 / (double)report->ops;
    double rate = report->seconds > 0.0 ? (double)report->ops / report->seconds : 0.0;
    long huge = report->live.hugetlb_kb > report->after.hugetlb_kb ? report->live.hugetlb_kb
                                                                   : report->after.hugetlb_kb;
    printf("%s %" PRIu64 " %.3f %.0f\n", report->name, report->ops, ns, rate);
    printf("{\"bench\":\"%s\",\"ops\":%" PRIu64
           ",\"seconds\":%.6f,\"ns_per_op\":%.4f,\"peak_rss_kb\":%ld,"
           "\"after_rss_kb\":%ld,\"hugetlb_kb\":%ld,",
           report->name, report->ops, report->seconds, ns, report->after.peak_kb + huge,
           report->after.rss_kb + report->after.hugetlb_kb, huge);
    if (report->blocks != 0)
        printf("\"blocks_per_s\":%.0f,", (double)report->blocks / report->seconds);
    printf("\"malloc\":\"%s\"}\n", bench_malloc_file());
}

#endif
