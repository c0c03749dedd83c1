/*
 * Operations on records, the arena, tags and pages, each interrupted by another one at any
 * instruction: whatever a second thread could do just then. For page slots, see
 * test_segment_interrupted.c.
 *
 * ctest: labels=quick timeout=120 core=fake
 */
#include "segment/os.h"
#include "segment/page.h"

#include "interrupt.h"
#include "scenario.h"

static uint64_t seed = 1;

static void check_nothing(void)
{
}

static void run_interrupted(void (*body)(void *))
{
    if (SUPPORT_SHADOWED)
        skip();
    scenario_run(body, NULL);
}

/* ---- what is handed out once ---------------------------------------------------------------- */

#define RECORDS ((size_t)1 << 20)

static char *space;
static bool is_taken[RECORDS]; /* of records, or of segments */

static void take_once(size_t i)
{
    SUPPORT_REQUIRE(i < RECORDS && !is_taken[i]);
    is_taken[i] = true;
}

static bool record_take(void)
{
    char *record = hak_meta_new(64, 64);
    if (record != NULL)
        take_once((size_t)(record - space) / 64);
    return record != NULL;
}

static void record_interrupt(void)
{
    (void)record_take();
}

static void take_records(void *unused)
{
    (void)unused;
    hak_fake_wake(4096);
    space = hak_os_reserve(RECORDS * 64, HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(space != NULL);
    hak_meta_init(space, RECORDS * 64);
    interrupt_run(record_take, record_interrupt, check_nothing);
}

static void interrupted__record_taken_by_another__both_are_apart(void **state)
{
    (void)state;
    run_interrupted(take_records);
}

static bool segment_take(void)
{
    size_t skipped, count = 1 + support_random(&seed) % 3;
    size_t first = hak_arena_take(count, (size_t)1 << support_random(&seed) % 2, &skipped);
    for (size_t i = first - skipped; first != HAK_NO_SEGMENT && i < first + count; i++)
        take_once(i);
    return first != HAK_NO_SEGMENT;
}

static void segment_interrupt(void)
{
    (void)segment_take();
    SUPPORT_REQUIRE(hak_region_pages() <= hak_arena_end() * HAK_SEGMENT_PAGES);
}

static void check_tags(void)
{
    SUPPORT_REQUIRE(hak_region_pages() == hak_arena_end() * HAK_SEGMENT_PAGES);
}

static void take_segments(void *unused)
{
    (void)unused;
    scenario_arena(200000);
    interrupt_run(segment_take, segment_interrupt, check_tags);
    for (size_t i = 0; i < hak_arena_end(); i++)
        SUPPORT_REQUIRE(is_taken[i]);
}

static void interrupted__segment_taken_by_another__both_are_apart(void **state)
{
    (void)state;
    run_interrupted(take_segments);
}

static _Atomic(uintptr_t) tags[4];
static volatile size_t wins;

static void tag_interrupt(void)
{
    wins += hak_region_clear_large(2);
}

static bool tag_clear(void)
{
    interrupt.quiet = 1;
    wins = 0;
    hak_region_set(2, 1, HAK_TAG_LARGE);
    interrupt.quiet = 0;
    bool won = hak_region_clear_large(2);
    interrupt.quiet = 1;
    wins += won;
    return true;
}

static void check_wins(void)
{
    SUPPORT_REQUIRE(wins == 1);
}

static void clear_tags(void *unused)
{
    (void)unused;
    hak_region_init(HAK_SEGMENT_BYTES, tags, 4);
    interrupt_run(tag_clear, tag_interrupt, check_wins);
}

static void interrupted__large_tag_cleared_by_another__one_wins(void **state)
{
    (void)state;
    run_interrupted(clear_tags);
}

/* ---- owner and freer of a page -------------------------------------------------------------- */

#define SLOTS 64

static _Alignas(16) char owner_places[2][16];
static struct hak_page *page;
static struct hak_meta_pool meta;
static _Atomic(uint64_t) out;    /* slots that are with the freer */
static volatile uintptr_t told;  /* whom a freer has told of the page; 0: nobody */
static volatile bool is_waiting; /* the owner waits for that, and does nothing else */

static uintptr_t owner_of_page(void)
{
    return atomic_load(&page->word) & ~(uintptr_t)HAK_PAGE_FLAGS;
}

/* As the front does it. */
static void owner_step(void)
{
    if (is_waiting) {
        if (told == 0)
            return;
        SUPPORT_REQUIRE(told == owner_of_page());
        told = 0;
        is_waiting = false;
        hak_page_clear_pending(page);
        (void)hak_page_collect(page);
    } else if (told != 0) { /* it was told, but found something before it waited */
        told = 0;
        hak_page_clear_pending(page);
        (void)hak_page_collect(page);
    }
    if (hak_page_free_count(page) == 0 && hak_page_collect(page) == 0) {
        is_waiting = !hak_page_set_full(page);
        if (!is_waiting)
            hak_page_clear_full(page);
    }
    while (hak_page_free_count(page) != 0) {
        void *block = NULL;
        hak_page_take(page, &block, 1);
        uint64_t bit = (uint64_t)1 << hak_page_slot(page, block);
        SUPPORT_REQUIRE((atomic_fetch_or(&out, bit) & bit) == 0);
    }
}

static void freer_step(void)
{
    uint64_t bits = atomic_load(&out) & support_random(&seed) & support_random(&seed);
    if (bits == 0)
        return;
    atomic_fetch_and(&out, ~bits);
    uintptr_t owner = hak_page_free_remote(page, 0, bits);
    if (owner != 0) {
        SUPPORT_REQUIRE(told == 0);
        told = owner;
    }
}

static void check_page(void)
{
    uint64_t remote = atomic_load(&page->remote[0]);
    uint64_t outside = atomic_load(&out);
    SUPPORT_REQUIRE((outside | remote | *page->free) == UINT64_MAX);
    SUPPORT_REQUIRE((outside & (remote | *page->free)) == 0 && hak_page_is_valid(page));
    SUPPORT_REQUIRE(!is_waiting || told != 0 || remote == 0); /* else nobody ever looks at it */
    bool pending = (atomic_load(&page->word) & HAK_PAGE_PENDING) != 0;
    SUPPORT_REQUIRE(pending == (told != 0));
}

static void page_begin(void)
{
    static const struct hak_geometry one_word = {1024, 1 << 25, SLOTS, 1, 1, HAK_POOL_TINY, 0};
    scenario_arena(64);
    size_t page_idx = hak_pages_claim(HAK_POOL_TINY, 1, 1);
    page = hak_page_open(page_idx, &one_word, 64, (uintptr_t)owner_places[0], &meta);
}

static bool owner_operation(void)
{
    owner_step();
    interrupt.quiet = 1;
    for (unsigned i = 0; is_waiting && told == 0 && i < 100; i++)
        freer_step();
    interrupt.quiet = 0;
    return true;
}

static void interrupt_owner(void *unused)
{
    (void)unused;
    page_begin();
    interrupt_run(owner_operation, freer_step, check_page);
}

static void interrupted__owner_by_a_freer__no_block_and_no_notice_is_lost(void **state)
{
    (void)state;
    run_interrupted(interrupt_owner);
}

static bool freer_operation(void)
{
    freer_step();
    interrupt.quiet = 1;
    if (atomic_load(&out) == 0)
        owner_step();
    interrupt.quiet = 0;
    return true;
}

static void interrupt_freer(void *unused)
{
    (void)unused;
    page_begin();
    interrupt_run(freer_operation, owner_step, check_page);
}

static void interrupted__freer_by_the_owner__no_block_and_no_notice_is_lost(void **state)
{
    (void)state;
    run_interrupted(interrupt_freer);
}

/* The page goes to and fro while freers tell its owner, whoever that is. */
static bool adopt_operation(void)
{
    uintptr_t from = owner_of_page();
    uintptr_t to = (uintptr_t)owner_places[from == (uintptr_t)owner_places[0]];
    bool was_told = told != 0;
    bool adopted = hak_page_adopt(page, from, to);
    interrupt.quiet = 1;
    SUPPORT_REQUIRE(!adopted || !was_told);
    SUPPORT_REQUIRE(owner_of_page() == (adopted ? to : from));
    SUPPORT_REQUIRE(told == 0 || told == owner_of_page());
    if (!is_waiting || told != 0)
        owner_step();
    interrupt.quiet = 0;
    return true;
}

static void interrupt_adoption(void *unused)
{
    (void)unused;
    page_begin();
    interrupt_run(adopt_operation, freer_step, check_page);
}

static void interrupted__adoption_by_a_freer__notice_finds_the_owner(void **state)
{
    (void)state;
    run_interrupted(interrupt_adoption);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interrupted__record_taken_by_another__both_are_apart),
        cmocka_unit_test(interrupted__segment_taken_by_another__both_are_apart),
        cmocka_unit_test(interrupted__large_tag_cleared_by_another__one_wins),
        cmocka_unit_test(interrupted__owner_by_a_freer__no_block_and_no_notice_is_lost),
        cmocka_unit_test(interrupted__freer_by_the_owner__no_block_and_no_notice_is_lost),
        cmocka_unit_test(interrupted__adoption_by_a_freer__notice_finds_the_owner),
    };
    return cmocka_run_group_tests_name("interrupted", tests, NULL, NULL);
}
