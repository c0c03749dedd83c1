/*
 * bench_slots.h: the run behind most programs here: tables of slots (bench_slot_table.h) that one
 * or several threads visit.
 *
 * The clock covers the visits only: threads exist and tables are full before, and are cleared
 * after. With BENCH_SECONDS=S in the environment each thread repeats its ITERS until S seconds have
 * passed, so that fast and slow allocators are measured for the same time.
 *
 * Owner: each worker has its own table and streams; the main thread owns the shared counters.
 */
#ifndef HAK_BENCH_SLOTS_H
#define HAK_BENCH_SLOTS_H

#include "bench_slot_table.h"
#include "bench_threads.h"

static inline uint64_t slots_least_ns(const struct slot_load *load)
{
    const char *const text[] = {"BENCH_SECONDS", getenv("BENCH_SECONDS")};
    bool repeats = text[1] != NULL && load->work == NULL; /* work of another kind ends by itself */
    return (uint64_t)(bench_arg_real(repeats ? 2 : 1, (char **)(uintptr_t)text, 1, 0, 0, 3600) *
                      1e9);
}

/* The part that the clock covers. */
static inline void slots_work(const struct slot_load *load, struct slot_table *table,
                              unsigned worker)
{
    uint64_t least_ns = slots_least_ns(load);
    uint64_t start_ns = bench_now_ns();
    calls_sample(&table->calls, true);
    do {
        if (load->work != NULL)
            load->work(load, table, worker);
        else
            slots_visit(load, table, worker);
        table->passes++;
    } while (bench_now_ns() - start_ns < least_ns);
    calls_sample(&table->calls, false);
}

/* Operations of a table whose visits are done. */
static inline uint64_t slots_ops(const struct slot_load *load, const struct slot_table *table)
{
    return load->iters / 2 * 2 * table->passes;
}

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
    struct slot_table table; /* [worker] read by main after it joined */
};

static inline void *slot_worker_body(void *argument)
{
    struct slot_worker *worker = argument;
    struct slot_shared *shared = worker->shared;
    struct slot_table *table = &worker->table;
    slots_open(shared->load, table, worker->idx);
    slots_fill(shared->load, table);
    gate_wait(&shared->gate);
    slots_work(shared->load, table, worker->idx);
    worker->end_ns = bench_now_ns();
    /* release: pairs with the acquire in slot_load_threads; makes end_ns visible. */
    atomic_fetch_add_explicit(&shared->visited, 1, memory_order_release);
    /* relaxed: only a signal, nothing is read through it. */
    while (!atomic_load_explicit(&shared->clear, memory_order_relaxed))
        bench_sleep_ns(200000);
    slots_clear(shared->load, table);
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
    bench_live_read(report);
    /* relaxed: see slot_worker_body. */
    atomic_store_explicit(&shared.clear, true, memory_order_relaxed);
    for (unsigned i = 0; i < load->threads; i++) {
        bench_thread_join(workers[i].id);
        calls_report(&workers[i].table.calls, report);
        report->ops += slots_ops(load, &workers[i].table);
        if (workers[i].end_ns > end_ns)
            end_ns = workers[i].end_ns;
    }
    report->seconds = (double)(end_ns - start_ns) * 1e-9;
}

static inline void slot_load_single(const struct slot_load *load, struct bench_report *report)
{
    struct slot_table table;
    slots_open(load, &table, 0);
    slots_fill(load, &table);
    uint64_t start_ns = bench_now_ns();
    slots_work(load, &table, 0);
    report->seconds = (double)(bench_now_ns() - start_ns) * 1e-9;
    report->ops = slots_ops(load, &table);
    bench_live_read(report);
    slots_clear(load, &table);
    calls_report(&table.calls, report);
}

/* Runs the load and prints its report. */
static inline int slot_load_run(const struct slot_load *load)
{
    struct bench_report report = {.name = load->name};
    if (load->threads == 0)
        slot_load_single(load, &report);
    else
        slot_load_threads(load, &report);
    report.after = bench_memory_now();
    bench_print(&report);
    return 0;
}

#endif
