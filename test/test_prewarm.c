/*
 * HAKMEM_PREWARM: the first blocks of a thread, as many of each size as hakmem's PoolTLS had ready,
 * enter no slow path but the one that attaches the thread's heap. On the fake kernel.
 *
 * ctest: labels=quick timeout=60 core=fake
 */
#include "front/heap.h"
#include "hakmem.h"
#include "scenario.h"

static const struct {
    size_t kib, blocks;
} rows[] = {{8, 16}, {16, 16}, {24, 12}, {32, 8}, {40, 8}, {48, 4}, {52, 4}};

/* Slow paths of the thread's first blocks, after one small one. */
static uint32_t first_blocks(void)
{
    void *blocks[16];
    hak_free(hak_malloc(1));
    uint32_t before = hak_heap_entries(hak_heap_self);
    uint32_t entries = 0;
    for (size_t i = 0; i < SUPPORT_COUNT(rows); i++) {
        for (size_t k = 0; k < rows[i].blocks; k++)
            SUPPORT_REQUIRE((blocks[k] = hak_malloc(rows[i].kib * 1024 - 1)) != NULL);
        entries += hak_heap_entries(hak_heap_self) - before;
        for (size_t k = 0; k < rows[i].blocks; k++)
            hak_free(blocks[k]);
        before = hak_heap_entries(hak_heap_self); /* frees may fill a magazine */
    }
    SUPPORT_REQUIRE(hak_heap_is_valid());
    return entries;
}

static void in_thread(unsigned index, void *expected)
{
    (void)index;
    uint32_t entries = first_blocks();
    SUPPORT_REQUIRE(expected == NULL ? entries == 0 : entries >= 14);
}

/* `expected`: NULL with pre-warm. */
static void run_first_blocks(void *expected)
{
    SUPPORT_REQUIRE(setenv("HAKMEM_PREWARM", expected == NULL ? "1" : "0", 1) == 0);
    hak_fake_wake(4096);
    in_thread(0, expected);
    scenario_threads(2, in_thread, expected);
}

static void prewarm__on__first_blocks_enter_no_slow_path(void **state)
{
    (void)state;
    scenario_run(run_first_blocks, NULL);
}

static void prewarm__off__they_do(void **state)
{
    static char off;
    (void)state;
    scenario_run(run_first_blocks, &off);
}

/* ---- at HAKMEM_LIMIT ------------------------------------------------------------------------ */

#define ROOMS 32 /* the first leaves next to nothing, the last all of the limit */
#define CPU_SECONDS_MAX 10

static void first_block(unsigned index, void *room)
{
    (void)index;
    void *block = hak_malloc(100);
    SUPPORT_REQUIRE(block != NULL || (errno == ENOMEM && *(const size_t *)room == 0));
    hak_free(block);
    SUPPORT_REQUIRE(hak_heap_is_valid());
}

/* A thread warms up where large blocks have left room for two pages times `room`. */
static void warm_in_room(void *room)
{
    const struct rlimit cpu = {CPU_SECONDS_MAX, CPU_SECONDS_MAX}; /* for what has no end */
    void *blocks[ROOMS];
    size_t count = 0;
    SUPPORT_REQUIRE(setrlimit(RLIMIT_CPU, &cpu) == 0);
    SUPPORT_REQUIRE(setenv("HAKMEM_PREWARM", "1", 1) == 0);
    SUPPORT_REQUIRE(setenv("HAKMEM_LIMIT", "4M", 1) == 0);
    hak_fake_wake(4096);
    while ((blocks[count] = hak_malloc(HAK_PAGE_BYTES + 1)) != NULL)
        SUPPORT_REQUIRE(++count < ROOMS);
    SUPPORT_REQUIRE(count == ROOMS - 1);
    for (size_t i = 0; i < *(size_t *)room; i++)
        hak_free(blocks[--count]);
    scenario_threads(1, first_block, room);
    while (count > 0)
        hak_free(blocks[--count]);
    scenario_threads(1, in_thread, NULL); /* with all the room, all is as ever */
}

static void prewarm__no_room_for_all__ends(void **state)
{
    (void)state;
    for (size_t room = 0; room < ROOMS; room++)
        scenario_run(warm_in_room, &room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prewarm__on__first_blocks_enter_no_slow_path),
        cmocka_unit_test(prewarm__off__they_do),
        cmocka_unit_test(prewarm__no_room_for_all__ends),
    };
    return cmocka_run_group_tests_name("prewarm", tests, NULL, NULL);
}
