/*
 * What the stress tests share: how long they run, blocks that know what they hold, and the figures
 * that they print.
 *
 *   HAKMEM_TEST_SECONDS   time for all cases of a program together (default 5)
 *   HAKMEM_TEST_SEED      another course of the same (default 0)
 *
 * Threads   any.
 */
#ifndef HAKMEM_TEST_STRESS_H
#define HAKMEM_TEST_STRESS_H

#include "front/harden/harden.h"
#include "front/heap.h"
#include "region/region.h"
#include "segment/segment.h"

#include "support.h"

#include <stdatomic.h>

static inline uint64_t stress_number(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

/* A case's part of the time for all. */
static inline double stress_seconds(double share)
{
    uint64_t seconds = stress_number("HAKMEM_TEST_SECONDS");
    return (double)(seconds > 0 ? seconds : 5) * share;
}

static inline uint64_t stress_seed(uint64_t seed)
{
    return seed + stress_number("HAKMEM_TEST_SEED") * 1000003;
}

static _Atomic(bool) stress_over;           /* [any, atomic] the threads of a case are to end */
static _Atomic(uint64_t) stress_operations; /* [any, atomic] of a case so far */

static inline bool is_over(void)
{
    /* relaxed: only says when to end; joins order the rest. */
    return atomic_load_explicit(&stress_over, memory_order_relaxed);
}

static inline void set_over(bool over)
{
    atomic_store_explicit(&stress_over, over, memory_order_relaxed); /* see is_over() */
}

static inline void count_operations(uint64_t count)
{
    atomic_fetch_add_explicit(&stress_operations, count, memory_order_relaxed); /* only a count */
}

static inline uint64_t operations_take(void)
{
    /* relaxed: nobody else runs. */
    return atomic_exchange_explicit(&stress_operations, 0, memory_order_relaxed);
}

/* One line a case; ./dev soak adds them up. */
static inline void stress_say(const char *name, unsigned threads, double seconds,
                              uint64_t operations)
{
    print_message("stress: %s: %u threads x %.1f s, %llu operations\n", name, threads, seconds,
                  (unsigned long long)operations);
}

/* The first words of a block are its size and its key; the rest is filled, of large ones the
 * beginning and the end. */
struct stress_block {
    size_t bytes;
    uint64_t key;
    char fill[];
};

#define STRESS_FILL ((size_t)1024)

static inline size_t stress_size(uint64_t *seed)
{
    uint64_t kind = support_random(seed) % 1000;
    unsigned bits = kind < 800 ? 10 : kind < 950 ? 12 : kind < 992 ? 16 : 21;
    return sizeof(struct stress_block) + support_random(seed) % ((size_t)1 << bits);
}

static inline void stress_fill(struct stress_block *block)
{
    size_t left = block->bytes - sizeof *block;
    support_fill(block->fill, left < STRESS_FILL ? left : STRESS_FILL, block->key);
    if (left >= 2 * STRESS_FILL)
        support_fill((char *)block + block->bytes - 64, 64, ~block->key);
}

static inline void stress_verify(const struct stress_block *block)
{
    size_t left = block->bytes - sizeof *block;
    SUPPORT_REQUIRE(
        support_holds(block->fill, left < STRESS_FILL ? left : STRESS_FILL, block->key));
    if (left >= 2 * STRESS_FILL)
        SUPPORT_REQUIRE(support_holds((const char *)block + block->bytes - 64, 64, ~block->key));
}

static inline struct stress_block *stress_make(uint64_t *seed)
{
    size_t bytes = stress_size(seed);
    struct stress_block *block = hak_malloc(bytes);
    SUPPORT_REQUIRE(block != NULL);
    block->bytes = bytes;
    block->key = support_random(seed);
    stress_fill(block);
    return block;
}

static inline void stress_drop(struct stress_block *block)
{
    if (block == NULL)
        return;
    stress_verify(block);
    hak_free(block);
}

static inline struct stress_block *stress_resize(struct stress_block *block, uint64_t *seed)
{
    stress_verify(block);
    size_t bytes = stress_size(seed);
    block = hak_realloc(block, bytes);
    SUPPORT_REQUIRE(block != NULL);
    block->bytes = bytes;
    stress_fill(block);
    return block;
}

/* Memory that is in use and resident, to compare with later. */
struct stress_memory {
    size_t used_bytes, resident_bytes;
};

/* In a hardened process what rests counts as in use, so nothing is to be seen by that. */
static inline struct stress_memory stress_memory(void)
{
    hak_malloc_trim(0);
    size_t used_bytes = hak_harden_is_on() ? 0 : hak_mallinfo2().uordblks;
    return (struct stress_memory){used_bytes, support_resident_bytes()};
}

/* What a hardened process keeps of each size, with its memory. */
#define STRESS_KEPT_BYTES (HAK_BINS * 4 * MIB)

/* Everything was freed and has gone back, but for some room. */
static inline void stress_assert_returned(struct stress_memory before, size_t room_bytes)
{
    room_bytes += hak_harden_is_on() ? STRESS_KEPT_BYTES : 0;
    assert_true(hak_heap_is_valid());
    struct stress_memory now = stress_memory();
    assert_true(hak_heap_is_valid());
    assert_true(hak_segment_is_valid());
    assert_true(hak_region_is_valid());
    if (now.used_bytes != before.used_bytes)
        fail_msg("in use: %zu bytes before, %zu after", before.used_bytes, now.used_bytes);
    if (!SUPPORT_SHADOWED && now.resident_bytes > before.resident_bytes + room_bytes)
        fail_msg("resident: %zu bytes before, %zu after", before.resident_bytes,
                 now.resident_bytes);
}

#endif
