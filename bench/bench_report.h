/*
 * bench_report.h: what a workload says in the end: times, memory and who served its malloc.
 *
 * The first line is `name ops ns_per_op ops_per_s`, the second one flat JSON object, which is what
 * bench_runner reads. Add keys freely; never rename one. A key of what was not measured is absent.
 *
 * Owner: main(), which is also the only thread that calls what is here.
 */
#ifndef HAK_BENCH_REPORT_H
#define HAK_BENCH_REPORT_H

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include "bench.h"
#include "bench_latency.h"

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
    long vmas;                 /* with the blocks live, lines of maps; 0: not read */
    long thp_kb;               /* transparent huge pages, if vmas was read */
    uint64_t blocks;           /* blocks handed from thread to thread; 0: not that kind of bench */
    uint64_t threads; /* threads that lived while the clock ran; 0: not that kind of bench */
    struct bench_latency *latency; /* NULL: not sampled */
    bool verify;                   /* blocks were checked */
    uint64_t verified;             /* how many */
};

static inline long bench_status_kb(const char *status, const char *key)
{
    const char *line = strstr(status, key);
    return line == NULL ? 0 : strtol(line + strlen(key), NULL, 10);
}

/* The beginning of a small file as text; empty if it cannot be read. */
static inline void bench_file_read(const char *path, char *text, size_t text_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, text_bytes - 1);
    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
}

static inline long bench_line_count(const char *path)
{
    char part[4096];
    long lines = 0;
    ssize_t length;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && (length = read(fd, part, sizeof part)) > 0)
        for (ssize_t i = 0; i < length; i++)
            lines += part[i] == '\n';
    if (fd >= 0)
        close(fd);
    return lines;
}

static inline struct bench_memory bench_memory_now(void)
{
    char status[4096];
    bench_file_read("/proc/self/status", status, sizeof status);
    return (struct bench_memory){
        .peak_kb = bench_status_kb(status, "\nVmHWM:"),
        .rss_kb = bench_status_kb(status, "\nVmRSS:"),
        .hugetlb_kb = bench_status_kb(status, "\nHugetlbPages:"),
    };
}

/* Memory and mappings while the blocks are live. The clock must have stopped: the kernel walks the
 * whole address space. */
static inline void bench_live_read(struct bench_report *report)
{
    char rollup[2048];
    report->live = bench_memory_now();
    bench_file_read("/proc/self/smaps_rollup", rollup, sizeof rollup);
    report->thp_kb = bench_status_kb(rollup, "\nAnonHugePages:");
    report->vmas = bench_line_count("/proc/self/maps");
}

/* The file that serves this program's malloc, so that a preload that did not load is noticed. */
static inline const char *bench_malloc_file(void)
{
    Dl_info info;
    void *address = dlsym(RTLD_DEFAULT, "malloc");
    if (address == NULL || dladdr(address, &info) == 0 || info.dli_fname == NULL)
        return "?";
    return info.dli_fname;
}

/* What two readings of the clock cost at least. */
static inline uint64_t bench_clock_ns(void)
{
    uint64_t least_ns = UINT64_MAX;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t start_ns = bench_now_ns();
        uint64_t ns = bench_now_ns() - start_ns;
        least_ns = ns < least_ns ? ns : least_ns;
    }
    return least_ns;
}

/* Keys that not every run has. */
static inline void bench_print_more(const struct bench_report *report)
{
    if (report->vmas != 0)
        printf("\"vmas\":%ld,\"thp_kb\":%ld,", report->vmas, report->thp_kb);
    if (report->blocks != 0)
        printf("\"blocks_per_s\":%.0f,", (double)report->blocks / report->seconds);
    if (report->threads != 0)
        printf("\"threads_per_s\":%.0f,", (double)report->threads / report->seconds);
    if (report->latency != NULL)
        latency_print(report->latency, bench_clock_ns());
    if (report->verify)
        printf("\"verified\":%" PRIu64 ",", report->verified);
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
    bench_print_more(report);
    printf("\"malloc\":\"%s\"}\n", bench_malloc_file());
}

#endif
