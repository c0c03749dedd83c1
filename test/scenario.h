/*
 * Scenarios over the fake kernel.
 *
 * Purpose   the allocator has one state a process and no way back: each scenario is a child
 *           process, in which nothing has been set up yet. Its body checks with SUPPORT_REQUIRE.
 * Threads   scenario_run() is for the main thread of the test, the rest is for the child.
 */
#ifndef HAKMEM_TEST_SCENARIO_H
#define HAKMEM_TEST_SCENARIO_H

#include "segment/arena.h"
#include "segment/os_fake.h"

#include "support.h"

/* Runs body(argument) in a child, which must end well. */
static inline void scenario_run(void (*body)(void *), void *argument)
{
    struct support_end end = support_run_child(body, argument);
    if (end.status != 0)
        fail_msg("a child ended with status %#x; it wrote: %s", (unsigned)end.status, end.text);
}

/* A kernel with pages of 4 KiB, and an arena of so many segments. */
static inline void scenario_arena(size_t segments)
{
    const struct hak_arena_config config = {
        .reserve_bytes = segments * HAK_SEGMENT_BYTES,
        .step_bytes = 2 * HAK_MIB,
        .max_step_bytes = 64 * HAK_MIB,
        .growth_levels = 8,
    };
    hak_fake_wake(4096);
    SUPPORT_REQUIRE(hak_arena_init(&config));
    SUPPORT_REQUIRE(hak_arena.max_segments == segments);
}

#define SCENARIO_THREADS_MAX 16

struct scenario_thread {
    pthread_t thread;
    pthread_barrier_t *start;
    void (*body)(unsigned index, void *argument);
    void *argument;
    unsigned index;
};

static inline void *scenario_thread_run(void *argument)
{
    struct scenario_thread *thread = argument;
    pthread_barrier_wait(thread->start);
    thread->body(thread->index, thread->argument);
    return NULL;
}

/* Runs body(0, argument) ... body(count - 1, argument) at once, and waits for them. */
static inline void scenario_threads(unsigned count, void (*body)(unsigned, void *), void *argument)
{
    struct scenario_thread threads[SCENARIO_THREADS_MAX];
    pthread_barrier_t start;
    SUPPORT_REQUIRE(count <= SCENARIO_THREADS_MAX);
    SUPPORT_REQUIRE(pthread_barrier_init(&start, NULL, count) == 0);
    for (unsigned i = 0; i < count; i++) {
        threads[i] = (struct scenario_thread){
            .start = &start, .body = body, .argument = argument, .index = i};
        SUPPORT_REQUIRE(
            pthread_create(&threads[i].thread, NULL, scenario_thread_run, &threads[i]) == 0);
    }
    for (unsigned i = 0; i < count; i++)
        SUPPORT_REQUIRE(pthread_join(threads[i].thread, NULL) == 0);
    pthread_barrier_destroy(&start);
}

#endif
