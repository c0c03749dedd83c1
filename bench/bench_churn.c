/*
 * bench_churn THREADS LIFETIME_OPS SECONDS SEED: threads that live for a short while.
 *
 * THREADS lanes (4) for SECONDS (2), each with one thread at a time. A thread fills a table of 200
 * blocks of 16..1024 bytes, replaces random ones, frees all, and starts the thread that follows it;
 * in its life it does LIFETIME_OPS operations (20000). Sizes and order are of SEED (42). The clock
 * runs until the last thread of each lane has ended and holds what it costs to start and to end a
 * thread; threads/s stand in the JSON. An operation is one malloc or one free.
 */
#include "bench_relay.h"
#include "bench_slot_table.h"

enum { TABLE_BLOCKS = 200 };

static struct slot_load load; /* iters: what is left of a life between filling and freeing */
static struct bench_relay relay;

/* [the lane's serving thread] */
static struct churn_lane {
    _Alignas(64) struct slot_table table;
} lanes[BENCH_MAX_THREADS];

static void lane_serve(unsigned idx)
{
    struct slot_table *table = &lanes[idx].table;
    slots_fill(&load, table);
    slots_visit(&load, table, idx);
    slots_clear(&load, table);
}

int main(int argc, char **argv)
{
    struct bench_report report = {.name = "bench_churn"};
    uint64_t most = UINT64_C(1) << 40;
    relay.lanes = (unsigned)bench_arg(argc, argv, 1, 4, 1, BENCH_MAX_THREADS);
    uint64_t life = bench_arg(argc, argv, 2, 20000, 2 * TABLE_BLOCKS, most) / 2 * 2;
    double seconds = bench_arg_real(argc, argv, 3, 2, 0.01, 3600);
    load.seed = bench_arg(argc, argv, 4, 42, 0, UINT64_MAX);
    load.slots = TABLE_BLOCKS;
    load.iters = life - 2 * TABLE_BLOCKS;
    load.min_bytes = 16;
    load.max_bytes = 1024;
    relay.serve = lane_serve;
    for (unsigned i = 0; i < relay.lanes; i++) {
        slots_open(&load, &lanes[i].table, i);
        calls_sample(&lanes[i].table.calls, true);
    }
    relay_run(&relay, seconds, &report);
    for (unsigned i = 0; i < relay.lanes; i++)
        calls_report(&lanes[i].table.calls, &report);
    report.ops = report.threads * life;
    report.after = bench_memory_now();
    bench_print(&report);
    return 0;
}
