/*
 * Cases of heaps: threads that end, orphans, and heaps that others hold.
 */
#include "schedule/cases.h"

#define LARGE_BYTES (1200 * KIB) /* a segment has room for one */

/* ---- what threads do ------------------------------------------------------------------------ */

static void take_one(void)
{
    (void)case_take();
}

static void free_first(void)
{
    case_free_remote(0);
}

static void free_two(void)
{
    case_free_remote(0);
    case_free_remote(1);
}

static void free_of_second_page(void)
{
    case_free_remote(case_slots());
}

static void adopt(void)
{
    struct hak_heap *heap = hak_heap_enter();
    (void)hak_shelf_adopt(heap, case_bin());
    hak_heap_leave(heap);
}

static void adopt_and_take(void)
{
    adopt();
    (void)case_take();
}

static void trim(void)
{
    (void)hak_heap_trim();
}

/* ---- setting up ----------------------------------------------------------------------------- */

/* All but the first two blocks of a page go to the magazine. */
static void keep_two(void)
{
    for (size_t i = 2; i < case_slots(); i++)
        case_free(i);
}

static void keep_one(void)
{
    case_free(1);
    keep_two();
}

static void flush_and_rest(void)
{
    struct hak_heap *heap = hak_heap_enter();
    hak_heap_flush_all(heap);
    hak_shelf_rest(heap);
    hak_heap_leave(heap);
}

static void rest(void)
{
    struct hak_heap *heap = hak_heap_enter();
    SUPPORT_REQUIRE(hak_bin_count(&heap->bins[case_bin()]) != 0);
    hak_shelf_rest(heap);
    hak_heap_leave(heap);
}

static void page_of_first(void)
{
    case_begin();
    schedule_as(0, case_attach);
    schedule_as(0, case_fill_page);
}

static void setup_owner(void)
{
    page_of_first();
    schedule_as(0, keep_two);
    case_save(4);
}

static void orphan_of_two_pages(void)
{
    page_of_first();
    schedule_as(0, case_fill_page);
    schedule_as(0, schedule_thread_end);
}

static void setup_orphan_without_room(void)
{
    orphan_of_two_pages();
    case_save(4);
}

/* A second orphan, so that there is one for each of two. */
static void setup_two_orphans(void)
{
    page_of_first();
    schedule_as(1, case_attach);
    schedule_as(0, keep_two);
    for (unsigned i = 0; i < 2; i++)
        schedule_as(i, schedule_thread_end);
    for (unsigned i = 0; i < 2; i++)
        schedule_as(i, schedule_thread_renew);
    case_save(4);
}

/* An orphan with a page that others may adopt, and heaps for the two other threads. */
static void setup_spare(void (*keep)(void))
{
    page_of_first();
    schedule_as(1, case_attach);
    schedule_as(2, case_attach);
    schedule_as(0, keep);
    schedule_as(0, schedule_thread_end);
    case_save(4);
}

static void setup_spare_page(void)
{
    setup_spare(keep_two);
}

static void setup_spare_page_of_one(void)
{
    setup_spare(keep_one);
}

/* An idle heap with such a page; the second thread has an eye on it. */
static void setup_idle(void)
{
    page_of_first();
    schedule_as(0, keep_two);
    schedule_as(0, flush_and_rest);
    schedule_as(1, case_attach);
    schedule_as(1, adopt);
    case_save(4);
}

/* The same, but the owner has blocks of the page in its magazine. */
static void setup_idle_with_blocks(void)
{
    page_of_first();
    schedule_as(0, keep_two);
    schedule_as(0, flush_and_rest);
    schedule_as(0, take_one);
    schedule_as(0, rest);
    schedule_as(1, case_attach);
    schedule_as(1, adopt);
    case_save(4);
}

/* All blocks of a page are free, in the magazine. */
static void free_all(void)
{
    for (size_t i = 0; i < case_slots(); i++)
        case_free(i);
}

static void setup_free_page(void)
{
    page_of_first();
    schedule_as(1, case_attach);
    schedule_as(0, free_all);
    case_save(4);
}

static char *large;

static void large_take(void)
{
    char *block = hak_malloc(LARGE_BYTES);
    SUPPORT_REQUIRE(block != NULL && block != large);
    large = block;
}

static void large_free(void)
{
    char *block = large;
    large = NULL;
    hak_free(block);
}

static void setup_large(void)
{
    case_begin();
    schedule_as(0, case_attach);
    schedule_as(1, case_attach);
    schedule_as(0, large_take);
    case_save(4);
}

/* ---- checking ------------------------------------------------------------------------------- */

static void check(void)
{
    case_check();
    case_check_empty();
}

static struct hak_heap *heaps[2];

static void note_heap(void)
{
    heaps[heaps[0] != NULL] = hak_heap_self;
}

static void check_each_has_a_heap(void)
{
    schedule_as(0, note_heap);
    schedule_as(1, note_heap);
    SUPPORT_REQUIRE(hak_heap_is_real(heaps[0]) && hak_heap_is_real(heaps[1]));
    SUPPORT_REQUIRE(heaps[0] != heaps[1]);
    check();
}

static void check_large(void)
{
    SUPPORT_REQUIRE(large != NULL && hak_malloc_usable_size(large) >= LARGE_BYTES);
    large_free();
    SUPPORT_REQUIRE(hak_taken_bytes() == 0);
    check();
}

const struct schedule_case schedule_heap_cases[] = {
    {
        .name = "page__closes_while_another_opens__tags_are_the_new_ones",
        .setup = setup_free_page,
        .threads = {flush_and_rest, take_one},
        .check = check,
        .quick = SCHEDULE_ALL,
        .full = SCHEDULE_ALL,
    },
    {
        .name = "large__freed_while_another_is_taken__tag_is_the_new_ones",
        .setup = setup_large,
        .threads = {large_free, large_take},
        .check = check_large,
        .quick = SCHEDULE_ALL,
        .full = SCHEDULE_ALL,
    },
    {
        .name = "thread__ends_while_its_blocks_are_freed__nothing_is_stranded",
        .setup = setup_owner,
        .threads = {schedule_thread_end, free_two},
        .check = check,
        .quick = SCHEDULE_ALL,
        .full = SCHEDULE_ALL,
    },
    {
        .name = "thread__ends_while_another_begins_and_one_frees__nothing_is_stranded",
        .setup = setup_owner,
        .threads = {schedule_thread_end, free_two, take_one},
        .check = check,
        .quick = 2,
        .full = 3,
    },
    {
        .name = "orphan__two_of_its_pages_announced__helpers_drain_both",
        .setup = setup_orphan_without_room,
        .threads = {free_two, free_of_second_page},
        .check = check,
        .quick = SCHEDULE_ALL,
        .full = SCHEDULE_ALL,
    },
    {
        .name = "orphan__taken_by_two_new_threads__each_has_a_heap",
        .setup = setup_two_orphans,
        .threads = {take_one, take_one},
        .check = check_each_has_a_heap,
        .quick = SCHEDULE_ALL,
        .full = SCHEDULE_ALL,
    },
    {
        .name = "orphan__adopted_from_while_its_block_is_freed__nothing_is_stranded",
        .setup = setup_spare_page_of_one,
        .threads = {free_first, adopt, adopt},
        .check = check,
        .quick = 2,
        .full = 3,
    },
    {
        .name = "orphan__trimmed_while_its_blocks_are_freed__nothing_is_stranded",
        .setup = setup_spare_page,
        .threads = {free_two, trim},
        .check = check,
        .quick = SCHEDULE_ALL,
        .full = SCHEDULE_ALL,
    },
    {
        .name = "idle__adopted_from_while_its_owner_comes_back__one_works_at_a_time",
        .setup = setup_idle,
        .threads = {take_one, adopt},
        .check = check,
        .quick = 3,
        .full = 5,
    },
    {
        .name = "idle__adopted_from_while_its_owner_flushes__blocks_find_the_new_one",
        .setup = setup_idle_with_blocks,
        .threads = {flush_and_rest, adopt_and_take, free_first},
        .check = check,
        .quick = 2,
        .full = 3,
    },
    {
        .name = "idle__tended_while_its_owner_comes_back_and_one_frees__one_works_at_a_time",
        .setup = setup_idle,
        .threads = {take_one, trim, free_first},
        .check = check,
        .quick = 2,
        .full = 3,
    },
    {0},
};
