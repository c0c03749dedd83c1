/*
 * Free memory goes back to the system after a while, or at once when asked.
 *
 * ctest: labels=quick timeout=120 core=fake
 */
#include "segment/purge.h"
#include "segment/segment.h"

#include "scenario.h"

#include <stdatomic.h>

#define DECAY_MS 100

static char *slot_start(size_t page)
{
    return hak_region_page_start(page);
}

/* An arena whose first `count` slots are claimed and filled. */
static void claim_filled(size_t count)
{
    scenario_arena(64);
    hak_purge_init(DECAY_MS);
    for (size_t page = 0; page < count; page++) {
        SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 1, 1) == page);
        SUPPORT_REQUIRE(hak_pages_dirty(page, 1) == 0);
        support_fill(slot_start(page), HAK_PAGE_BYTES, page);
    }
    SUPPORT_REQUIRE(hak_dirty_bytes() == 0); /* taken slots are not free memory */
}

static bool is_filled(size_t page)
{
    return support_holds(slot_start(page), HAK_PAGE_BYTES, page);
}

static bool is_zero(size_t page)
{
    return support_is_zero(slot_start(page), HAK_PAGE_BYTES);
}

/* ---- what is dirty -------------------------------------------------------------------------- */

static void release_and_claim(void *unused)
{
    (void)unused;
    claim_filled(8);
    hak_pages_release(2, 4, true);
    hak_pages_release(6, 1, false);
    SUPPORT_REQUIRE(hak_dirty_bytes() == 4 * HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 2, 1) == 2);
    SUPPORT_REQUIRE(hak_dirty_bytes() == 2 * HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(hak_pages_dirty(2, 2) == 2);
    SUPPORT_REQUIRE(is_filled(2) && is_filled(3)); /* nothing took it away in between */
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 3, 1) == 4);
    SUPPORT_REQUIRE(hak_pages_dirty(4, 3) == 2 && hak_pages_dirty(6, 1) == 0);
    SUPPORT_REQUIRE(hak_dirty_bytes() == 0);
    hak_pages_clean(3, 2);
    SUPPORT_REQUIRE(hak_pages_dirty(0, 8) == 2);
    hak_pages_release(2, 5, false); /* what was dirty stays so */
    SUPPORT_REQUIRE(hak_dirty_bytes() == 2 * HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(hak_purge_all() == 2 * HAK_PAGE_BYTES && hak_dirty_bytes() == 0);
    SUPPORT_REQUIRE(hak_purge_all() == 0);
    SUPPORT_REQUIRE(is_filled(7));
}

static void purge__released_and_claimed__dirty_is_accounted(void **state)
{
    (void)state;
    scenario_run(release_and_claim, NULL);
}

/* Over several segments, taken and free ones in turn. */
static void purge_everything(void *unused)
{
    (void)unused;
    claim_filled(100);
    for (size_t page = 0; page < 96; page += 4)
        hak_pages_release(page, 3, true);
    SUPPORT_REQUIRE(hak_purge_all() == 72 * HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_PURGE) == 24); /* one a run */
    for (size_t page = 0; page < 100; page++) {
        bool is_free = page < 96 && page % 4 != 3;
        SUPPORT_REQUIRE(is_free ? is_zero(page) : is_filled(page));
    }
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 3, 1) == 0);
    SUPPORT_REQUIRE(hak_pages_dirty(0, 3) == 0);
    SUPPORT_REQUIRE(hak_segment_is_valid() && hak_dirty_bytes() == 0);
}

static void purge__all__gives_free_slots_back_and_no_taken_ones(void **state)
{
    (void)state;
    scenario_run(purge_everything, NULL);
}

/* What is free in the upper segments goes; `kept` segments of 2 MiB are within the bound. */
static void check_bound(size_t segments, size_t kept)
{
    size_t first = hak_arena_end() - segments;
    hak_purge_bound(0);
    SUPPORT_REQUIRE(hak_dirty_bytes() == segments * HAK_SEGMENT_BYTES);
    hak_purge_bound(3); /* whole segments go, the highest first */
    SUPPORT_REQUIRE(hak_dirty_bytes() == (segments - 1) * HAK_SEGMENT_BYTES);
    SUPPORT_REQUIRE(is_zero(hak_region_pages() - 1));
    hak_purge_bound(33);
    SUPPORT_REQUIRE(hak_dirty_bytes() == (segments - 3) * HAK_SEGMENT_BYTES);
    hak_purge_bound(100000);
    SUPPORT_REQUIRE(hak_dirty_bytes() == kept * HAK_SEGMENT_BYTES);
    hak_purge_bound(100000);
    SUPPORT_REQUIRE(hak_dirty_bytes() == kept * HAK_SEGMENT_BYTES);
    for (size_t i = first; i < hak_arena_end(); i++)
        SUPPORT_REQUIRE((hak_pages_dirty(i * HAK_SEGMENT_PAGES, 32) != 0) == (i < first + kept));
}

static void purge_to_bound(void *unused)
{
    (void)unused;
    scenario_arena(80);
    SUPPORT_REQUIRE(hak_pages_claim_long(12 * HAK_SEGMENT_PAGES, 1) == 0);
    hak_pages_release(0, 12 * HAK_SEGMENT_PAGES, true);
    check_bound(12, 2); /* 4 MiB always stay */
    (void)hak_purge_all();
    SUPPORT_REQUIRE(hak_pages_claim_long(40 * HAK_SEGMENT_PAGES, 1) == 384);
    SUPPORT_REQUIRE(hak_pages_claim_long(20 * HAK_SEGMENT_PAGES, 1) == 1664);
    hak_pages_release(1664, 20 * HAK_SEGMENT_PAGES, true);
    check_bound(20, 10); /* and a quarter of what is in use */
}

static void purge__bound__highest_first_and_as_much_as_is_wanted(void **state)
{
    (void)state;
    scenario_run(purge_to_bound, NULL);
}

/* ---- time ----------------------------------------------------------------------------------- */

static bool tick(void)
{
    hak_fake_advance_ms(DECAY_MS);
    return hak_purge_poll();
}

static void pass_time(void *unused)
{
    (void)unused;
    claim_filled(10);
    hak_pages_release(1, 1, true);
    SUPPORT_REQUIRE(!hak_purge_poll()); /* no time has passed */
    hak_fake_advance_ms(DECAY_MS - 1);
    SUPPORT_REQUIRE(!hak_purge_poll() && hak_purge_ticks() == 0);
    hak_fake_advance_ms(1);
    SUPPORT_REQUIRE(hak_purge_poll() && hak_purge_ticks() == 1);
    SUPPORT_REQUIRE(is_filled(1) && hak_dirty_bytes() == HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(!hak_purge_poll());
    hak_pages_release(3, 1, true); /* between the ticks: young */
    SUPPORT_REQUIRE(tick());
    SUPPORT_REQUIRE(is_zero(1) && is_filled(3) && hak_dirty_bytes() == HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 1, 1) == 3); /* used again: young again */
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 1, 1) == 1);
    hak_pages_release(3, 1, true);
    SUPPORT_REQUIRE(tick());
    SUPPORT_REQUIRE(is_filled(3));
    SUPPORT_REQUIRE(tick());
    SUPPORT_REQUIRE(is_zero(3) && hak_dirty_bytes() == 0);
    SUPPORT_REQUIRE(hak_purge_ticks() == 4);
    size_t calls = hak_fake_count(HAK_FAKE_PURGE);
    SUPPORT_REQUIRE(tick() && tick());
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_PURGE) == calls); /* nothing more to do */
}

static void purge__time_passes__two_ticks_old_memory_goes(void **state)
{
    (void)state;
    scenario_run(pass_time, NULL);
}

static void decay_at_once(void *unused)
{
    (void)unused;
    claim_filled(4);
    hak_purge_init(0);
    hak_pages_release(1, 2, true);
    SUPPORT_REQUIRE(hak_purge_poll());
    SUPPORT_REQUIRE(hak_dirty_bytes() == 0 && is_zero(1) && is_zero(2));
}

static void purge__no_decay__every_poll_gives_back(void **state)
{
    (void)state;
    scenario_run(decay_at_once, NULL);
}

/* ---- failures ------------------------------------------------------------------------------- */

static void fail_purges(void *unused)
{
    (void)unused;
    claim_filled(12);
    hak_pages_release(0, 2, true);
    hak_pages_release(4, 2, true);
    hak_pages_release(8, 2, true);
    hak_fake_fail(HAK_FAKE_PURGE, 2, 1); /* the middle one */
    SUPPORT_REQUIRE(hak_purge_all() == 4 * HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(hak_dirty_bytes() == 2 * HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(is_zero(0) && !is_zero(4) && is_zero(8));
    SUPPORT_REQUIRE(hak_pages_dirty(0, 4) == 0);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 2, 4) == 4 && hak_pages_dirty(4, 2) == 2);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 2, 4) == 0);
    hak_pages_release(4, 2, false);
    hak_fake_fail(HAK_FAKE_PURGE, 1, HAK_FAKE_FOREVER);
    SUPPORT_REQUIRE(tick() && tick() && tick());
    SUPPORT_REQUIRE(hak_dirty_bytes() == 2 * HAK_PAGE_BYTES);
    hak_fake_heal();
    SUPPORT_REQUIRE(tick()); /* it is tried again */
    SUPPORT_REQUIRE(hak_dirty_bytes() == 0 && is_zero(4) && is_zero(5));
    SUPPORT_REQUIRE(is_filled(2) && is_filled(6) && hak_segment_is_valid());
}

static void purge__call_fails__memory_stays_dirty_and_is_tried_again(void **state)
{
    (void)state;
    scenario_run(fail_purges, NULL);
}

/* ---- moved segments ------------------------------------------------------------------------- */

static void fill_and_release(size_t page, size_t count)
{
    for (size_t i = page; i < page + count; i++)
        support_fill(slot_start(i), HAK_PAGE_BYTES, i);
    hak_pages_release(page, count, true);
}

static void purge_moved(void *unused)
{
    (void)unused;
    scenario_arena(64);
    SUPPORT_REQUIRE(hak_pages_claim_long(64, 1) == 0);
    hak_segment_moved(1, true);
    hak_segment_moved(1, true);
    SUPPORT_REQUIRE(hak_segments_moved() == 1);
    fill_and_release(0, 64);
    SUPPORT_REQUIRE(hak_purge_all() == 64 * HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(is_zero(0) && is_zero(32) && is_zero(63) && hak_dirty_bytes() == 0);
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_RENEW) == 1);
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_PURGE) == 1);
    SUPPORT_REQUIRE(hak_segments_moved() == 0);
    SUPPORT_REQUIRE(hak_pages_claim_long(64, 1) == 0);
    fill_and_release(0, 64); /* what was renewed can be used, as any other */
    SUPPORT_REQUIRE(hak_purge_all() == 64 * HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_RENEW) == 1);
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0 && hak_segment_is_valid());
}

static void purge__moved_segment__is_renewed(void **state)
{
    (void)state;
    scenario_run(purge_moved, NULL);
}

/* Then it may be unmapped: nobody gets it any more. */
static void fail_renewal(void *unused)
{
    enum hak_pool pool;
    (void)unused;
    scenario_arena(64);
    SUPPORT_REQUIRE(hak_pages_claim_long(96, 1) == 0);
    hak_segment_moved(1, true);
    fill_and_release(0, 96);
    hak_fake_fail(HAK_FAKE_RENEW, 1, 1);
    SUPPORT_REQUIRE(hak_purge_all() == 64 * HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(is_zero(0) && is_zero(31) && is_zero(64) && is_zero(95));
    SUPPORT_REQUIRE(hak_segment_taken(0, &pool) == 0 && hak_segment_taken(2, &pool) == 0);
    SUPPORT_REQUIRE(hak_segment_taken(1, &pool) == UINT32_MAX);
    SUPPORT_REQUIRE(hak_dirty_bytes() == 0 && hak_segment_is_valid());
    SUPPORT_REQUIRE(hak_purge_all() == 0 && hak_fake_count(HAK_FAKE_RENEW) == 1);
    SUPPORT_REQUIRE(hak_pages_claim_long(64, 1) == 96);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_MID, 32, 1) == 0);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_MID, 32, 1) == 64);
}

static void purge__renewal_fails__segment_is_out_of_use(void **state)
{
    (void)state;
    scenario_run(fail_renewal, NULL);
}

static void purge_moved_in_use(void *unused)
{
    (void)unused;
    scenario_arena(64);
    SUPPORT_REQUIRE(hak_pages_claim_long(32, 1) == 0);
    hak_segment_moved(0, true);
    support_fill(slot_start(0), HAK_PAGE_BYTES, 0);
    fill_and_release(1, 31);
    SUPPORT_REQUIRE(hak_purge_all() == 31 * HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(is_filled(0) && is_zero(1) && is_zero(31));
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_RENEW) == 0 && hak_segments_moved() == 1);
}

static void purge__moved_segment_in_use__is_purged_by_parts(void **state)
{
    (void)state;
    scenario_run(purge_moved_in_use, NULL);
}

/* ---- the maps ------------------------------------------------------------------------------- */

static void walk_map(void *unused)
{
    enum { SEGMENTS = 300 };
    bool is_dirty[SEGMENTS] = {false};
    uint64_t seed = 3;
    (void)unused;
    scenario_arena(SEGMENTS);
    SUPPORT_REQUIRE(hak_pages_claim_long(SEGMENTS * HAK_SEGMENT_PAGES, 1) == 0);
    for (unsigned round = 0; round < 30; round++) {
        size_t at = support_random(&seed) % SEGMENTS;
        if (!is_dirty[at])
            hak_pages_release(at * HAK_SEGMENT_PAGES + round, 1, true);
        is_dirty[at] = true;
        size_t next = HAK_NO_SEGMENT, prev = HAK_NO_SEGMENT;
        for (size_t i = SEGMENTS; i-- > 0;) {
            next = is_dirty[i] ? i : next;
            SUPPORT_REQUIRE(hak_segment_next(HAK_MAP_DIRTY, i) == next);
        }
        for (size_t i = 0; i <= SEGMENTS; i++) {
            SUPPORT_REQUIRE(hak_segment_prev(HAK_MAP_DIRTY, i) == prev);
            prev = i < SEGMENTS && is_dirty[i] ? i : prev;
        }
        SUPPORT_REQUIRE(hak_segment_next(HAK_MAP_DIRTY, SEGMENTS) == HAK_NO_SEGMENT);
    }
}

static void purge__map_of_dirty_segments__is_walked_both_ways(void **state)
{
    (void)state;
    scenario_run(walk_map, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(purge__released_and_claimed__dirty_is_accounted),
        cmocka_unit_test(purge__all__gives_free_slots_back_and_no_taken_ones),
        cmocka_unit_test(purge__bound__highest_first_and_as_much_as_is_wanted),
        cmocka_unit_test(purge__time_passes__two_ticks_old_memory_goes),
        cmocka_unit_test(purge__no_decay__every_poll_gives_back),
        cmocka_unit_test(purge__call_fails__memory_stays_dirty_and_is_tried_again),
        cmocka_unit_test(purge__moved_segment__is_renewed),
        cmocka_unit_test(purge__renewal_fails__segment_is_out_of_use),
        cmocka_unit_test(purge__moved_segment_in_use__is_purged_by_parts),
        cmocka_unit_test(purge__map_of_dirty_segments__is_walked_both_ways),
    };
    return cmocka_run_group_tests_name("purge", tests, NULL, NULL);
}
