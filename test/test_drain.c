/*
 * What other threads have freed is taken before new memory is: a thread whose blocks came back so
 * allocates as many again from the pages it has. On the fake kernel, whose clock stands still, so
 * nothing is collected because time has passed.
 *
 * ctest: labels=quick timeout=60 core=fake
 */
#include "front/heap.h"
#include "hakmem.h"
#include "scenario.h"

#define MANY 3000
#define SLOT_BYTES_MAX ((size_t)1024)

static void *blocks[MANY];

static void allocate_all(void)
{
    for (size_t i = 0; i < MANY; i++) {
        SUPPORT_REQUIRE((blocks[i] = hak_malloc(1000)) != NULL);
        support_fill(blocks[i], 1000, i);
    }
}

static void free_all(unsigned index, void *unused)
{
    (void)index;
    (void)unused;
    for (size_t i = 0; i < MANY; i++) {
        SUPPORT_REQUIRE(support_holds(blocks[i], 1000, i));
        hak_free(blocks[i]);
    }
}

static size_t pages_now(void)
{
    return atomic_load(&hak_heap_self->page_count);
}

static void run_returned(void *unused)
{
    (void)unused;
    hak_fake_wake(4096);
    allocate_all();
    size_t pages = pages_now();
    SUPPORT_REQUIRE(pages >= MANY * SLOT_BYTES_MAX / HAK_PAGE_BYTES);
    for (unsigned round = 0; round < 5; round++) {
        scenario_threads(1, free_all, NULL);
        allocate_all();
        SUPPORT_REQUIRE(pages_now() <= pages + 1);
    }
    free_all(0, NULL);
    SUPPORT_REQUIRE(hak_heap_is_valid());
}

static void drain__blocks_freed_by_another_thread__come_before_new_pages(void **state)
{
    (void)state;
    scenario_run(run_returned, NULL);
}

/* No slot is free, neither at hand nor in a page: the next refill finds what came back. */
static void run_full(void *unused)
{
    (void)unused;
    hak_fake_wake(4096);
    allocate_all();
    while (hak_bin_count(&hak_heap_self->bins[hak_class_bin(1000)]) != 0 ||
           hak_shelf_current(hak_heap_self, hak_class_bin(1000)) != NULL)
        SUPPORT_REQUIRE(hak_malloc(1000) != NULL);
    size_t pages = pages_now();
    scenario_threads(1, free_all, NULL);
    SUPPORT_REQUIRE(hak_malloc(1000) != NULL);
    SUPPORT_REQUIRE(pages_now() <= pages);
}

static void drain__heap_without_a_free_slot__opens_no_page(void **state)
{
    (void)state;
    scenario_run(run_full, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drain__blocks_freed_by_another_thread__come_before_new_pages),
        cmocka_unit_test(drain__heap_without_a_free_slot__opens_no_page),
    };
    return cmocka_run_group_tests_name("drain", tests, NULL, NULL);
}
