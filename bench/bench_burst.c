/*
 * bench_burst ROUNDS BLOCKS IDLE_MS SEED: much memory at once, then none for a while.
 *
 * ROUNDS times (100) on one thread: BLOCKS blocks (100000) of 16..1024 bytes, sizes of SEED (42),
 * are allocated and then freed in the same order; then the program sleeps for IDLE_MS (50). The
 * clock stops while it sleeps. "after_rss_kb" is the memory after the last sleep. An operation is
 * one malloc or one free.
 */
#include "bench_slot_table.h"

int main(int argc, char **argv)
{
    struct bench_report report = {.name = "bench_burst"};
    struct slot_table table;
    uint64_t rounds = bench_arg(argc, argv, 1, 100, 1, UINT64_C(1) << 32);
    struct slot_load load = {
        .slots = (uint32_t)bench_arg(argc, argv, 2, 100000, 1, 1u << 28),
        .min_bytes = 16,
        .max_bytes = 1024,
    };
    uint64_t idle_ms = bench_arg(argc, argv, 3, 50, 0, 3600000);
    load.seed = bench_arg(argc, argv, 4, 42, 0, UINT64_MAX);
    slots_open(&load, &table, 0);
    calls_sample(&table.calls, true);
    uint64_t spent_ns = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t start_ns = bench_now_ns();
        slots_fill(&load, &table);
        if (i == rounds - 1) { /* without the clock */
            spent_ns += bench_now_ns() - start_ns;
            bench_live_read(&report);
            start_ns = bench_now_ns();
        }
        slots_clear(&load, &table);
        spent_ns += bench_now_ns() - start_ns;
        bench_sleep_ns((long)(idle_ms * 1000000));
    }
    report.ops = 2 * rounds * load.slots;
    report.seconds = (double)spent_ns * 1e-9;
    calls_report(&table.calls, &report);
    report.after = bench_memory_now();
    bench_print(&report);
    return 0;
}
