/*
 * bench_slots.h: the workload behind most programs here: a table of slots, visited at random.
 *
 * Each slot holds a block. A visit frees it and puts a new one of random size in its place: two
 * operations, one free and one malloc. Which slot and which size come from two unrelated streams,
 * so a change of the size range does not change the order of visits. The clock covers the visits
 * only: threads exist and tables are full before, and are cleared after.
 *
 * A visit that either allocates or frees, by what it finds in the slot, was tried: that branch
 * cannot be predicted and costs 7..9 ns an operation, more than malloc does, whichever allocator
 * runs.
 *
 * Owner: each worker has its own table and streams; the main thread owns the shared counters.
 */
#ifndef HAK_BENCH_SLOTS_H
#define HAK_BENCH_SLOTS_H

#include "bench_threads.h"

struct slot_load {
    const char *name;
    unsigned threads; /* 0: on the main thread, in a process that never had another */
    uint64_t iters;   /* operations of each thread, in pairs: an odd one is left out */
    uint32_t slots;   /* slots of each thread, all full while the clock runs */
    uint64_t seed;
    uint32_t min_bytes, max_bytes;
};

struct slot_shared {
    const struct slot_load *load;
    struct bench_gate gate;
    _Atomic unsigned visited; /* [worker, atomic] workers whose visits are done */
    _Atomic bool clear;       /* [main] tables may be cleared */
};

struct slot_worker {
    _Alignas(64) struct slot_shared *shared;
    unsigned idx;
    uint64_t end_ns; /* [worker] read by main after `visited` */
    pthread_t id;
};

struct slot_table {
    void **slots;
    struct bench_rng slot_rng, size_rng;
};

static inline void slots_fill(const struct slot_load *load, struct slot_table *table,
                              unsigned worker)
{
    table->slots = bench_table(load->slots, sizeof(void *));
    table->slot_rng = rng_seeded(load->seed, 2 * (uint64_t)worker);
    table->size_rng = rng_seeded(load->seed, 2 * (uint64_t)worker + 1);
    for (uint32_t i = 0; i < load->slots; i++)
        table->slots[i] = bench_block(rng_size(&table->size_rng, load->min_bytes, load->max_bytes));
}

static inline void slots_visit(const struct slot_load *load, struct slot_table *table)
{
    for (uint64_t i = 0; i < load->iters / 2; i++) {
        void **slot = &table->slots[rng_below(&table->slot_rng, load->slots)];
        free(*slot);
        *slot = bench_block(rng_size(&table->size_rng, load->min_bytes, load->max_bytes));
    }
}

static inline void slots_clear(const struct slot_load *load, struct slot_table *table)
{
    for (uint32_t i = 0; i < load->slots; i++)
        free(table->slots[i]);
}

static inline void *slot_worker_body(void *argument)
{
    struct slot_worker *worker = argument;
    struct slot_shared *shared = worker->shared;
    struct slot_table table;
    slots_fill(shared->load, &table, worker->idx);
    gate_wait(&shared->gate);
    slots_visit(shared->load, &table);
    worker->end_ns = bench_now_ns();
    /* release: pairs with the acquire in slot_load_threads; makes end_ns visible. */
    atomic_fetch_add_explicit(&shared->visited, 1, memory_order_release);
    /* relaxed: only a signal, nothing is read through it. */
    while (!atomic_load_explicit(&shared->clear, memory_order_relaxed))
        bench_sleep_ns(200000);
    slots_clear(shared->load, &table);
    return NULL;
}

static inline void slot_load_threads(const struct slot_load *load, struct bench_report *report)
{
    static struct slot_worker workers[BENCH_MAX_THREADS];
    static struct slot_shared shared;
    uint64_t start_ns;
    uint64_t end_ns = 0;
    shared.load = load;
    for (unsigned i = 0; i < load->threads; i++) {
        workers[i].shared = &shared;
        workers[i].idx = i;
        bench_thread_start(&workers[i].id, slot_worker_body, &workers[i]);
    }
    gate_open(&shared.gate, load->threads, &start_ns);
    /* acquire: pairs with the release in slot_worker_body. */
    while (atomic_load_explicit(&shared.visited, memory_order_acquire) < load->threads)
        bench_sleep_ns(500000);
    report->live = bench_memory_now();
    /* relaxed: see slot_worker_body. */
    atomic_store_explicit(&shared.clear, true, memory_order_relaxed);
    for (unsigned i = 0; i < load->threads; i++) {
        bench_thread_join(workers[i].id);
        if (workers[i].end_ns > end_ns)
            end_ns = workers[i].end_ns;
    }
    report->seconds = (double)(end_ns - start_ns) * 1e-9;
}

static inline void slot_load_single(const struct slot_load *load, struct bench_report *report)
{
    struct slot_table table;
    slots_fill(load, &table, 0);
    uint64_t start_ns = bench_now_ns();
    slots_visit(load, &table);
    report->seconds = (double)(bench_now_ns() - start_ns) * 1e-9;
    report->live = bench_memory_now();
    slots_clear(load, &table);
}

/* Runs the load and prints its report. */
static inline int slot_load_run(const struct slot_load *load)
{
    struct bench_report report = {.name = load->name};
    if (load->threads == 0)
        slot_load_single(load, &report);
    else
        slot_load_threads(load, &report);
    report.ops = load->iters / 2 * 2 * (load->threads == 0 ? 1 : load->threads);
    report.after = bench_memory_now();
    bench_print(&report);
    return 0;
}

#endif
