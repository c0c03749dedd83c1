/*
 * Cases of the arena, of page slots and of the purge.
 */
#include "segment/segment.h"

#include <sys/mman.h>

#include "readable.h"
#include "schedule/cases.h"
#include "segment/os.h"
#include "segment/purge.h"

#define SEGMENTS 4
#define RUNS 8

/* ---- who holds which slots ------------------------------------------------------------------ */

static struct run {
    size_t page, count; /* 0: none */
    enum hak_pool pool;
} runs[RUNS];

/* Nobody may hold any of these. */
static struct run *run_note(enum hak_pool pool, size_t page, size_t count)
{
    struct run *free_run = NULL;
    for (size_t i = 0; i < RUNS; i++) {
        struct run *at = &runs[i];
        SUPPORT_REQUIRE(at->count == 0 || page >= at->page + at->count || page + count <= at->page);
        free_run = at->count == 0 ? at : free_run;
    }
    SUPPORT_REQUIRE(free_run != NULL);
    *free_run = (struct run){page, count, pool};
    return free_run;
}

static struct run *run_claim(enum hak_pool pool, size_t count)
{
    size_t page = hak_pages_claim(pool, count, 1);
    return page == HAK_NO_PAGE ? NULL : run_note(pool, page, count);
}

static void run_release(struct run *run, bool dirty)
{
    size_t page = run->page, count = run->count;
    run->count = 0;
    hak_pages_release(page, count, dirty);
}

/* Words, maps and figures say what the runs say. */
static void runs_check(void)
{
    uint32_t taken[SEGMENTS] = {0};
    size_t sum = 0;
    for (size_t i = 0; i < RUNS; i++) {
        for (size_t page = runs[i].page; page < runs[i].page + runs[i].count; page++, sum++) {
            enum hak_pool pool;
            (void)hak_segment_taken(page / HAK_SEGMENT_PAGES, &pool);
            SUPPORT_REQUIRE(pool == runs[i].pool);
            taken[page / HAK_SEGMENT_PAGES] |= (uint32_t)1 << page % HAK_SEGMENT_PAGES;
        }
    }
    for (size_t i = 0; i < hak_arena_end(); i++) {
        enum hak_pool pool;
        SUPPORT_REQUIRE(hak_segment_taken(i, &pool) == taken[i]);
    }
    SUPPORT_REQUIRE(hak_taken_bytes() == sum * HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(hak_segment_is_valid() && hak_region_is_valid() && hak_fake_mistakes() == 0);
    SUPPORT_REQUIRE(hak_region_pages() == hak_arena_end() * HAK_SEGMENT_PAGES);
}

/* What is free can be had, one slot after the other, and is the rest. */
static void rest_is_found(void)
{
    size_t taken = hak_taken_bytes() / HAK_PAGE_BYTES;
    while (taken < SEGMENTS * HAK_SEGMENT_PAGES) {
        enum hak_pool pool = HAK_POOL_TINY;
        for (size_t i = 0; i < hak_arena_end(); i++) {
            if (hak_segment_taken(i, &pool) != UINT32_MAX)
                break;
        }
        SUPPORT_REQUIRE(hak_pages_claim(pool == HAK_POOL_FREE ? HAK_POOL_TINY : pool, 1, 1) !=
                        HAK_NO_PAGE);
        taken++;
    }
}

static void check_rest_is_found(void)
{
    runs_check();
    rest_is_found();
}

static void arena_begin_as(bool commits_in_turn)
{
    const struct hak_arena_config config = {
        .reserve_bytes = SEGMENTS * HAK_SEGMENT_BYTES,
        .step_bytes = 2 * HAK_MIB,
        .max_step_bytes = 2 * HAK_MIB,
        .commits_in_turn = commits_in_turn,
    };
    hak_fake_wake(4096);
    hak_fake_at_yield(schedule_wait);
    SUPPORT_REQUIRE(hak_arena_init(&config));
}

static void arena_begin(void)
{
    arena_begin_as(false);
}

/* ---- the arena ------------------------------------------------------------------------------ */

static void setup_nothing(void)
{
    arena_begin();
    case_save(SEGMENTS);
}

/* No schedule finds memory that another one has committed. */
static void prepare_nothing(void)
{
    SUPPORT_REQUIRE(mprotect(hak_arena.base, SEGMENTS * HAK_SEGMENT_BYTES, PROT_NONE) == 0);
}

static size_t arena_taken; /* segments */
static bool is_handed_out[SEGMENTS];

static size_t arena_take(size_t count, size_t align)
{
    size_t skipped;
    size_t first = hak_arena_take(count, align, &skipped);
    for (size_t i = first - skipped; first != HAK_NO_SEGMENT && i < first + count; i++) {
        SUPPORT_REQUIRE(i < SEGMENTS && !is_handed_out[i]);
        is_handed_out[i] = true;
        arena_taken++;
        hak_arena.base[i * HAK_SEGMENT_BYTES] = 1; /* there is memory */
    }
    return first;
}

static void arena_take_one(void)
{
    (void)arena_take(1, 1);
}

static void arena_take_two(void)
{
    (void)arena_take(2, 1);
}

static void check_arena(void)
{
    SUPPORT_REQUIRE(hak_arena_end() == arena_taken && hak_arena_committed() >= arena_taken);
    SUPPORT_REQUIRE(hak_region_pages() == arena_taken * HAK_SEGMENT_PAGES);
    SUPPORT_REQUIRE(hak_region_is_valid() && hak_fake_mistakes() == 0);
}

static void commit_one(void)
{
    SUPPORT_REQUIRE(hak_arena_commit(1));
}

static void commit_three(void)
{
    SUPPORT_REQUIRE(hak_arena_commit(3));
}

static void check_commit(void)
{
    SUPPORT_REQUIRE(hak_arena_committed() >= 3 && hak_fake_mistakes() == 0);
    for (size_t i = 0; i < hak_arena_committed(); i++)
        hak_arena.base[i * HAK_SEGMENT_BYTES] = 1;
}

static void setup_nothing_in_turn(void)
{
    arena_begin_as(true);
    case_save(SEGMENTS);
}

static char *fence_of(size_t segment)
{
    return hak_arena.base + segment * HAK_SEGMENT_BYTES + hak_os_page_bytes();
}

static void arena_take_and_hide(void)
{
    size_t segment = arena_take(1, 1);
    SUPPORT_REQUIRE(hak_os_hide(fence_of(segment), hak_os_page_bytes()));
}

/* What was hidden is hidden still. */
static void check_fences(void)
{
    check_arena();
    for (size_t i = 0; i < arena_taken; i++)
        SUPPORT_REQUIRE(!readable_is(fence_of(i)));
}

static char *records[2];

static void record_new(void)
{
    char *record = hak_meta_new(64, 64);
    SUPPORT_REQUIRE(record != NULL);
    records[records[0] != NULL] = record;
}

static void check_records(void)
{
    SUPPORT_REQUIRE(records[0] != NULL && records[1] != NULL && records[0] != records[1]);
}

static size_t wins;

static void prepare_large_tag(void)
{
    hak_region_set(2, 1, HAK_TAG_LARGE);
}

static void clear_large(void)
{
    wins += hak_region_clear_large(2);
}

static void check_one_won(void)
{
    SUPPORT_REQUIRE(wins == 1 && hak_region_tag(2) == HAK_TAG_NONE);
}

static void claim_tiny(void)
{
    (void)run_claim(HAK_POOL_TINY, 1);
}

static void claim_mid(void)
{
    (void)run_claim(HAK_POOL_MID, 8);
}

static void claim_long(void)
{
    size_t count = HAK_SEGMENT_PAGES + 1;
    size_t page = hak_pages_claim_long(count, 1);
    if (page != HAK_NO_PAGE)
        (void)run_note(HAK_POOL_LARGE, page, count);
}

/* ---- room ----------------------------------------------------------------------------------- */

/* All segments are taken by Tiny, but for two runs of a slot each: [0] is held by who releases it,
 * the other one is free. */
static void setup_scarce(size_t held, size_t vacant)
{
    arena_begin();
    for (size_t i = 0; i < SEGMENTS; i++)
        SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, HAK_SEGMENT_PAGES, 1) != HAK_NO_PAGE);
    size_t first = held < vacant ? held : vacant, last = held + vacant - first;
    runs[0] = (struct run){held, 1, HAK_POOL_TINY};
    runs[1] = (struct run){0, first, HAK_POOL_TINY};
    runs[2] = (struct run){first + 1, last - first - 1, HAK_POOL_TINY};
    runs[3] = (struct run){last + 1, SEGMENTS * HAK_SEGMENT_PAGES - last - 1, HAK_POOL_TINY};
    hak_pages_release(vacant, 1, false);
}

static void setup_room_in_one(void)
{
    setup_scarce(5, 7);
    case_save(SEGMENTS);
}

static void setup_room_before(void)
{
    setup_scarce(5, 70);
    case_save(SEGMENTS);
}

/* Nobody else claims: there is a slot all the time. */
static void claim_surely(void)
{
    SUPPORT_REQUIRE(run_claim(HAK_POOL_TINY, 1) != NULL);
}

static void release_held(void)
{
    run_release(&runs[0], false);
}

static void release_held_dirty(void)
{
    run_release(&runs[0], true);
}

/* A segment with one slot taken, which is released: then it may be any pool's. */
static void setup_one_slot(void)
{
    arena_begin();
    for (size_t i = 0; i < SEGMENTS - 1; i++)
        SUPPORT_REQUIRE(run_claim(HAK_POOL_LARGE, HAK_SEGMENT_PAGES) != NULL);
    SUPPORT_REQUIRE(run_claim(HAK_POOL_TINY, 1) != NULL);
    case_save(SEGMENTS);
}

static struct run *run_of(enum hak_pool pool)
{
    for (size_t i = 0; i < RUNS; i++) {
        if (runs[i].count != 0 && runs[i].pool == pool)
            return &runs[i];
    }
    return NULL;
}

/* The slot comes back with another pool, and once more with the first one. */
static void change_pool(void)
{
    run_release(run_of(HAK_POOL_TINY), false);
    struct run *run = run_claim(HAK_POOL_MID, 1);
    if (run != NULL) {
        run_release(run, false);
        (void)run_claim(HAK_POOL_TINY, 1);
    }
}

static void claim_smallmid(void)
{
    (void)run_claim(HAK_POOL_SMALLMID, 1);
}

/* ---- purge ---------------------------------------------------------------------------------- */

static char *page_start(size_t page_idx)
{
    return hak_region_page_start(page_idx);
}

/* Of the first segment slots 0 and 1 are free and hold something; slot 2 is held. */
static void setup_dirty(void)
{
    arena_begin();
    SUPPORT_REQUIRE(run_claim(HAK_POOL_TINY, 2) != NULL);
    struct run *dirty = run_of(HAK_POOL_TINY);
    SUPPORT_REQUIRE(dirty->page == 0);
    SUPPORT_REQUIRE(run_claim(HAK_POOL_TINY, 1) != NULL);
    run_release(dirty, true);
    case_save(SEGMENTS);
}

/* What other schedules have written goes. */
static void prepare_dirty(void)
{
    for (size_t page = 0; page < 8; page++)
        memset(page_start(page), page < 3 ? 0xaa : 0, 64);
}

static void purge(void)
{
    (void)hak_segment_purge(0, HAK_PURGE_DIRTY);
}

static void purge_aged(void)
{
    (void)hak_segment_purge(0, HAK_PURGE_AGED);
    (void)hak_segment_purge(0, HAK_PURGE_AGED);
}

/* Nobody takes away what is written to a slot that is held. */
static void claim_and_write(void)
{
    struct run *run = run_claim(HAK_POOL_TINY, 1);
    SUPPORT_REQUIRE(run != NULL);
    char *start = page_start(run->page);
    SUPPORT_REQUIRE(hak_pages_dirty(run->page, 1) != 0 || support_is_zero(start, 64));
    memset(start, 0x55, 64);
    SCHEDULE_HERE(start);
    for (size_t i = 0; i < 64; i++)
        SUPPORT_REQUIRE(start[i] == 0x55);
    run_release(run, true);
}

static void release_third(void)
{
    run_release(run_of(HAK_POOL_TINY), true);
}

/* What is claimed just when it is released says what it holds. */
static void setup_dirty_room(void)
{
    setup_scarce(5, 70);
    SUPPORT_REQUIRE(run_claim(HAK_POOL_TINY, 1) != NULL); /* the vacant one */
    case_save(SEGMENTS);
}

static void claim_if_there_is_one(void)
{
    struct run *run = run_claim(HAK_POOL_TINY, 1);
    SUPPORT_REQUIRE(run == NULL || hak_pages_dirty(run->page, 1) != 0);
}

static void check_purge(void)
{
    runs_check();
    (void)hak_purge_all(); /* what the maps say nothing of stays dirty */
    SUPPORT_REQUIRE(hak_dirty_bytes() == 0);
    for (size_t page = 0; page < HAK_SEGMENT_PAGES; page++) {
        enum hak_pool pool;
        bool is_taken = (hak_segment_taken(0, &pool) >> page & 1) != 0;
        SUPPORT_REQUIRE(is_taken || support_is_zero(page_start(page), 64));
    }
}

#define BOUNDS(for_quick, for_full) .quick = (for_quick), .full = (for_full)

const struct schedule_case schedule_segment_cases[] = {
    {.name = "arena__grown_by_two__each_has_its_own",
     .setup = setup_nothing,
     .prepare = prepare_nothing,
     .threads = {arena_take_one, arena_take_two},
     .check = check_arena,
     BOUNDS(SCHEDULE_ALL, SCHEDULE_ALL)},
    {.name = "arena__grown_by_three_over_its_end__each_has_its_own",
     .setup = setup_nothing,
     .prepare = prepare_nothing,
     .threads = {arena_take_one, arena_take_two, arena_take_two},
     .check = check_arena,
     BOUNDS(2, 4)},
    {.name = "arena__committed_by_two__larger_part_stays",
     .setup = setup_nothing,
     .prepare = prepare_nothing,
     .threads = {commit_one, commit_three},
     .check = check_commit,
     BOUNDS(SCHEDULE_ALL, SCHEDULE_ALL)},
    {.name = "arena__grown_in_turn_by_two__nothing_hidden_is_opened",
     .setup = setup_nothing_in_turn,
     .prepare = prepare_nothing,
     .threads = {arena_take_and_hide, arena_take_and_hide},
     .check = check_fences,
     BOUNDS(2, 4)},
    {.name = "meta__records_taken_by_two__they_are_apart",
     .setup = setup_nothing,
     .threads = {record_new, record_new},
     .check = check_records,
     BOUNDS(SCHEDULE_ALL, SCHEDULE_ALL)},
    {.name = "region__large_tag_cleared_by_three__one_wins",
     .setup = setup_nothing,
     .prepare = prepare_large_tag,
     .threads = {clear_large, clear_large, clear_large},
     .check = check_one_won,
     BOUNDS(SCHEDULE_ALL, SCHEDULE_ALL)},
    {.name = "segment__first_slots_claimed_by_three__each_has_its_own",
     .setup = setup_nothing,
     .threads = {claim_tiny, claim_mid, claim_long},
     .check = runs_check,
     BOUNDS(2, 3)},
    {.name = "segment__last_slot_claimed_while_one_is_released__room_is_found",
     .setup = setup_room_in_one,
     .threads = {claim_surely, release_held},
     .check = check_rest_is_found,
     BOUNDS(SCHEDULE_ALL, SCHEDULE_ALL)},
    {.name = "segment__slots_claimed_by_two_while_one_is_released__room_is_found",
     .setup = setup_room_before,
     .threads = {claim_tiny, release_held_dirty, claim_tiny},
     .check = check_rest_is_found,
     BOUNDS(3, 4)},
    {.name = "segment__emptied_and_claimed_for_another_pool__cas_notices",
     .setup = setup_one_slot,
     .threads = {change_pool, claim_smallmid},
     .check = check_rest_is_found,
     BOUNDS(3, 4)},
    {.name = "segment__purged_while_a_slot_is_used__nothing_is_taken_away",
     .setup = setup_dirty,
     .prepare = prepare_dirty,
     .threads = {purge, claim_and_write},
     .check = check_purge,
     BOUNDS(3, SCHEDULE_ALL)},
    {.name = "segment__purged_by_two_while_a_slot_is_used__nothing_is_taken_away",
     .setup = setup_dirty,
     .prepare = prepare_dirty,
     .threads = {purge, claim_and_write, purge},
     .check = check_purge,
     BOUNDS(2, 3)},
    {.name = "segment__claimed_as_it_is_released__dirty_is_said",
     .setup = setup_dirty_room,
     .threads = {release_held_dirty, claim_if_there_is_one},
     .check = check_rest_is_found,
     BOUNDS(SCHEDULE_ALL, SCHEDULE_ALL)},
    {.name = "segment__aged_while_a_slot_is_released__next_purge_finds_it",
     .setup = setup_dirty,
     .prepare = prepare_dirty,
     .threads = {purge_aged, release_third},
     .check = check_purge,
     BOUNDS(SCHEDULE_ALL, SCHEDULE_ALL)},
    {0},
};
