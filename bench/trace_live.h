/*
 * trace_live.h: the live blocks of a recorded program: which slot stands for which address.
 *
 * Owner    the recorder; its lock guards everything here.
 * Memory   from mmap alone: this runs inside malloc.
 *
 * An open-addressed table at most half full, probed one by one. A key taken out leaves no mark:
 * the keys behind it that were displaced move up. Slots come from a stack of free ones.
 */
#ifndef HAK_BENCH_TRACE_LIVE_H
#define HAK_BENCH_TRACE_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

enum { LIVE_FIRST_CELLS = 1 << 12 };

#define LIVE_NO_SLOT UINT32_MAX

struct live_cell {
    uintptr_t address; /* 0: empty */
    uint32_t slot;
};

/* cells == a power of two; used <= cells / 2; free_count + slots in use == slot_count <= cells */
struct live_table {
    struct live_cell *cell;
    uint32_t *free_slot; /* a stack of slots; has room for `cells` */
    size_t cells, used;
    uint32_t free_count, slot_count;
};

/* Neighbouring blocks differ in few bits, and their low four are zero. */
static inline size_t live_home(const struct live_table *table, uintptr_t address)
{
    return (size_t)((uint64_t)(address >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 32) &
           (table->cells - 1);
}

/* NULL: no memory. */
static inline void *live_map(size_t count, size_t item_bytes)
{
    void *memory =
        mmap(NULL, count * item_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* The cell of `address`, or the empty one where it belongs. */
static inline struct live_cell *live_find(const struct live_table *table, uintptr_t address)
{
    size_t at = live_home(table, address);
    while (table->cell[at].address != 0 && table->cell[at].address != address)
        at = (at + 1) & (table->cells - 1);
    return &table->cell[at];
}

/* Makes room for another address and another slot. False: no memory, nothing changed. */
static inline bool live_reserve(struct live_table *table)
{
    /* Twice: a slot without an address is a block inside realloc. */
    if (2 * (table->used + 1) <= table->cells && table->slot_count < table->cells)
        return true;
    struct live_table grown = *table;
    grown.cells = table->cells == 0 ? LIVE_FIRST_CELLS : 2 * table->cells;
    grown.cell = live_map(grown.cells, sizeof *grown.cell);
    grown.free_slot = live_map(grown.cells, sizeof *grown.free_slot);
    if (grown.cell == NULL || grown.free_slot == NULL) {
        if (grown.cell != NULL)
            munmap(grown.cell, grown.cells * sizeof *grown.cell);
        if (grown.free_slot != NULL)
            munmap(grown.free_slot, grown.cells * sizeof *grown.free_slot);
        return false;
    }
    for (size_t i = 0; i < table->cells; i++)
        if (table->cell[i].address != 0)
            *live_find(&grown, table->cell[i].address) = table->cell[i];
    for (uint32_t i = 0; i < table->free_count; i++)
        grown.free_slot[i] = table->free_slot[i];
    if (table->cells != 0) {
        munmap(table->cell, table->cells * sizeof *table->cell);
        munmap(table->free_slot, table->cells * sizeof *table->free_slot);
    }
    *table = grown;
    return true;
}

/* After live_reserve. The slot that was used last comes first. */
static inline uint32_t live_slot_take(struct live_table *table)
{
    return table->free_count > 0 ? table->free_slot[--table->free_count] : table->slot_count++;
}

static inline void live_slot_release(struct live_table *table, uint32_t slot)
{
    table->free_slot[table->free_count++] = slot;
}

/* After live_reserve; `address` is not in the table. */
static inline void live_put(struct live_table *table, uintptr_t address, uint32_t slot)
{
    *live_find(table, address) = (struct live_cell){address, slot};
    table->used++;
}

/* Takes an address out; returns its slot, which stays in use, or LIVE_NO_SLOT. */
static inline uint32_t live_take(struct live_table *table, uintptr_t address)
{
    struct live_cell *hole = table->cells == 0 ? NULL : live_find(table, address);
    if (hole == NULL || hole->address == 0)
        return LIVE_NO_SLOT;
    uint32_t slot = hole->slot;
    size_t mask = table->cells - 1;
    size_t empty = (size_t)(hole - table->cell);
    for (size_t at = (empty + 1) & mask; table->cell[at].address != 0; at = (at + 1) & mask) {
        /* Moves up if its home does not lie behind the hole. */
        size_t home = live_home(table, table->cell[at].address);
        if (((at - home) & mask) < ((at - empty) & mask))
            continue;
        table->cell[empty] = table->cell[at];
        empty = at;
    }
    table->cell[empty].address = 0;
    table->used--;
    return slot;
}

#endif
