/*
 * rows.c: which benches run, with which arguments.
 *
 * Arguments are chosen so that the fastest allocator needs about a second and the whole table with
 * five variants and seven rounds stays below fifteen minutes on two CPUs; the quick ones below
 * four. mid_large_8x40000 has the arguments of the project's history and is shorter than a second.
 */
#include "runner.h"

const struct row all_rows[] = {
    {"mixed_400", "bench_random_mixed", "200000000 400 42", "20000000 400 42", ROW_ONE_THREAD},
    {"mixed_8000", "bench_random_mixed", "100000000 8000 42", "20000000 8000 42", ROW_ONE_THREAD},
    {"mixed_100000", "bench_random_mixed", "60000000 100000 42", "10000000 100000 42",
     ROW_ONE_THREAD},
    {"fixed_128", "bench_fixed_size", "128 200000000 128", "128 20000000 128", ROW_ONE_THREAD},
    {"fixed_256", "bench_fixed_size", "256 200000000 128", "256 20000000 128", ROW_ONE_THREAD},
    {"fixed_512", "bench_fixed_size", "512 200000000 128", "512 20000000 128", ROW_ONE_THREAD},
    {"fixed_1024", "bench_fixed_size", "1024 200000000 128", "1024 20000000 128", ROW_ONE_THREAD},
    {"c6_heavy", "bench_c6_heavy", "200000000 400 42", "20000000 400 42", ROW_ONE_THREAD},
    {"mid_large_8x40000", "bench_mid_large_mt", "8 40000 2048 42", "8 40000 2048 42", 0},
    {"mid_large_8", "bench_mid_large_mt", "8 1600000 2048 42", "8 200000 2048 42", 0},
    {"pool_tls_4", "bench_pool_tls", "4 4000000 256 42", "4 600000 256 42", 0},
    {"larson_8", "bench_larson", "1.5 8 1000 5000 100 4141 8", "0.5 8 1000 5000 100 4141 8", 0},
    {"xthread_1_1", "bench_xthread", "1 1 1.5 16 1024", "1 1 0.5 16 1024", 0},
    {"xthread_2_2", "bench_xthread", "2 2 1.5 16 1024", "2 2 0.5 16 1024", 0},
    {"nothing", "bench_nothing", "", "", ROW_MEMORY_ONLY},
};
const unsigned all_row_count = sizeof all_rows / sizeof all_rows[0];

_Static_assert(sizeof all_rows / sizeof all_rows[0] <= MAX_ROWS,
               "struct comparison holds MAX_ROWS");

#define METRIC_INFO(id, name, key) {name, key},
const struct metric_info metrics[METRIC_COUNT] = {METRIC_TABLE(METRIC_INFO)};
