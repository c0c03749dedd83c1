/*
 * bench_remote RATIO THREADS ITERS WS SEED: blocks freed by another thread than allocated.
 *
 * THREADS threads (2), each ITERS operations (10000000) on its own table of WS blocks (2000) in an
 * order of SEED (42), blocks of 16..1024 bytes. Of every hundred visits to a slot, the first RATIO
 * (50) do not free the slot's block but hand it to the next thread, which frees it; the last
 * thread's next is the first. A hand-over is a store to a free place of a ring, nothing is locked;
 * each thread empties its ring when it has filled a part of the next, and waits by emptying it
 * while the next is full. The clock runs until the last block handed over is freed. An operation is
 * one malloc or one free.
 */
#include "bench_slots.h"

enum { RING_BLOCKS = 1024, RING_PART = 64 };

/* From one thread to the next. A place is free to be filled when it holds NULL. */
static struct ring {
    _Alignas(64) _Atomic(void *) blocks[RING_BLOCKS]; /* [both threads, atomic] */
    struct block_mark marks[RING_BLOCKS];             /* [who may fill or empty the place] */
    _Alignas(64) uint64_t filled;                     /* [the thread before] */
    _Atomic bool closed;                              /* [the thread before] nothing follows */
    _Alignas(64) uint64_t emptied;                    /* [the thread behind] */
} * rings;                                            /* ring i is emptied by thread i */

static unsigned ratio; /* [const after init] */

/* Frees what lies in the ring; false if there was nothing. */
static bool ring_empty(struct ring *ring, struct slot_table *table)
{
    uint64_t start = ring->emptied;
    for (;; ring->emptied++) {
        unsigned at = ring->emptied % RING_BLOCKS;
        /* acquire: pairs with the release in ring_fill; makes the block and its mark visible. */
        void *block = atomic_load_explicit(&ring->blocks[at], memory_order_acquire);
        if (block == NULL)
            return ring->emptied != start;
        if (__builtin_expect(table->special, 0))
            calls_free(&table->calls, block, &ring->marks[at]);
        else
            free(block);
        /* release: pairs with the acquire in ring_fill; the mark was read. */
        atomic_store_explicit(&ring->blocks[at], NULL, memory_order_release);
    }
}

/* Hands the block of a slot to the ring's thread; meanwhile `own` is emptied if need be. */
static void ring_fill(struct ring *ring, struct ring *own, struct slot_table *table, uint32_t idx)
{
    unsigned at = ring->filled++ % RING_BLOCKS;
    /* acquire: pairs with the release in ring_empty. */
    while (atomic_load_explicit(&ring->blocks[at], memory_order_acquire) != NULL)
        if (!ring_empty(own, table))
            sched_yield();
    if (__builtin_expect(table->special, 0))
        ring->marks[at] = table->marks[idx];
    /* release: pairs with the acquire in ring_empty; publishes the block and its mark. */
    atomic_store_explicit(&ring->blocks[at], table->slots[idx], memory_order_release);
}

static void remote_work(const struct slot_load *load, struct slot_table *table, unsigned worker)
{
    struct ring *own = &rings[worker];
    struct ring *next = &rings[(worker + 1) % load->threads];
    for (uint64_t i = 0; i < load->iters / 2; i++) {
        if (i % 100 >= ratio) {
            slot_visit(load, table);
            continue;
        }
        uint32_t idx = slot_next(load, table);
        ring_fill(next, own, table, idx);
        slot_put(load, table, idx);
        if (next->filled % RING_PART == 0)
            ring_empty(own, table);
    }
    /* release: pairs with the acquire below, in the next thread. */
    atomic_store_explicit(&next->closed, true, memory_order_release);
    bool closed;
    do {
        /* acquire: pairs with the release above; asked before the ring is found empty. */
        closed = atomic_load_explicit(&own->closed, memory_order_acquire);
        if (!ring_empty(own, table) && !closed)
            sched_yield();
    } while (!closed);
}

int main(int argc, char **argv)
{
    ratio = (unsigned)bench_arg(argc, argv, 1, 50, 0, 100);
    struct slot_load load = {
        .name = "bench_remote",
        .threads = (unsigned)bench_arg(argc, argv, 2, 2, 2, BENCH_MAX_THREADS),
        .iters = bench_arg(argc, argv, 3, 10000000, 2, UINT64_C(1) << 40),
        .slots = (uint32_t)bench_arg(argc, argv, 4, 2000, 1, 1u << 28),
        .seed = bench_arg(argc, argv, 5, 42, 0, UINT64_MAX),
        .min_bytes = 16,
        .max_bytes = 1024,
        .work = remote_work,
    };
    rings = bench_table(load.threads, sizeof *rings);
    return slot_load_run(&load);
}
