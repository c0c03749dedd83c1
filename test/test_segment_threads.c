/*
 * Page slots of segments under threads: none is handed out twice and none is lost.
 *
 * ctest: labels=quick,aarch64_full timeout=120 core=fake
 */
#include "segment/purge.h"
#include "segment/segment.h"

#include "scenario.h"
#include "shadow.h"

#define THREADS 8
#define RUNS 64

static _Atomic(bool) stop_now;

static void claim_and_release(unsigned index, void *unused)
{
    struct run runs[RUNS] = {{0, 0, HAK_POOL_FREE}};
    uint64_t seed = index;
    (void)unused;
    for (unsigned step = 0; step < (SUPPORT_SHADOWED ? 15000 : 60000); step++) {
        struct run *run = &runs[support_random(&seed) % RUNS];
        size_t more = 1 + support_random(&seed) % 40;
        if (run->count == 0) {
            run_claim(run, index, &seed);
        } else if (run->pool == HAK_POOL_LARGE && support_random(&seed) % 2 == 0 &&
                   hak_pages_claim_at(run->page + run->count, more)) {
            shadow_take(index, run->page + run->count, more);
            run->count += more;
        } else {
            size_t part = support_random(&seed) % 4 == 0 ? (run->count + 1) / 2 : run->count;
            run_check(run);
            run->count -= part;
            shadow_release(index, run->page + run->count, part, support_random(&seed) % 2 == 0);
        }
        if (step % 256 == 0)
            hak_purge_all();
    }
    for (size_t i = 0; i < RUNS; i++) {
        if (index % 2 == 0) /* the others' stay, for the comparison */
            shadow_release(index, runs[i].page, runs[i].count, true);
    }
}

static void race(void *argument)
{
    scenario_arena(*(const size_t *)argument);
    scenario_threads(THREADS, claim_and_release, NULL);
    shadow_compare();
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
}

static void segment__8_threads_random_runs__no_slot_is_owned_twice(void **state)
{
    size_t segments[] = {40, 400}; /* too few, and enough */
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(segments); i++)
        scenario_run(race, &segments[i]);
}

/* Room that others make is found: threads that wait for it come to an end. */
static void claim_last_slots(unsigned index, void *unused)
{
    uint64_t seed = index;
    (void)unused;
    for (unsigned step = 0; step < (SUPPORT_SHADOWED ? 2000 : 20000); step++) {
        size_t page;
        unsigned tries = 0;
        /* 8 threads hold 7 slots at most each, of 64: there is one for everybody always. */
        while ((page = hak_pages_claim(HAK_POOL_TINY, 1, 1)) == HAK_NO_PAGE)
            SUPPORT_REQUIRE(++tries < 1000000);
        shadow_take(index, page, 1);
        if (support_random(&seed) % 16 == 0)
            sched_yield();
        shadow_release(index, page, 1, false);
    }
}

static void race_for_the_last(void *unused)
{
    enum hak_pool pool;
    (void)unused;
    scenario_arena(4);
    for (size_t i = 0; i < 4 * HAK_SEGMENT_PAGES; i++) /* all but 8 are taken */
        SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 1, 1) == i);
    for (size_t i = 0; i < THREADS; i++)
        hak_pages_release(16 * i + 3, 1, false);
    scenario_threads(THREADS, claim_last_slots, NULL);
    for (size_t i = 0; i < 4; i++)
        SUPPORT_REQUIRE(hak_segment_taken(i, &pool) == ~((uint32_t)1 << 3 | (uint32_t)1 << 19));
    SUPPORT_REQUIRE(hak_segment_is_valid());
}

static void segment__as_many_slots_as_threads__everybody_gets_one(void **state)
{
    (void)state;
    scenario_run(race_for_the_last, NULL);
}

/* ---- purge ---------------------------------------------------------------------------------- */

/* What a thread writes into its slots stays; what is said to be clean is zero. */
static void use_slots(unsigned index, void *unused)
{
    uint64_t seed = index;
    (void)unused;
    for (unsigned step = 0; step < (SUPPORT_SHADOWED ? 1000 : 2000); step++) {
        size_t count = 1 + support_random(&seed) % 3;
        size_t page = hak_pages_claim(HAK_POOL_MID, count, 1);
        SUPPORT_REQUIRE(page != HAK_NO_PAGE);
        shadow_take(index, page, count);
        for (size_t i = page; i < page + count; i++) {
            char *start = hak_region_page_start(i);
            SUPPORT_REQUIRE(hak_pages_dirty(i, 1) == 1 || support_is_zero(start, 256));
            support_fill(start, 256, i + index);
        }
        if (step % 8 == 0)
            sched_yield();
        for (size_t i = page; i < page + count; i++)
            SUPPORT_REQUIRE(support_holds(hak_region_page_start(i), 256, i + index));
        shadow_release(index, page, count, true);
    }
    atomic_store(&stop_now, true);
}

static void use_or_purge(unsigned index, void *unused)
{
    if (index > 1) {
        use_slots(index, unused);
        return;
    }
    while (!atomic_load(&stop_now)) {
        if (index == 0) {
            hak_purge_all();
        } else {
            hak_fake_advance_ms(60);
            hak_purge_poll();
            hak_purge_bound(1);
        }
    }
}

static void race_with_purge(void *argument)
{
    scenario_arena(64);
    hak_purge_init(100);
    if (argument != NULL)
        hak_fake_fail(HAK_FAKE_PURGE, 1, HAK_FAKE_FOREVER);
    scenario_threads(6, use_or_purge, NULL);
    SUPPORT_REQUIRE((argument != NULL) == (hak_fake_failures(HAK_FAKE_ANY) != 0));
    hak_fake_heal();
    shadow_compare();
    hak_purge_all();
    SUPPORT_REQUIRE(hak_dirty_bytes() == 0);
    for (size_t i = 0; i < hak_arena_end() * HAK_SEGMENT_PAGES; i++) {
        SUPPORT_REQUIRE(support_is_zero(hak_region_page_start(i), 256));
        SUPPORT_REQUIRE(hak_pages_dirty(i, 1) == 0);
    }
}

static void segment__purge_while_slots_are_used__takes_free_memory_only(void **state)
{
    (void)state;
    for (unsigned round = 0; round < (SUPPORT_SHADOWED ? 1 : 5); round++)
        scenario_run(race_with_purge, NULL);
    scenario_run(race_with_purge, &stop_now); /* each purge fails */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segment__8_threads_random_runs__no_slot_is_owned_twice),
        cmocka_unit_test(segment__as_many_slots_as_threads__everybody_gets_one),
        cmocka_unit_test(segment__purge_while_slots_are_used__takes_free_memory_only),
    };
    return cmocka_run_group_tests_name("segment_threads", tests, NULL, NULL);
}
