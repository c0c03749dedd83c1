/*
 * Claims, releases and purges of page slots, each interrupted by another one at any instruction:
 * no slot is handed out twice, and what is free can be found.
 *
 * ctest: labels=quick timeout=120 core=fake
 */
#include "segment/purge.h"
#include "segment/segment.h"

#include "interrupt.h"
#include "scenario.h"
#include "shadow.h"

#define RUNS 16

static uint64_t seed = 1;

static void run_interrupted(void (*body)(void *), void *argument)
{
    if (SUPPORT_SHADOWED)
        skip();
    scenario_run(body, argument);
}

static struct run runs_of[2][RUNS];

/* One random step on one of the runs of a party. */
static void run_step(unsigned index)
{
    struct run *run = &runs_of[index][support_random(&seed) % RUNS];
    size_t more = 1 + support_random(&seed) % 40;
    if (run->count == 0) {
        run_claim(run, index, &seed);
    } else if (run->pool == HAK_POOL_LARGE && support_random(&seed) % 2 == 0 &&
               hak_pages_claim_at(run->page + run->count, more)) {
        shadow_take(index, run->page + run->count, more);
        run->count += more;
    } else {
        shadow_release(index, run->page, run->count, support_random(&seed) % 2 == 0);
        run->count = 0;
    }
}

static bool step_operation(void)
{
    if (support_random(&seed) % 8 == 0)
        hak_segment_purge(support_random(&seed) % hak_arena_end(), HAK_PURGE_DIRTY);
    else
        run_step(0);
    return true;
}

static void step_interruption(void)
{
    for (size_t steps = 1 + support_random(&seed) % 6; steps > 0; steps--)
        run_step(1);
    if (support_random(&seed) % 8 == 0)
        hak_segment_purge(support_random(&seed) % hak_arena_end(), HAK_PURGE_DIRTY);
}

static void check_steps(void)
{
    static size_t checks;
    SUPPORT_REQUIRE(hak_segment_is_valid());
    for (size_t i = 0; i < RUNS; i++) {
        run_check(&runs_of[0][i]);
        run_check(&runs_of[1][i]);
    }
    if (++checks % 1024 == 0)
        shadow_compare();
}

static void interrupt_steps(void *argument)
{
    scenario_arena(*(const size_t *)argument);
    run_step(0);
    interrupt_run(step_operation, step_interruption, check_steps);
    shadow_compare();
    hak_purge_all();
    SUPPORT_REQUIRE(hak_dirty_bytes() == 0);
}

/* New segments, while the slot at the end of the arena is wanted, as by a large block that grows.
 */
static bool end_operation(void)
{
    bool is_long = support_random(&seed) % 2 == 0;
    size_t count = is_long ? 2 * HAK_SEGMENT_PAGES : HAK_SEGMENT_PAGES;
    size_t page =
        is_long ? hak_pages_claim_long(count, 1) : hak_pages_claim(HAK_POOL_MID, count, 1);
    if (page != HAK_NO_PAGE)
        shadow_take(0, page, count);
    return page != HAK_NO_PAGE;
}

static void end_interruption(void)
{
    for (size_t back = 0; back < 3 && back <= hak_arena_end(); back++) {
        size_t page = (hak_arena_end() - back) * HAK_SEGMENT_PAGES;
        if (hak_pages_claim_at(page, 1))
            shadow_take(1, page, 1);
    }
}

static void check_nothing(void)
{
}

static void interrupt_at_the_end(void *unused)
{
    (void)unused;
    scenario_arena(SHADOW_SEGMENTS);
    interrupt_run(end_operation, end_interruption, check_nothing);
    shadow_compare();
}

/* A slot, or a whole segment, comes and goes, and with it the room there or the dirty memory. */
static size_t unit_slots;
static bool leaves_dirty;
static size_t toggled, held; /* HAK_NO_PAGE: is free */

static size_t unit_claim(void)
{
    return unit_slots == 1 ? hak_pages_claim(HAK_POOL_TINY, 1, 1)
                           : hak_pages_claim_long(unit_slots, 1);
}

static void toggle_interruption(void)
{
    if (toggled == HAK_NO_PAGE) {
        toggled = unit_claim();
    } else {
        hak_pages_release(toggled, unit_slots, leaves_dirty);
        toggled = HAK_NO_PAGE;
    }
}

static bool room_operation(void)
{
    held = unit_claim();
    return true;
}

/* There is no other memory: what is free must be found. */
static void check_room(void)
{
    SUPPORT_REQUIRE(hak_segment_is_valid());
    size_t free_units = (held == HAK_NO_PAGE) + (toggled == HAK_NO_PAGE);
    SUPPORT_REQUIRE(hak_taken_bytes() ==
                    (4 * HAK_SEGMENT_PAGES - free_units * unit_slots) * HAK_PAGE_BYTES);
    if (free_units > 0) {
        size_t page = unit_claim();
        SUPPORT_REQUIRE(page != HAK_NO_PAGE);
        hak_pages_release(page, unit_slots, leaves_dirty);
    }
    if (held != HAK_NO_PAGE)
        hak_pages_release(held, unit_slots, leaves_dirty);
    if (toggled != HAK_NO_PAGE) { /* so that a search begins at the front again */
        hak_pages_release(toggled, unit_slots, leaves_dirty);
        toggled = unit_claim();
    }
}

static bool purge_operation(void)
{
    hak_segment_purge(0, HAK_PURGE_DIRTY);
    return true;
}

static void check_purge(void)
{
    SUPPORT_REQUIRE(hak_segment_is_valid());
    hak_purge_all(); /* what became free after all is found now */
    SUPPORT_REQUIRE(hak_dirty_bytes() == 0);
}

/* What comes and goes: `second`, while `first` is claimed and released. All else is taken. */
struct places {
    size_t unit_slots, first, second;
    bool leaves_dirty;
};

static void take_all_but(const struct places *places)
{
    scenario_arena(4);
    unit_slots = places->unit_slots;
    leaves_dirty = places->leaves_dirty;
    for (size_t page = 0; page < 4 * HAK_SEGMENT_PAGES; page += unit_slots)
        SUPPORT_REQUIRE(unit_claim() == page);
    hak_pages_release(places->first, unit_slots, false);
    toggled = places->second;
}

static void interrupt_claims(void *places)
{
    take_all_but(places);
    interrupt_run(room_operation, toggle_interruption, check_room);
}

static void interrupt_purges(void *places)
{
    take_all_but(places);
    interrupt_run(purge_operation, toggle_interruption, check_purge);
}

static void segment__claim_interrupted_by_a_release__room_is_found(void **state)
{
    struct places rows[] = {
        {1, 7, 5, false},                    /* in one segment */
        {1, 7, 5, true},  {1, 70, 5, false}, /* there is room again before where the search is */
        {1, 70, 5, true}, {32, 64, 0, false}, {32, 64, 0, true},
    };
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(rows); i++)
        run_interrupted(interrupt_claims, &rows[i]);
}

static void segment__purge_interrupted_by_a_release__next_one_finds_it(void **state)
{
    struct places places = {1, 70, 5, true};
    (void)state;
    run_interrupted(interrupt_purges, &places);
}

static void segment__claims_interrupted_by_others__no_slot_is_owned_twice(void **state)
{
    (void)state;
    size_t segments[] = {6, 40}; /* too few, and enough */
    for (size_t i = 0; i < SUPPORT_COUNT(segments); i++)
        run_interrupted(interrupt_steps, &segments[i]);
}

static void segment__new_segments_interrupted_by_growth__no_slot_is_owned_twice(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 4; round++)
        run_interrupted(interrupt_at_the_end, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segment__claim_interrupted_by_a_release__room_is_found),
        cmocka_unit_test(segment__purge_interrupted_by_a_release__next_one_finds_it),
        cmocka_unit_test(segment__claims_interrupted_by_others__no_slot_is_owned_twice),
        cmocka_unit_test(segment__new_segments_interrupted_by_growth__no_slot_is_owned_twice),
    };
    return cmocka_run_group_tests_name("segment_interrupted", tests, NULL, NULL);
}
