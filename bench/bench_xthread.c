/*
 * bench_xthread PRODUCERS CONSUMERS SECONDS MIN MAX: blocks freed by another thread than allocated.
 *
 * PRODUCERS threads (1) allocate blocks of MIN..MAX bytes (16..1024) for SECONDS (2) and hand them
 * in batches of 64 through a bounded queue to CONSUMERS threads (1), which read and free them.
 * The queue lies in a table of its own and allocates nothing. The clock runs until the last block
 * is freed. An operation is one malloc or one free: a block is two; blocks/s stand in the JSON.
 */
#include "bench_calls.h"
#include "bench_threads.h"

enum { BATCH_BLOCKS = 64, QUEUE_BATCHES = 256 };

_Static_assert((QUEUE_BATCHES & (QUEUE_BATCHES - 1)) == 0, "the queue wraps by a mask");

/*
 * A ring of cells. Ticket n belongs to cell n % QUEUE_BATCHES. The cell may be written when
 * turn == n, read when turn == n + 1, and is then passed on as turn == n + QUEUE_BATCHES.
 */
struct queue_cell {
    _Alignas(64) _Atomic uint64_t turn; /* [any, atomic] */
    void *blocks[BATCH_BLOCKS];         /* [holder of the ticket] */
};

/* What the blocks of a batch were filled with, in a watched run. */
struct batch_marks {
    struct block_mark blocks[BATCH_BLOCKS];
};

/* A worker's own, before it is put and after it was taken. */
struct batch {
    void *blocks[BATCH_BLOCKS];
    struct batch_marks marks;
};

static struct {
    struct queue_cell *cells;          /* [const after init] */
    struct batch_marks *marks;         /* of the cells, [holder of the ticket]; NULL: not watched */
    _Alignas(64) _Atomic uint64_t put; /* [producer, atomic] next ticket to write */
    _Alignas(64) _Atomic uint64_t take;    /* [consumer, atomic] next ticket to read */
    _Alignas(64) _Atomic unsigned writers; /* [producer, atomic] producers still at work */
} queue;

static uint32_t min_bytes, max_bytes; /* [const after init] */
static struct bench_gate gate;
static _Atomic bool stop; /* [main] ends the producers */

static struct worker {
    _Alignas(64) pthread_t id;
    unsigned idx;
    uint64_t blocks; /* [worker] allocated or freed */
    uint64_t end_ns; /* [worker] */
    struct bench_calls calls;
} workers[2 * BENCH_MAX_THREADS];

/*
 * Takes the next ticket if its cell has reached `turn = ticket + offset`; NULL if not yet.
 * offset 0: to write, 1: to read.
 */
static struct queue_cell *queue_claim(_Atomic uint64_t *tickets, uint64_t offset, uint64_t *ticket)
{
    /* relaxed: a stale ticket only makes the CAS fail. */
    uint64_t next = atomic_load_explicit(tickets, memory_order_relaxed);
    for (;;) {
        struct queue_cell *cell = &queue.cells[next & (QUEUE_BATCHES - 1)];
        /* acquire: pairs with the release in queue_pass; makes the cell's blocks visible. */
        uint64_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);
        if (turn < next + offset)
            return NULL;
        /* relaxed: the ticket carries no data, the cell's turn does. */
        if (turn == next + offset &&
            atomic_compare_exchange_weak_explicit(tickets, &next, next + 1, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            *ticket = next;
            return cell;
        }
        if (turn > next + offset)
            /* relaxed: as above; another worker took this ticket. */
            next = atomic_load_explicit(tickets, memory_order_relaxed);
    }
}

static void queue_pass(struct queue_cell *cell, uint64_t turn)
{
    /* release: pairs with the acquire in queue_claim; publishes the blocks, or that they were
     * taken. */
    atomic_store_explicit(&cell->turn, turn, memory_order_release);
}

static void queue_put(const struct batch *batch)
{
    uint64_t ticket;
    struct queue_cell *cell;
    while ((cell = queue_claim(&queue.put, 0, &ticket)) == NULL)
        sched_yield();
    memcpy(cell->blocks, batch->blocks, sizeof cell->blocks);
    if (queue.marks != NULL)
        queue.marks[ticket & (QUEUE_BATCHES - 1)] = batch->marks;
    queue_pass(cell, ticket + 1);
}

static bool queue_take(struct batch *batch)
{
    uint64_t ticket;
    struct queue_cell *cell = queue_claim(&queue.take, 1, &ticket);
    if (cell == NULL)
        return false;
    memcpy(batch->blocks, cell->blocks, sizeof cell->blocks);
    if (queue.marks != NULL)
        batch->marks = queue.marks[ticket & (QUEUE_BATCHES - 1)];
    queue_pass(cell, ticket + QUEUE_BATCHES);
    return true;
}

static void batch_fill(struct batch *batch, struct bench_calls *calls, struct bench_rng *size_rng)
{
    if (calls->watched) {
        for (unsigned i = 0; i < BATCH_BLOCKS; i++)
            batch->blocks[i] = calls_block(calls, rng_size(size_rng, min_bytes, max_bytes), i,
                                           &batch->marks.blocks[i]);
        return;
    }
    for (unsigned i = 0; i < BATCH_BLOCKS; i++)
        batch->blocks[i] = bench_block(rng_size(size_rng, min_bytes, max_bytes));
}

static void batch_free(struct batch *batch, struct bench_calls *calls)
{
    unsigned volatile sink = 0;
    if (calls->watched) {
        for (unsigned i = 0; i < BATCH_BLOCKS; i++)
            calls_free(calls, batch->blocks[i], &batch->marks.blocks[i]);
        return;
    }
    for (unsigned i = 0; i < BATCH_BLOCKS; i++) {
        sink += *(unsigned char *)batch->blocks[i];
        free(batch->blocks[i]);
    }
}

static void *producer_body(void *argument)
{
    struct worker *worker = argument;
    struct bench_rng size_rng = rng_seeded(42, worker->idx);
    struct batch batch;
    worker->calls = calls_open(worker->idx);
    calls_sample(&worker->calls, true);
    gate_wait(&gate);
    /* relaxed: only a signal, nothing is read through it. */
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        batch_fill(&batch, &worker->calls, &size_rng);
        queue_put(&batch);
        worker->blocks += BATCH_BLOCKS;
    }
    /* release: pairs with the acquire in consumer_body; no batch follows. */
    atomic_fetch_sub_explicit(&queue.writers, 1, memory_order_release);
    worker->end_ns = bench_now_ns();
    return NULL;
}

static void *consumer_body(void *argument)
{
    struct worker *worker = argument;
    struct batch batch;
    worker->calls = calls_open(worker->idx);
    calls_sample(&worker->calls, true);
    gate_wait(&gate);
    for (;;) {
        /* acquire: pairs with the release in producer_body; asked before the queue is found empty.
         */
        bool last = atomic_load_explicit(&queue.writers, memory_order_acquire) == 0;
        if (!queue_take(&batch)) {
            if (last)
                break;
            sched_yield();
            continue;
        }
        batch_free(&batch, &worker->calls);
        worker->blocks += BATCH_BLOCKS;
    }
    worker->end_ns = bench_now_ns();
    return NULL;
}

static void workers_run(unsigned producers, unsigned consumers, double seconds,
                        struct bench_report *report)
{
    uint64_t start_ns;
    uint64_t end_ns = 0;
    for (unsigned i = 0; i < producers + consumers; i++) {
        workers[i].idx = i;
        bench_thread_start(&workers[i].id, i < producers ? producer_body : consumer_body,
                           &workers[i]);
    }
    gate_open(&gate, producers + consumers, &start_ns);
    bench_sleep_ns((long)(seconds * 1e9));
    report->live = bench_memory_now();
    /* relaxed: only a signal. */
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (unsigned i = 0; i < producers + consumers; i++) {
        bench_thread_join(workers[i].id);
        calls_report(&workers[i].calls, report);
        report->ops += workers[i].blocks;
        if (workers[i].end_ns > end_ns)
            end_ns = workers[i].end_ns;
    }
    report->seconds = (double)(end_ns - start_ns) * 1e-9;
    report->blocks = report->ops / 2;
}

int main(int argc, char **argv)
{
    struct bench_report report = {.name = "bench_xthread"};
    unsigned producers = (unsigned)bench_arg(argc, argv, 1, 1, 1, BENCH_MAX_THREADS);
    unsigned consumers = (unsigned)bench_arg(argc, argv, 2, 1, 1, BENCH_MAX_THREADS);
    double seconds = bench_arg_real(argc, argv, 3, 2, 0.01, 3600);
    min_bytes = (uint32_t)bench_arg(argc, argv, 4, 16, 1, 1u << 30);
    max_bytes = (uint32_t)bench_arg(argc, argv, 5, 1024, min_bytes, 1u << 30);
    queue.cells = bench_table(QUEUE_BATCHES, sizeof *queue.cells);
    if (calls_open(0).watched)
        queue.marks = bench_table(QUEUE_BATCHES, sizeof *queue.marks);
    for (uint64_t i = 0; i < QUEUE_BATCHES; i++)
        /* relaxed: the workers do not exist yet. */
        atomic_store_explicit(&queue.cells[i].turn, i, memory_order_relaxed);
    /* relaxed: as above. */
    atomic_store_explicit(&queue.writers, producers, memory_order_relaxed);
    workers_run(producers, consumers, seconds, &report);
    report.after = bench_memory_now();
    bench_print(&report);
    return 0;
}
