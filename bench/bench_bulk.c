/*
 * bench_bulk ROUNDS COUNT SIZE: many mallocs, then as many frees; made for counting instructions.
 *
 * ROUNDS times (100): COUNT blocks (1000) of SIZE bytes (64) are allocated, then freed in the same
 * order. Blocks are not touched, so that a round costs what malloc, free, the loop and the PLT
 * cost. The difference of two runs with other ROUNDS is free of start-up; the same difference under
 * libnullmalloc.so is the loop and the PLT. An operation is one malloc or one free.
 */
#include "bench_report.h"

static void bulk_round(void **blocks, size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++)
        blocks[i] = malloc(bytes);
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
}

int main(int argc, char **argv)
{
    struct bench_report report = {.name = "bench_bulk"};
    uint64_t rounds = bench_arg(argc, argv, 1, 100, 1, UINT64_C(1) << 32);
    size_t count = bench_arg(argc, argv, 2, 1000, 1, UINT64_C(1) << 28);
    size_t bytes = bench_arg(argc, argv, 3, 64, 0, UINT64_C(1) << 30);
    void **blocks = bench_table(count, sizeof *blocks);
    uint64_t start_ns = bench_now_ns();
    for (uint64_t i = 0; i < rounds; i++)
        bulk_round(blocks, count, bytes);
    report.seconds = (double)(bench_now_ns() - start_ns) * 1e-9;
    report.ops = 2 * rounds * count;
    report.live = bench_memory_now();
    report.after = report.live;
    bench_print(&report);
    return 0;
}
