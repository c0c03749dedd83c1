/*
 * bench_larson SECONDS MIN MAX CHUNKS ROUNDS SEED THREADS: a server whose threads come and go.
 *
 * The main thread fills the tables of THREADS lanes (8) with CHUNKS blocks each (5000) of MIN..MAX
 * bytes (8..1000), dealt round-robin so that neighbours in memory lie in different lanes. Each lane
 * then replaces random blocks of its table for SECONDS (2): free one, allocate another. After
 * CHUNKS * ROUNDS replacements (ROUNDS 100) the lane's thread hands its table to a new thread and
 * ends, so blocks are freed by threads that did not allocate them. SEED (4141).
 * An operation is one malloc or one free.
 */
#include "bench_threads.h"

struct larson_load {
    double seconds;
    uint32_t min_bytes, max_bytes;
    uint32_t chunks;
    uint64_t rounds;
    uint64_t seed;
    unsigned lanes;
};

static struct larson_load load;
static struct bench_gate gate;
static _Atomic bool stop;           /* [main] ends every lane */
static _Atomic unsigned lanes_done; /* [lane, atomic] */

/* One table and the threads that serve it one after another. [the serving thread] */
static struct larson_lane {
    _Alignas(64) void **blocks;
    struct bench_rng slot_rng, size_rng;
    uint64_t replaced;
    uint64_t end_ns;
    pthread_t id;       /* the serving thread */
    pthread_t previous; /* the thread before it, joined by it */
    bool has_previous;
} lanes[BENCH_MAX_THREADS];

static void lane_replace(struct larson_lane *lane)
{
    uint64_t turns = load.chunks * load.rounds;
    uint64_t done = 0;
    /* relaxed: only a signal, nothing is read through it. */
    while (done < turns && !atomic_load_explicit(&stop, memory_order_relaxed)) {
        void **slot = &lane->blocks[rng_below(&lane->slot_rng, load.chunks)];
        free(*slot);
        *slot = bench_block(rng_size(&lane->size_rng, load.min_bytes, load.max_bytes));
        done++;
    }
    lane->replaced += done;
}

static void *lane_body(void *argument)
{
    struct larson_lane *lane = argument;
    if (lane->has_previous)
        bench_thread_join(lane->previous);
    else
        gate_wait(&gate);
    lane->previous = pthread_self();
    lane->has_previous = true;
    lane_replace(lane);
    /* relaxed: only a signal. */
    if (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        pthread_t next;
        bench_thread_start(&next, lane_body, lane);
        return NULL;
    }
    lane->end_ns = bench_now_ns();
    lane->id = pthread_self();
    /* release: pairs with the acquire in main; makes the lane's counters and its last id visible.
     */
    atomic_fetch_add_explicit(&lanes_done, 1, memory_order_release);
    return NULL;
}

static void lanes_fill(void)
{
    struct bench_rng size_rng = rng_seeded(load.seed, 0);
    for (unsigned i = 0; i < load.lanes; i++) {
        lanes[i].blocks = bench_table(load.chunks, sizeof(void *));
        lanes[i].slot_rng = rng_seeded(load.seed, 2 * (uint64_t)i + 1);
        lanes[i].size_rng = rng_seeded(load.seed, 2 * (uint64_t)i + 2);
    }
    for (uint32_t chunk = 0; chunk < load.chunks; chunk++)
        for (unsigned i = 0; i < load.lanes; i++)
            lanes[i].blocks[chunk] =
                bench_block(rng_size(&size_rng, load.min_bytes, load.max_bytes));
}

static void lanes_clear(void)
{
    for (unsigned i = 0; i < load.lanes; i++)
        for (uint32_t chunk = 0; chunk < load.chunks; chunk++)
            free(lanes[i].blocks[chunk]);
}

static void lanes_run(struct bench_report *report)
{
    uint64_t start_ns;
    uint64_t end_ns = 0;
    for (unsigned i = 0; i < load.lanes; i++)
        bench_thread_start(&lanes[i].id, lane_body, &lanes[i]);
    gate_open(&gate, load.lanes, &start_ns);
    bench_sleep_ns((long)(load.seconds * 1e9));
    /* relaxed: only a signal. */
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    /* acquire: pairs with the release in lane_body. */
    while (atomic_load_explicit(&lanes_done, memory_order_acquire) < load.lanes)
        bench_sleep_ns(200000);
    for (unsigned i = 0; i < load.lanes; i++) {
        bench_thread_join(lanes[i].id);
        report->ops += 2 * lanes[i].replaced;
        if (lanes[i].end_ns > end_ns)
            end_ns = lanes[i].end_ns;
    }
    report->seconds = (double)(end_ns - start_ns) * 1e-9;
}

int main(int argc, char **argv)
{
    struct bench_report report = {.name = "bench_larson"};
    load.seconds = bench_arg_real(argc, argv, 1, 2, 0.01, 3600);
    load.min_bytes = (uint32_t)bench_arg(argc, argv, 2, 8, 1, 1u << 30);
    load.max_bytes = (uint32_t)bench_arg(argc, argv, 3, 1000, load.min_bytes, 1u << 30);
    load.chunks = (uint32_t)bench_arg(argc, argv, 4, 5000, 1, 1u << 28);
    load.rounds = bench_arg(argc, argv, 5, 100, 1, UINT64_C(1) << 32);
    load.seed = bench_arg(argc, argv, 6, 4141, 0, UINT64_MAX);
    load.lanes = (unsigned)bench_arg(argc, argv, 7, 8, 1, BENCH_MAX_THREADS);
    lanes_fill();
    lanes_run(&report);
    report.live = bench_memory_now();
    lanes_clear();
    report.after = bench_memory_now();
    bench_print(&report);
    return 0;
}
