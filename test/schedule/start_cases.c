/*
 * Cases of the start of the process, and of pages of the pool of huge pages.
 */
#include <sys/mman.h>

#include "schedule/cases.h"
#include "segment/huge.h"
#include "segment/purge.h"

/* ---- start ---------------------------------------------------------------------------------- */

static void take_one(void)
{
    (void)case_take();
}

/* The arena of this schedule goes: the next one reserves another one. */
static void check_started(void)
{
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_RESERVE) == 2); /* arena and tables, once */
    case_check();
    size_t bytes = hak_arena.max_segments * HAK_SEGMENT_BYTES;
    char *tables = (char *)(uintptr_t)hak_region.tags;
    size_t table_bytes = hak_fake_reserved_bytes() - bytes;
    SUPPORT_REQUIRE(munmap(hak_arena.base, bytes) == 0 && munmap(tables, table_bytes) == 0);
}

/* ---- pages of the pool ---------------------------------------------------------------------- */

#define SEGMENT_BLOCK (1900 * KIB) /* a second one does not fit into its segment */
#define POOL_PAGES 64

static void two_segments(void)
{
    char *blocks[2];
    for (size_t i = 0; i < 2; i++)
        SUPPORT_REQUIRE((blocks[i] = hak_malloc(SEGMENT_BLOCK)) != NULL);
    for (size_t i = 0; i < 2; i++)
        hak_free(blocks[i]);
}

/* Two segments of the pool, free and not given back. */
static void setup_pool(void)
{
    setenv("HAKMEM_HUGE", "hugetlb", 1);
    setenv("HAKMEM_HUGE_THRESHOLD_MB", "0", 1);
    case_begin();
    hak_fake_set_huge_pool(POOL_PAGES);
    schedule_as(0, two_segments);
    SUPPORT_REQUIRE(hak_arena_end() == 2 && hak_fake_huge_mapped() == hak_arena_committed());
    case_save(8);
}

static void purge_first(void)
{
    (void)hak_segment_purge(0, HAK_PURGE_TRIM);
}

static void purge_second(void)
{
    (void)hak_segment_purge(1, HAK_PURGE_TRIM);
}

static void commit_more(void)
{
    SUPPORT_REQUIRE(hak_arena_commit(3));
}

/* For every page that is mapped one is held, and not more; kernel and allocator agree. */
static void check_pool(void)
{
    size_t huge = 0;
    for (size_t i = 0; i < hak_arena_committed(); i++) {
        const char *start = hak_region_page_start(i * HAK_SEGMENT_PAGES);
        bool is_huge = hak_segment_backing(i) == HAK_BACKED_HUGETLB;
        SUPPORT_REQUIRE(is_huge == hak_fake_is_huge(start) && hak_fake_huge_maps(start) <= 1);
        huge += is_huge;
    }
    SUPPORT_REQUIRE(hak_huge_count(HAK_BACKED_HUGETLB) == huge);
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == huge && hak_fake_huge_held() == huge);
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0 && hak_segment_is_valid());
    SUPPORT_REQUIRE(hak_arena_turn_try()); /* nobody has the turn any more */
    hak_arena_turn_end();
}

const struct schedule_case schedule_start_cases[] = {
    {
        .name = "start__by_two_threads__is_done_once",
        .setup = case_begin,
        .threads = {take_one, take_one},
        .check = check_started,
        .quick = 2,
        .full = 3,
    },
    {
        .name = "huge__two_segments_go_back__so_does_their_room",
        .setup = setup_pool,
        .threads = {purge_first, purge_second},
        .check = check_pool,
        .quick = 2,
        .full = 3,
    },
    {
        .name = "huge__segment_goes_back_in_anothers_turn__so_does_its_room",
        .setup = setup_pool,
        .threads = {purge_first, commit_more},
        .check = check_pool,
        .quick = 3,
        .full = 4,
    },
    {
        .name = "huge__two_grow_and_one_segment_goes_back__places_are_mapped_once",
        .setup = setup_pool,
        .threads = {commit_more, purge_first, commit_more},
        .check = check_pool,
        .quick = 2,
        .full = 3,
    },
    {0},
};
