/*
 * runner.h: the types of bench_runner: benches, variants, samples, and what is made of them.
 *
 * Owner: main() holds one struct comparison; every module works on it. One thread.
 *
 * A figure that was not measured is NAN and is printed as `-` or null, never as zero.
 * A new metric is one line of METRIC_TABLE in rows.h; a new bench one line of the table in rows.c.
 */
#ifndef HAK_BENCH_RUNNER_H
#define HAK_BENCH_RUNNER_H

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "launch.h"
#include "options.h"
#include "rows.h"
#include "samples.h"

enum {
    MAX_ROWS = 64,
    MAX_VARIANTS = 16,
    MAX_ROUNDS = 1000,
    MAX_ARGUMENTS = 32,
    NAME_BYTES = 48,
};

enum variant_kind {
    VARIANT_GLIBC,  /* no preload: what ratios refer to */
    VARIANT_HAKMEM, /* ours, what the targets are for */
    VARIANT_PEER,   /* another allocator's package */
    VARIANT_OTHER,  /* ours in another form, or the user's */
};

struct variant {
    char name[NAME_BYTES];
    char library[PATH_MAX]; /* "": none is preloaded */
    const char *settings;   /* of its environment, with spaces between; NULL: none */
    enum variant_kind kind;
    bool present;
    bool wanted; /* in this run, if present */
};

/* One run of one bench under one variant. */
struct sample {
    unsigned row, variant, round;
    enum run_kind run;
    bool ok;
    char reason[REASON_BYTES]; /* why not ok */
    double value[METRIC_COUNT];
};

/* All samples of one bench under one variant. */
struct cell {
    unsigned samples, failed;  /* samples: of timed runs; failed: of any */
    char reason[REASON_BYTES]; /* of the first failure */
    double median[METRIC_COUNT];
    double min[METRIC_COUNT], max[METRIC_COUNT];
};

/* System calls of a program and all its threads and children. */
struct call_counts {
    double memory, futex;
    char by_name[REASON_BYTES]; /* those for memory; or why nothing was counted */
};

/* Counted by other tools, one set a variant; NAN where the tool is missing. */
struct probe {
    double malloc_instructions, free_instructions; /* from the disassembly */
    double pair_instructions;                      /* from callgrind, 1000 mallocs, 1000 frees */
    struct call_counts calls;
    double mutex_acquisitions; /* pthread mutexes, by libcountmutexes.so */
    char reason[REASON_BYTES]; /* of the disassembly, when it found no path */
};

extern const struct probe probe_none; /* nothing was counted */

enum verdict { VERDICT_MET, VERDICT_MISSED, VERDICT_STATED, VERDICT_UNKNOWN };

struct target {
    char what[96];
    char wanted[48];
    char measured[1024];
    enum verdict verdict;
};

enum { MAX_TARGETS = 16 };

struct comparison {
    struct options options;
    char program_dir[PATH_MAX]; /* where this program and the benches are */
    unsigned rows[MAX_ROWS];    /* indices in all_rows */
    unsigned row_count;
    struct variant variants[MAX_VARIANTS];
    unsigned variant_count;
    struct sample *samples;
    unsigned sample_count;
    struct cell cells[MAX_ROWS][MAX_VARIANTS]; /* by position in rows */
    struct probe probes[MAX_VARIANTS];
    struct target targets[MAX_TARGETS];
    unsigned target_count;
    char commit[64];  /* of the tree, with a mark if files differ from it; "": no repository */
    bool interrupted; /* Ctrl-C: what was measured so far is reported */
};

/* ---- rows.c: single calls are timed in the benches alone, where time means anything ---- */
bool row_has_run(const struct comparison *s, unsigned row, enum run_kind run);

/* ---- variants.c ---- */
void variants_find(struct comparison *s);
/* "NAME=LIB.so"; replaces the variant of that name. */
bool variant_add(struct comparison *s, const char *definition);
/* Index, or -1 if it is absent or not in this run. */
int variant_index(const struct comparison *s, const char *name);
int variant_of_kind(const struct comparison *s, enum variant_kind kind);
/* Leaves only those that a list with commas names. */
bool variants_restrict(struct comparison *s, const char *names);
/* The A/A control: hakmem's library a second time. */
#define CONTROL_NAME "hakmem-again"
void variant_control_add(struct comparison *s);
bool variant_runs(const struct variant *variant);

/* ---- measure.c ---- */
void measure_all(struct comparison *s);

/* ---- calls.c ---- */
/* Whether strace is there and may trace; asked once. */
bool calls_countable(void);
/* Runs argv under strace; false, nothing counted and a reason, if that fails. */
bool calls_count(const char *library, const char *const *argv, double timeout_s,
                 struct call_counts *counts);

/* ---- stats.c ---- */
void cells_fill(struct comparison *s);
/* A cell's samples, unsorted; values holds MAX_ROUNDS. Their count. */
unsigned cell_values(const struct comparison *s, unsigned row, unsigned variant, enum metric metric,
                     double *values);
/* Throughput of `variant` over that of `base`; NAN where either is missing. */
double cell_speedup(const struct comparison *s, unsigned row, int variant, int base);
/* The packaged peer with the highest throughput or the least peak memory; -1: none measured. */
int best_peer(const struct comparison *s, unsigned row, enum metric metric);
/* As the base of a comparison: the best packaged peer of each bench. */
enum { BEST_PEER = -2 };
/* Of throughputs against base, which may be BEST_PEER. Counts the rows used. */
double speedup_geomean(const struct comparison *s, int variant, int base, unsigned *used);
/* NAN if this cell has none. */
double cell_median(const struct comparison *s, unsigned row, int variant, enum metric metric);
bool row_is_timed(const struct comparison *s, unsigned row);
/* What stands for a bench's own time and peak memory where the row is a program. */
enum metric row_metric(const struct comparison *s, unsigned row, enum metric metric);

/* ---- probes.c ---- */
void probes_run(struct comparison *s);

/* ---- targets.c ---- */
void targets_check(struct comparison *s);
extern const char *const verdict_names[];

/* ---- gates.c: prints a line for each; true if all are met ---- */
bool gates_check(const struct comparison *s, FILE *out);

/* ---- table.c, files.c, page.c ---- */
void table_print(const struct comparison *s, FILE *out);
/* "-" as a path of these two is standard output; what is for readers goes elsewhere then. */
bool csv_write(const struct comparison *s, const char *path);
bool json_write(const struct comparison *s, const char *path);
bool file_is_stdout(const char *path);
bool page_write(const struct comparison *s, const char *path);

#include "machine.h"

#endif
