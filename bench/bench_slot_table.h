/*
 * bench_slot_table.h: a table of slots, visited at random.
 *
 * Each slot holds a block. A visit frees it and puts a new one of random size in its place: two
 * operations, one free and one malloc. Which slot and which size come from two unrelated streams,
 * so a change of the size range does not change the order of visits.
 *
 * A visit that either allocates or frees, by what it finds in the slot, was tried: that branch
 * cannot be predicted and costs 7..9 ns an operation, more than malloc does, whichever allocator
 * runs.
 *
 * A table is special if its sizes are drawn unevenly, blocks are touched all over, or the run is
 * watched (bench_calls.h). A visit asks for that once and then goes another way.
 *
 * Owner: a table belongs to one thread at a time.
 */
#ifndef HAK_BENCH_SLOT_TABLE_H
#define HAK_BENCH_SLOT_TABLE_H

#include "bench_calls.h"

struct slot_table;

struct slot_load {
    const char *name;
    unsigned threads; /* 0: on the main thread, in a process that never had another */
    uint64_t iters;   /* operations of each thread, in pairs: an odd one is left out */
    uint32_t slots;   /* slots of each thread, all full while the clock runs */
    uint64_t seed;
    uint32_t min_bytes, max_bytes;                /* sizes are even between them, */
    size_t (*draw_bytes)(struct bench_rng *size); /* unless this is there */
    uint32_t touch_every; /* blocks whose size it divides are touched all over; 0: none */
    /* What a worker does while the clock runs; NULL: slots_visit. */
    void (*work)(const struct slot_load *load, struct slot_table *table, unsigned worker);
};

struct slot_table {
    void **slots;
    struct bench_rng slot_rng, size_rng;
    bool special;             /* not to be served by malloc and free of even sizes alone */
    struct block_mark *marks; /* of the slots, if special */
    uint64_t passes;          /* how often `iters` were done */
    struct bench_calls calls;
};

static inline void slots_open(const struct slot_load *load, struct slot_table *table,
                              unsigned worker)
{
    table->slots = bench_table(load->slots, sizeof(void *));
    table->slot_rng = rng_seeded(load->seed, 2 * (uint64_t)worker);
    table->size_rng = rng_seeded(load->seed, 2 * (uint64_t)worker + 1);
    table->calls = calls_open(worker);
    table->special = load->draw_bytes != NULL || load->touch_every != 0 || table->calls.watched;
    table->passes = 0;
    table->marks = table->special ? bench_table(load->slots, sizeof *table->marks) : NULL;
}

static inline void slot_put_special(const struct slot_load *load, struct slot_table *table,
                                    uint32_t idx)
{
    size_t bytes = load->draw_bytes != NULL
                       ? load->draw_bytes(&table->size_rng)
                       : rng_size(&table->size_rng, load->min_bytes, load->max_bytes);
    void *block = calls_block(&table->calls, bytes, idx, &table->marks[idx]);
    if (load->touch_every != 0 && bytes % load->touch_every == 0)
        calls_touch(&table->calls, block, 0, bytes);
    table->slots[idx] = block;
}

static inline void slot_put_even(const struct slot_load *load, struct slot_table *table,
                                 uint32_t idx)
{
    table->slots[idx] = bench_block(rng_size(&table->size_rng, load->min_bytes, load->max_bytes));
}

/* Puts a new block into a slot whose block is gone. */
static inline void slot_put(const struct slot_load *load, struct slot_table *table, uint32_t idx)
{
    if (__builtin_expect(table->special, 0))
        slot_put_special(load, table, idx);
    else
        slot_put_even(load, table, idx);
}

static inline void slot_free(struct slot_table *table, uint32_t idx)
{
    if (__builtin_expect(table->special, 0))
        calls_free(&table->calls, table->slots[idx], &table->marks[idx]);
    else
        free(table->slots[idx]);
}

static inline void slots_fill(const struct slot_load *load, struct slot_table *table)
{
    for (uint32_t i = 0; i < load->slots; i++)
        slot_put(load, table, i);
}

/* The next slot that is to be visited. */
static inline uint32_t slot_next(const struct slot_load *load, struct slot_table *table)
{
    return rng_below(&table->slot_rng, load->slots);
}

static inline void slot_visit_special(const struct slot_load *load, struct slot_table *table)
{
    uint32_t idx = slot_next(load, table);
    calls_free(&table->calls, table->slots[idx], &table->marks[idx]);
    slot_put_special(load, table, idx);
}

static inline void slot_visit_even(const struct slot_load *load, struct slot_table *table)
{
    uint32_t idx = slot_next(load, table);
    free(table->slots[idx]);
    slot_put_even(load, table, idx);
}

static inline void slot_visit(const struct slot_load *load, struct slot_table *table)
{
    if (__builtin_expect(table->special, 0))
        slot_visit_special(load, table);
    else
        slot_visit_even(load, table);
}

static inline void slots_visit(const struct slot_load *load, struct slot_table *table,
                               unsigned worker)
{
    (void)worker;
    if (table->special) {
        for (uint64_t i = 0; i < load->iters / 2; i++)
            slot_visit_special(load, table);
        return;
    }
    const struct slot_load steady = *load; /* nobody else knows these two: registers hold them */
    struct slot_table local = *table;
    for (uint64_t i = 0; i < steady.iters / 2; i++)
        slot_visit_even(&steady, &local);
    *table = local;
}

static inline void slots_clear(const struct slot_load *load, struct slot_table *table)
{
    for (uint32_t i = 0; i < load->slots; i++)
        slot_free(table, i);
}

#endif
