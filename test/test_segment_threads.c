/*
 * Page slots of segments under threads: a shadow of who owns which slot proves that none is handed
 * out twice and none is lost.
 *
 * ctest: labels=quick timeout=120 core=fake
 */
#include "segment/purge.h"
#include "segment/segment.h"

#include "scenario.h"

#include <stdatomic.h>

#define THREADS 8
#define SEGMENTS_MAX 20000

static _Atomic(uint8_t) owners[SEGMENTS_MAX * HAK_SEGMENT_PAGES]; /* 0: nobody */
static _Atomic(bool) stop_now;

static void shadow_take(unsigned index, size_t page, size_t count)
{
    for (size_t i = page; i < page + count; i++) {
        uint8_t owner = atomic_exchange(&owners[i], (uint8_t)(index + 1));
        if (owner != 0)
            dprintf(STDERR_FILENO, "slot %zu was handed out twice\n", i);
        SUPPORT_REQUIRE(owner == 0);
    }
}

static void shadow_release(unsigned index, size_t page, size_t count, bool dirty)
{
    for (size_t i = page; i < page + count; i++)
        SUPPORT_REQUIRE(atomic_exchange(&owners[i], 0) == index + 1);
    hak_pages_release(page, count, dirty);
}

/* What the words say is what the shadow says. */
static void shadow_compare(void)
{
    for (size_t i = 0; i < hak_arena_end(); i++) {
        enum hak_pool pool;
        uint32_t taken = hak_segment_taken(i, &pool);
        for (size_t slot = 0; slot < HAK_SEGMENT_PAGES; slot++)
            SUPPORT_REQUIRE((atomic_load(&owners[i * HAK_SEGMENT_PAGES + slot]) != 0) ==
                            ((taken >> slot & 1) != 0));
    }
    SUPPORT_REQUIRE(hak_segment_is_valid());
}

struct run {
    size_t page, count;
    enum hak_pool pool;
};

#define RUNS 64

static void run_claim(struct run *run, unsigned index, uint64_t *seed)
{
    run->pool = (enum hak_pool)(HAK_POOL_TINY + support_random(seed) % 4);
    if (run->pool == HAK_POOL_LARGE && support_random(seed) % 4 == 0) {
        run->count = 1 + support_random(seed) % 200;
        run->page = hak_pages_claim_long(run->count, (size_t)1 << support_random(seed) % 3);
    } else {
        run->count = 1 + support_random(seed) % (support_random(seed) % 2 == 0 ? 4 : 32);
        run->page = hak_pages_claim(run->pool, run->count, 1);
    }
    if (run->page == HAK_NO_PAGE)
        run->count = 0;
    shadow_take(index, run->page, run->count);
    for (size_t i = 0; i < run->count; i++) { /* no other pool has slots there while we have */
        enum hak_pool pool;
        (void)hak_segment_taken((run->page + i) / HAK_SEGMENT_PAGES, &pool);
        SUPPORT_REQUIRE(pool == run->pool);
    }
}

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

/* ---- two at the same place at the same moment ----------------------------------------------- */

static struct scenario_meeting meeting;

/* One takes new segments; the other wants the slot at the end of the arena, as a large block does
 * that grows in place. */
static void claim_at_the_end(unsigned index, void *unused)
{
    (void)unused;
    for (size_t step = 0; hak_arena_end() < hak_arena.max_segments; step++) {
        size_t page = hak_arena_end() * HAK_SEGMENT_PAGES;
        if (index == 0) {
            for (unsigned tries = 0; tries < 200; tries++) {
                if (hak_pages_claim_at(page, 1)) {
                    shadow_take(index, page, 1);
                    break;
                }
            }
            continue;
        }
        size_t count = step % 2 == 0 ? HAK_SEGMENT_PAGES : 2 * HAK_SEGMENT_PAGES;
        page = step % 2 == 0 ? hak_pages_claim(HAK_POOL_MID, count, 1)
                             : hak_pages_claim_long(count, 1);
        if (page != HAK_NO_PAGE)
            shadow_take(index, page, count);
    }
}

static void race_at_the_end(void *unused)
{
    (void)unused;
    scenario_arena(SEGMENTS_MAX);
    scenario_threads(2, claim_at_the_end, NULL);
    shadow_compare();
}

static void segment__runs_grow_where_others_take_new_ones__no_slot_is_owned_twice(void **state)
{
    (void)state;
    for (unsigned round = 0; round < (SUPPORT_SHADOWED ? 2 : 10); round++)
        scenario_run(race_at_the_end, NULL);
}

static size_t free_slot; /* [thread 1, between meetings] */

static void spin(unsigned turns)
{
    for (volatile unsigned i = 0; i < turns; i++)
        ;
}

/* All slots are taken but one: one thread takes that while the other gives another one back. */
static void fill_and_make_room(unsigned index, void *unused)
{
    uint64_t seed = index;
    (void)unused;
    for (size_t step = 0; step < (SUPPORT_SHADOWED ? 5000 : 50000); step++) {
        scenario_meet(&meeting, 2);
        size_t other = (free_slot + 1) % HAK_SEGMENT_PAGES;
        spin(support_random(&seed) % 32);
        if (index == 0) {
            hak_pages_release(other, 1, false);
            scenario_meet(&meeting, 2);
            continue;
        }
        size_t page = hak_pages_claim(HAK_POOL_TINY, 1, 1);
        scenario_meet(&meeting, 2);
        SUPPORT_REQUIRE(page == free_slot || page == other);
        free_slot = page == free_slot ? other : free_slot;
        SUPPORT_REQUIRE(hak_segment_is_valid()); /* the room that is left is to be found */
    }
}

static void race_for_room(void *unused)
{
    (void)unused;
    scenario_arena(4);
    for (size_t i = 0; i < 4 * HAK_SEGMENT_PAGES; i++)
        SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 1, 1) == i);
    hak_pages_release(free_slot, 1, false);
    scenario_threads(2, fill_and_make_room, NULL);
}

static void segment__last_slot_taken_while_one_is_released__room_is_found(void **state)
{
    (void)state;
    scenario_run(race_for_room, NULL);
}

/* A slot becomes free while the purge finds that there is nothing more. */
static void release_and_purge(unsigned index, void *unused)
{
    uint64_t seed = index;
    (void)unused;
    for (size_t step = 0; step < (SUPPORT_SHADOWED ? 5000 : 50000); step++) {
        scenario_meet(&meeting, 2);
        spin(support_random(&seed) % 32);
        if (index == 0) {
            hak_pages_release(5, 1, true);
            scenario_meet(&meeting, 2);
            continue;
        }
        hak_segment_purge(0, true);
        scenario_meet(&meeting, 2);
        hak_purge_all();
        SUPPORT_REQUIRE(hak_dirty_bytes() == 0); /* what became free is found by the next one */
        SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 1, 1) == 5);
    }
}

static void race_to_purge(void *unused)
{
    (void)unused;
    scenario_arena(64);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 32, 1) == 0);
    scenario_threads(2, release_and_purge, NULL);
}

static void segment__slot_released_while_others_are_purged__is_purged_next(void **state)
{
    (void)state;
    scenario_run(race_to_purge, NULL);
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
    scenario_run(race_with_purge, owners); /* each purge fails */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segment__8_threads_random_runs__no_slot_is_owned_twice),
        cmocka_unit_test(segment__runs_grow_where_others_take_new_ones__no_slot_is_owned_twice),
        cmocka_unit_test(segment__last_slot_taken_while_one_is_released__room_is_found),
        cmocka_unit_test(segment__slot_released_while_others_are_purged__is_purged_next),
        cmocka_unit_test(segment__as_many_slots_as_threads__everybody_gets_one),
        cmocka_unit_test(segment__purge_while_slots_are_used__takes_free_memory_only),
    };
    return cmocka_run_group_tests_name("segment_threads", tests, NULL, NULL);
}
