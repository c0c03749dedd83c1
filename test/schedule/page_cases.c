/*
 * Cases of one page: who frees its blocks from other threads, and its owner.
 */
#include "schedule/cases.h"

/* ---- what threads do ------------------------------------------------------------------------ */

static void owner_looks(void)
{
    struct hak_heap *heap = hak_heap_enter();
    (void)hak_shelf_current(heap, case_bin());
    hak_heap_leave(heap);
}

static void owner_drains(void)
{
    struct hak_heap *heap = hak_heap_enter();
    hak_shelf_drain(heap, false);
    hak_heap_leave(heap);
}

static void owner_rests(void)
{
    struct hak_heap *heap = hak_heap_enter();
    hak_shelf_rest(heap);
    hak_heap_leave(heap);
}

static void owner_drains_and_looks(void)
{
    struct hak_heap *heap = hak_heap_enter();
    hak_shelf_drain(heap, false);
    (void)hak_shelf_current(heap, case_bin());
    hak_shelf_drain(heap, true);
    hak_heap_leave(heap);
}

static void free_first(void)
{
    case_free_remote(0);
}

static void free_second(void)
{
    case_free_remote(1);
}

static void free_both(void)
{
    free_first();
    free_second();
}

/* ---- the owner finds nothing, others free --------------------------------------------------- */

static void page_of_first(void)
{
    case_begin();
    schedule_as(0, case_attach);
    schedule_as(0, case_fill_page);
}

static void setup_not_full(void)
{
    page_of_first();
    case_save(4);
}

static void setup_full(void)
{
    page_of_first();
    schedule_as(0, owner_rests);
    case_save(4);
}

static void take_two(void)
{
    const struct hak_heap *heap = hak_heap_self;
    (void)case_take();
    (void)case_take();
    /* The two that were freed: no other page was needed. */
    SUPPORT_REQUIRE(atomic_load(&heap->page_count) == 1);
}

static void check_two_are_found(void)
{
    case_check();
    schedule_as(0, take_two);
    case_check();
    case_check_empty();
}

static void take_again(void)
{
    const struct hak_heap *heap = hak_heap_self;
    (void)case_take();
    SUPPORT_REQUIRE(atomic_load(&heap->page_count) == 1);
}

static void check_one_is_found(void)
{
    case_check();
    schedule_as(0, take_again);
    case_check_empty();
}

/* ---- an owner of two pages, of which others free -------------------------------------------- */

/* Blocks of the first page come first. */
static void setup_two_pages(void)
{
    page_of_first();
    schedule_as(0, case_fill_page);
    schedule_as(0, owner_rests);
    case_save(4);
}

static void free_of_second_page(void)
{
    case_free_remote(case_slots());
}

static void check_all_are_found(void)
{
    case_check();
    case_check_empty();
}

/* ---- all but one block is free, and the owner gives the page back --------------------------- */

static void keep_one(void)
{
    for (size_t i = 1; i < case_slots(); i++)
        case_free(i);
    struct hak_heap *heap = hak_heap_enter();
    hak_heap_flush_all(heap);
    hak_heap_leave(heap);
}

static void setup_one_block(void)
{
    page_of_first();
    schedule_as(0, keep_one);
    case_save(4);
}

static void owner_releases(void)
{
    struct hak_heap *heap = hak_heap_enter();
    hak_heap_release_all(heap);
    hak_shelf_rest(heap);
    hak_shelf_drain(heap, false);
    hak_heap_leave(heap);
}

const struct schedule_case schedule_page_cases[] = {
    {
        .name = "page__one_block_freed_while_its_owner_finds_nothing__bit_is_seen",
        .setup = setup_not_full,
        .threads = {owner_looks, free_first},
        .check = check_one_is_found,
        .quick = SCHEDULE_ALL,
        .full = SCHEDULE_ALL,
    },
    {
        .name = "page__freed_while_its_owner_finds_nothing__bits_are_seen",
        .setup = setup_not_full,
        .threads = {owner_looks, free_both},
        .check = check_two_are_found,
        .quick = SCHEDULE_ALL,
        .full = SCHEDULE_ALL,
    },
    {
        .name = "page__freed_by_two_while_its_owner_finds_nothing__bits_are_seen",
        .setup = setup_not_full,
        .threads = {owner_looks, free_first, free_second},
        .check = check_two_are_found,
        .quick = SCHEDULE_ALL,
        .full = SCHEDULE_ALL,
    },
    {
        .name = "page__freed_by_two__owner_is_told_once",
        .setup = setup_full,
        .threads = {owner_drains, free_first, free_second},
        .check = check_two_are_found,
        .quick = SCHEDULE_ALL,
        .full = SCHEDULE_ALL,
    },
    {
        .name = "page__freed_again_while_it_is_drained__nothing_is_stranded",
        .setup = setup_full,
        .threads = {owner_drains_and_looks, free_both},
        .check = check_two_are_found,
        .quick = SCHEDULE_ALL,
        .full = SCHEDULE_ALL,
    },
    {
        .name = "page__announced_beside_another__list_stays_whole",
        .setup = setup_two_pages,
        .threads = {owner_drains_and_looks, free_both, free_of_second_page},
        .check = check_all_are_found,
        .quick = SCHEDULE_ALL,
        .full = SCHEDULE_ALL,
    },
    {
        .name = "page__last_block_freed_while_it_closes__notice_finds_it_open",
        .setup = setup_one_block,
        .threads = {owner_releases, free_first},
        .check = check_all_are_found,
        .quick = SCHEDULE_ALL,
        .full = SCHEDULE_ALL,
    },
    {0},
};
