/*
 * rows.h: what is measured: metrics, and the benches that give them.
 *
 * Owner: constant, but for the names of the user's rows, which main() fills in. One thread.
 */
#ifndef HAK_BENCH_ROWS_H
#define HAK_BENCH_ROWS_H

#include <stdbool.h>

/* Each kind of run gives metrics of its own: single calls are timed, or counted by strace, apart.
 */
enum run_kind { RUN_TIMED, RUN_LATENCY, RUN_CALLS, RUN_KINDS };

/* name in CSV and JSON, key in a bench's own JSON line ("" where the runner itself measures), and
 * the runs that give it */
#define METRIC_TABLE(X)                                                                            \
    X(METRIC_NS_PER_OP, "ns_per_op", "ns_per_op", RUN_TIMED)                                       \
    X(METRIC_OPS, "ops", "ops", RUN_TIMED)                                                         \
    X(METRIC_SECONDS, "seconds", "seconds", RUN_TIMED)                                             \
    X(METRIC_PEAK_KB, "peak_rss_kb", "peak_rss_kb", RUN_TIMED)                                     \
    X(METRIC_AFTER_KB, "after_rss_kb", "after_rss_kb", RUN_TIMED)                                  \
    X(METRIC_HUGETLB_KB, "hugetlb_kb", "hugetlb_kb", RUN_TIMED)                                    \
    X(METRIC_THP_KB, "thp_kb", "thp_kb", RUN_TIMED)                                                \
    X(METRIC_VMAS, "vmas", "vmas", RUN_TIMED)                                                      \
    X(METRIC_BLOCKS_PER_S, "blocks_per_s", "blocks_per_s", RUN_TIMED)                              \
    X(METRIC_WALL_S, "wall_s", "", RUN_TIMED)                                                      \
    X(METRIC_MAXRSS_KB, "maxrss_kb", "", RUN_TIMED)                                                \
    X(METRIC_MINOR_FAULTS, "minor_faults", "", RUN_TIMED)                                          \
    X(METRIC_USER_S, "user_s", "", RUN_TIMED)                                                      \
    X(METRIC_SYSTEM_S, "system_s", "", RUN_TIMED)                                                  \
    X(METRIC_P50_NS, "latency_p50_ns", "latency_p50_ns", RUN_LATENCY)                              \
    X(METRIC_P99_NS, "latency_p99_ns", "latency_p99_ns", RUN_LATENCY)                              \
    X(METRIC_P999_NS, "latency_p999_ns", "latency_p999_ns", RUN_LATENCY)                           \
    X(METRIC_MAX_NS, "latency_max_ns", "latency_max_ns", RUN_LATENCY)                              \
    X(METRIC_CLOCK_NS, "latency_clock_ns", "latency_clock_ns", RUN_LATENCY)                        \
    X(METRIC_MEMORY_CALLS, "memory_calls", "", RUN_CALLS)                                          \
    X(METRIC_FUTEX_CALLS, "futex_calls", "", RUN_CALLS)

#define METRIC_ENUM(id, name, key, run) id,
enum metric { METRIC_TABLE(METRIC_ENUM) METRIC_COUNT };

struct metric_info {
    const char *name, *key;
    enum run_kind run;
};
extern const struct metric_info metrics[METRIC_COUNT];

enum row_flag {
    ROW_MEMORY_ONLY = 1, /* its time means nothing: in no table of speeds */
    ROW_ONE_THREAD = 2,  /* --pin ties it to one CPU */
    ROW_AB_ONLY = 4,     /* runs with --ab or when --only names it */
    ROW_PROGRAM = 8,     /* any program: it reports nothing, the runner measures it */
    ROW_TRACE = 16,      /* a recorded trace */
    ROW_HEALTH = 32,     /* one of the health profiles */
    ROW_HUGE = 128,      /* runs with --huge or when --only names it */
    ROW_NAMED = 256,     /* runs when --only names it: it has an allocator of its own */
    ROW_BY_TIME = 64,    /* repeats its iterations for two seconds unless --quick */
};

struct row {
    const char *name, *program;
    const char *arguments, *quick_arguments; /* the latter NULL: the same */
    unsigned flags;
};
extern const struct row all_rows[];
extern const unsigned all_row_count; /* without the last two, which are the user's */
#define TRACE_ROUNDS "5"             /* of a trace, in each run */
const char *row_arguments(const struct row *row, bool quick);
/* Each names its row and gives its index; argv ends with NULL. */
unsigned trace_row_fill(const char *path);
unsigned program_row_fill(const char *const *argv);

#endif
