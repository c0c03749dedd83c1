/*
 * rows.c: which benches run, with which arguments.
 *
 * Each measures for two seconds or more unless --quick: by repeating its iterations until then, or
 * with larger arguments. mid_large_8x40000 alone does what the project's history measured, which is
 * much shorter. A quick run takes 0.3 s on average, so that --ab --quick with four variants and six
 * rounds stays below five minutes.
 */
#include <string.h>

#include "runner.h"

enum { BY_TIME = ROW_BY_TIME | ROW_ONE_THREAD };
/* Of the user: what reports call them. They are run by options.trace and options.program. */
static char trace_name[NAME_BYTES], trace_path[PATH_MAX];
static char program_name[NAME_BYTES], program_path[PATH_MAX], program_arguments[1024];

const struct row all_rows[] = {
    {"mixed_400", "bench_random_mixed", "20000000 400 42", NULL, BY_TIME | ROW_HEALTH},
    {"mixed_8000", "bench_random_mixed", "10000000 8000 42", NULL, BY_TIME},
    {"mixed_100000", "bench_random_mixed", "5000000 100000 42", NULL, BY_TIME},
    {"fixed_128", "bench_fixed_size", "128 20000000 128", NULL, BY_TIME},
    {"fixed_256", "bench_fixed_size", "256 20000000 128", NULL, BY_TIME},
    {"fixed_512", "bench_fixed_size", "512 20000000 128", NULL, BY_TIME},
    {"fixed_1024", "bench_fixed_size", "1024 20000000 128", NULL, BY_TIME},
    {"c6_heavy", "bench_c6_heavy", "20000000 400 42", NULL, BY_TIME | ROW_HEALTH},
    {"mid_large_8x40000", "bench_mid_large_mt", "8 40000 2048 42", NULL, 0},
    {"mid_large_8", "bench_mid_large_mt", "8 200000 2048 42", NULL, ROW_BY_TIME},
    {"pool_tls_4", "bench_pool_tls", "4 600000 256 42", NULL, ROW_BY_TIME},
    {"larson_8", "bench_larson", "2 8 1000 5000 100 4141 8", "0.3 8 1000 5000 100 4141 8", 0},
    {"xthread_1_1", "bench_xthread", "1 1 2 16 1024", "1 1 0.3 16 1024", 0},
    {"xthread_2_2", "bench_xthread", "2 2 2 16 1024", "2 2 0.3 16 1024", 0},
    {"nothing", "bench_nothing", "", NULL, ROW_MEMORY_ONLY},
    {"fixed_16", "bench_fixed_size", "16 20000000 128", NULL, ROW_AB_ONLY | BY_TIME},
    {"fixed_32", "bench_fixed_size", "32 20000000 128", NULL, ROW_AB_ONLY | BY_TIME},
    {"fixed_64", "bench_fixed_size", "64 20000000 128", NULL, ROW_AB_ONLY | BY_TIME},
    {"app", "bench_app", "4000000 4000 42", NULL, ROW_AB_ONLY | BY_TIME},
    {"powers", "bench_powers", "1000000 400000 42", NULL, ROW_AB_ONLY | BY_TIME},
    {"remote_0", "bench_remote", "0 2 180000000 2000 42", "0 2 3000000 2000 42", ROW_AB_ONLY},
    {"remote_50", "bench_remote", "50 2 50000000 2000 42", "50 2 1000000 2000 42", ROW_AB_ONLY},
    {"remote_90", "bench_remote", "90 2 40000000 2000 42", "90 2 1000000 2000 42", ROW_AB_ONLY},
    {"burst", "bench_burst", "40 400000 120 42", "2 100000 120 42", ROW_AB_ONLY | ROW_ONE_THREAD},
    {"churn", "bench_churn", "4 20000 2 42", "4 20000 0.3 42", ROW_AB_ONLY},
    {"realloc", "bench_realloc", "140000 42", "1500 42", ROW_AB_ONLY | ROW_ONE_THREAD},
    {"large", "bench_large", "2000 20 42", NULL, ROW_AB_ONLY | BY_TIME},
    {"mixed_1m", "bench_random_mixed", "10000000 1000000 42", NULL, ROW_HUGE | BY_TIME},
    {"chase_1g", "bench_huge", "1024 20000000 42", "1024 5000000 42", ROW_HUGE | ROW_ONE_THREAD},
    {"inline_call_16", "bench_inline", "call 16 20000000 128", NULL, ROW_NAMED | BY_TIME},
    {"inline_line_16", "bench_inline", "inline 16 20000000 128", NULL, ROW_NAMED | BY_TIME},
    {"inline_sized_16", "bench_inline", "sized 16 20000000 128", NULL, ROW_NAMED | BY_TIME},
    {"inline_call_32", "bench_inline", "call 32 20000000 128", NULL, ROW_NAMED | BY_TIME},
    {"inline_line_32", "bench_inline", "inline 32 20000000 128", NULL, ROW_NAMED | BY_TIME},
    {"inline_sized_32", "bench_inline", "sized 32 20000000 128", NULL, ROW_NAMED | BY_TIME},
    {"inline_call_64", "bench_inline", "call 64 20000000 128", NULL, ROW_NAMED | BY_TIME},
    {"inline_line_64", "bench_inline", "inline 64 20000000 128", NULL, ROW_NAMED | BY_TIME},
    {"inline_sized_64", "bench_inline", "sized 64 20000000 128", NULL, ROW_NAMED | BY_TIME},
    /* The last two: a trace, and what stands behind `--`. */
    {trace_name, "bench_replay", trace_path, NULL, ROW_TRACE},
    {program_name, program_path, program_arguments, NULL, ROW_PROGRAM},
};
const unsigned all_row_count = sizeof all_rows / sizeof all_rows[0] - 2;

_Static_assert(sizeof all_rows / sizeof all_rows[0] - 2 <= MAX_ROWS,
               "struct comparison holds MAX_ROWS");

const char *row_arguments(const struct row *row, bool quick)
{
    return quick && row->quick_arguments != NULL ? row->quick_arguments : row->arguments;
}

bool row_has_run(const struct comparison *s, unsigned row, enum run_kind run)
{
    const unsigned without = ROW_MEMORY_ONLY | ROW_TRACE | ROW_PROGRAM;
    return run != RUN_LATENCY || (all_rows[s->rows[row]].flags & without) == 0;
}

/* Reports print names and arguments in one line. */
static void controls_replace(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ')
            *text = ' ';
}

unsigned trace_row_fill(const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(trace_name, sizeof trace_name, "%s", slash == NULL ? path : slash + 1);
    snprintf(trace_path, sizeof trace_path, "%.*s %s", (int)sizeof trace_path - 8, path,
             TRACE_ROUNDS);
    controls_replace(trace_name);
    return all_row_count;
}

unsigned program_row_fill(const char *const *argv)
{
    const char *slash = strrchr(argv[0], '/');
    snprintf(program_name, sizeof program_name, "%s", slash == NULL ? argv[0] : slash + 1);
    snprintf(program_path, sizeof program_path, "%s", argv[0]);
    size_t used = 0;
    for (unsigned i = 1; argv[i] != NULL && used < sizeof program_arguments - 1; i++)
        used += (size_t)snprintf(program_arguments + used, sizeof program_arguments - used, "%s%s",
                                 i > 1 ? " " : "", argv[i]);
    controls_replace(program_arguments);
    return all_row_count + 1;
}

#define METRIC_INFO(id, name, key, run) {name, key, run},
const struct metric_info metrics[METRIC_COUNT] = {METRIC_TABLE(METRIC_INFO)};
