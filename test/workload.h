/*
 * A workload that comes by every tier and every way, over the fake kernel.
 *
 * Threads   one at a time, so that the kernel's calls come in the same order every time;
 *           several may run workload_main() with a workload each.
 */
#ifndef HAKMEM_TEST_WORKLOAD_H
#define HAKMEM_TEST_WORKLOAD_H

#include "front/heap.h"
#include "segment/os_fake.h"
#include "segment/segment.h"

#include "workload_blocks.h"

/* Blocks 0 to 299 come and go, by all sizes. */
static inline void workload_mix(struct workload *work, uint64_t seed)
{
    for (unsigned step = 0; step < 300; step++) {
        size_t i = support_random(&seed) % 300;
        unsigned bits = step % 40 == 0 ? 20 : step % 5 == 0 ? 16 : 10;
        size_t bytes = 1 + support_random(&seed) % ((size_t)1 << bits);
        workload_free(work, i);
        if (step % 7 == 0)
            workload_calloc(work, i, bytes);
        else
            workload_malloc(work, i, bytes);
        if (step % 11 == 0)
            workload_realloc(work, i, 1 + support_random(&seed) % (2 * bytes));
    }
}

/* Blocks 300 to 339: large ones that grow in place and move, and aligned ones. */
static inline void workload_large(struct workload *work)
{
    for (size_t i = 300; i < 303; i++) {
        workload_malloc(work, i, 100 * KIB);
        workload_malloc(work, i + 8, 100 * KIB); /* in the way */
        for (size_t bytes = 300 * KIB; bytes <= 3 * MIB; bytes += bytes / 2)
            workload_realloc(work, i, bytes);
        workload_realloc(work, i, 200 * KIB * (i - 300) + 1);
    }
    for (size_t i = 303; i < 306; i++) /* behind each other; then two move */
        workload_malloc(work, i, 2500 * KIB);
    workload_realloc(work, 303, 7 * MIB);
    workload_realloc(work, 304, 6 * MIB);
    for (size_t i = 0; i < 16; i++)
        workload_align(work, 320 + i, (size_t)64 << i, i % 2 == 0 ? 100 : (size_t)3000 << i / 2);
    for (size_t i = 300; i < 340; i += 3)
        workload_free(work, i);
    workload_calloc(work, 340, 2500 * KIB); /* over places that were used before */
    workload_calloc(work, 341, 300 * KIB);
}

/* A thread that frees every second block of the others, and leaves pages with blocks behind. */
static inline void *workload_thread(void *argument)
{
    struct workload *work = argument;
    for (size_t i = 0; i < 300; i += 2)
        workload_free(work, i);
    for (size_t i = 342; i < WORKLOAD_BLOCKS; i++)
        workload_malloc(work, i, (size_t)16 << i % 13);
    SUPPORT_REQUIRE(hak_heap_is_valid());
    return NULL;
}

static inline void workload_in_thread(struct workload *work)
{
    pthread_t thread;
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, workload_thread, work) == 0);
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
}

/* What one thread does by itself. */
static inline void workload_main(struct workload *work)
{
    workload_mix(work, 1);
    workload_large(work);
    hak_fake_advance_ms(150); /* twice: what is free grows old and goes */
    workload_mix(work, 2);
    hak_fake_advance_ms(150);
    workload_mix(work, 3);
    hak_malloc_trim(0);
}

static inline void workload_free_all(struct workload *work)
{
    for (size_t i = 0; i < WORKLOAD_BLOCKS; i++)
        workload_free(work, i);
    hak_malloc_trim(0);
}

/* All of it. Blocks are live at the end. */
static inline void workload_run(struct workload *work)
{
    for (unsigned round = 0; round < 2; round++) {
        workload_main(work);
        workload_in_thread(work);
        for (size_t i = 342; i < WORKLOAD_BLOCKS; i += 2) /* of a thread that ended */
            workload_free(work, i);
        workload_mix(work, 4);
        for (size_t i = 300; i < WORKLOAD_BLOCKS; i++)
            workload_free(work, i);
    }
}

/* Nothing is broken. */
static inline void workload_check(void)
{
    SUPPORT_REQUIRE(hak_heap_is_valid());
    SUPPORT_REQUIRE(hak_segment_is_valid());
    SUPPORT_REQUIRE(hak_region_is_valid());
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
}

/* Page slots that are taken, in the whole arena. */
static inline size_t workload_taken(void)
{
    size_t taken = 0;
    for (size_t i = 0; i < hak_arena_end(); i++) {
        enum hak_pool pool;
        taken += (size_t)__builtin_popcount(hak_segment_taken(i, &pool));
    }
    return taken;
}

#endif
