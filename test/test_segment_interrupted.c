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
        hak_segment_purge(support_random(&seed) % hak_arena_end(), true);
    else
        run_step(0);
    return true;
}

static void step_interruption(void)
{
    run_step(1);
    if (support_random(&seed) % 8 == 0)
        hak_segment_purge(support_random(&seed) % hak_arena_end(), true);
}

static void check_steps(void)
{
    static size_t checks;
    SUPPORT_REQUIRE(hak_segment_is_valid());
    if (++checks % 1024 == 0)
        shadow_compare();
}

static void interrupt_steps(void *unused)
{
    (void)unused;
    scenario_arena(40);
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

/* A slot comes and goes, and with it the room in its segment, or the dirty memory. */
static size_t toggled, held;
static bool leaves_dirty;

static void toggle_interruption(void)
{
    if (toggled == HAK_NO_PAGE) {
        toggled = hak_pages_claim(HAK_POOL_TINY, 1, 1);
    } else {
        hak_pages_release(toggled, 1, leaves_dirty);
        toggled = HAK_NO_PAGE;
    }
}

static bool room_operation(void)
{
    held = hak_pages_claim(HAK_POOL_TINY, 1, 1);
    return true;
}

/* There is no other memory: what is free must be found. */
static void check_room(void)
{
    SUPPORT_REQUIRE(hak_segment_is_valid());
    size_t holders = (held != HAK_NO_PAGE) + (toggled != HAK_NO_PAGE);
    SUPPORT_REQUIRE(hak_taken_bytes() == (4 * HAK_SEGMENT_PAGES - 2 + holders) * HAK_PAGE_BYTES);
    if (holders < 2) {
        size_t page = hak_pages_claim(HAK_POOL_TINY, 1, 1);
        SUPPORT_REQUIRE(page != HAK_NO_PAGE);
        hak_pages_release(page, 1, leaves_dirty);
    }
    if (held != HAK_NO_PAGE)
        hak_pages_release(held, 1, leaves_dirty);
}

static bool purge_operation(void)
{
    hak_segment_purge(0, true);
    return true;
}

static void check_purge(void)
{
    SUPPORT_REQUIRE(hak_segment_is_valid());
    hak_purge_all(); /* what became free after all is found now */
    SUPPORT_REQUIRE(hak_dirty_bytes() == 0);
}

/* All slots are taken but those at `first` and `second`; the second comes and goes. */
static void take_all_but(size_t first, size_t second)
{
    scenario_arena(4);
    for (size_t i = 0; i < 4 * HAK_SEGMENT_PAGES; i++)
        SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 1, 1) == i);
    hak_pages_release(first, 1, false);
    toggled = second;
}

static void interrupt_claims(void *unused)
{
    (void)unused;
    take_all_but(7, 5); /* in one segment */
    interrupt_run(room_operation, toggle_interruption, check_room);
}

static void interrupt_claims_above(void *argument)
{
    leaves_dirty = argument != NULL;
    take_all_but(70, 5); /* there is room again before where the search is */
    interrupt_run(room_operation, toggle_interruption, check_room);
}

static void interrupt_purges(void *unused)
{
    (void)unused;
    leaves_dirty = true;
    take_all_but(70, 5);
    interrupt_run(purge_operation, toggle_interruption, check_purge);
}

static void segment__claim_interrupted_by_a_release__room_is_found(void **state)
{
    (void)state;
    run_interrupted(interrupt_claims, NULL);
    run_interrupted(interrupt_claims_above, NULL);
    run_interrupted(interrupt_claims_above, &leaves_dirty);
}

static void segment__purge_interrupted_by_a_release__next_one_finds_it(void **state)
{
    (void)state;
    run_interrupted(interrupt_purges, NULL);
}

static void segment__claims_interrupted_by_others__no_slot_is_owned_twice(void **state)
{
    (void)state;
    run_interrupted(interrupt_steps, NULL);
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
