/*
 * bench_larson SECONDS MIN MAX CHUNKS ROUNDS SEED THREADS: a server whose threads come and go.
 *
 * The main thread fills the tables of THREADS lanes (8) with CHUNKS blocks each (5000) of MIN..MAX
 * bytes (8..1000), dealt round-robin so that neighbours in memory lie in different lanes. Each lane
 * then replaces random blocks of its table for SECONDS (2): free one, allocate another. After
 * CHUNKS * ROUNDS replacements (ROUNDS 100) the lane's thread hands its table to a new thread and
 * ends, so blocks are freed by threads that did not allocate them. SEED (4141).
 * An operation is one malloc or one free.
 *
 * A new thread waits until the one before it has gone, and asks for that every 100 us, which is
 * some 150 us with the kernel's slack: its lane rests that long at each hand-over. For this to be 1
 * % of the figure at most, where no other lane takes the processor over, a thread must work for 15
 * ms: CHUNKS * ROUNDS of 400000 at least, at 40 ns a replacement. Below that the poll is in the
 * figure, and says nothing of malloc. The default is 500000.
 */
#include "bench_relay.h"
#include "bench_slot_table.h"

static struct slot_load load;
static uint64_t thread_visits; /* after which a lane's thread gives way to the next */
static struct bench_relay relay;

/* [the lane's serving thread] */
static struct larson_lane {
    _Alignas(64) struct slot_table table;
    uint64_t replaced;
} lanes[BENCH_MAX_THREADS];

static void lane_serve(unsigned idx)
{
    struct larson_lane *lane = &lanes[idx];
    uint64_t done = 0;
    lane_settle(&relay.lane[idx]);
    calls_sample(&lane->table.calls, true);
    while (done < thread_visits && !relay_stopped(&relay)) {
        slot_visit(&load, &lane->table);
        done++;
    }
    lane->replaced += done;
}

static void lanes_fill(void)
{
    for (unsigned i = 0; i < relay.lanes; i++)
        slots_open(&load, &lanes[i].table, i);
    for (uint32_t chunk = 0; chunk < load.slots; chunk++)
        for (unsigned i = 0; i < relay.lanes; i++)
            slot_put(&load, &lanes[i].table, chunk);
}

static void lanes_clear(struct bench_report *report)
{
    for (unsigned i = 0; i < relay.lanes; i++) {
        calls_sample(&lanes[i].table.calls, false);
        slots_clear(&load, &lanes[i].table);
        calls_report(&lanes[i].table.calls, report);
        report->ops += 2 * lanes[i].replaced;
    }
}

int main(int argc, char **argv)
{
    struct bench_report report = {.name = "bench_larson"};
    double seconds = bench_arg_real(argc, argv, 1, 2, 0.01, 3600);
    load.min_bytes = (uint32_t)bench_arg(argc, argv, 2, 8, 1, 1u << 30);
    load.max_bytes = (uint32_t)bench_arg(argc, argv, 3, 1000, load.min_bytes, 1u << 30);
    load.slots = (uint32_t)bench_arg(argc, argv, 4, 5000, 1, 1u << 28);
    thread_visits = load.slots * bench_arg(argc, argv, 5, 100, 1, UINT64_C(1) << 32);
    load.seed = bench_arg(argc, argv, 6, 4141, 0, UINT64_MAX);
    relay.lanes = (unsigned)bench_arg(argc, argv, 7, 8, 1, BENCH_MAX_THREADS);
    relay.serve = lane_serve;
    lanes_fill();
    relay_run(&relay, seconds, &report);
    bench_live_read(&report);
    lanes_clear(&report);
    report.after = bench_memory_now();
    bench_print(&report);
    return 0;
}
