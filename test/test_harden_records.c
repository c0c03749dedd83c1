/*
 * A hardened process without memory for a record, while there are pages enough: a large block, a
 * page of slots and a page that is taken out of use each do without, and nothing is lost.
 *
 * ctest: labels=quick timeout=60 core=fake
 */
#include "front/harden/harden.h"
#include "segment/segment.h"

#include "pens.h"
#include "scenario.h"

#include <sys/mman.h>

#define LARGE_BYTES ((size_t)300000)
#define SLOT_BYTES ((size_t)30000)
#define SLOTS 300               /* more than a class keeps when they are free */
#define FEW_BYTES ((size_t)100) /* so many slots a page that their bitmaps are a record, too */
#define ROOM_STEPS 48

static void *held[SLOTS];

/* With pages for all that follows. */
static void begin(void)
{
    SUPPORT_REQUIRE(setenv("HAKMEM_HARDEN", "1", 1) == 0);
    SUPPORT_REQUIRE(setenv("HAKMEM_ARENA_MB_INIT", "64", 1) == 0);
    hak_fake_wake(4096);
    hak_free(support_hide(hak_malloc(1)));
    SUPPORT_REQUIRE(hak_harden_is_on());
}

/* From here on there is memory for so many records of the smallest size, at most; returns for how
 * many there was more. */
static size_t records_end(size_t left)
{
    size_t count = 0;
    hak_fake_fail(HAK_FAKE_COMMIT, 1, HAK_FAKE_FOREVER);
    while (count < left && hak_meta_new(HAK_META_MIN_BYTES, HAK_META_MIN_BYTES) != NULL)
        count++;
    return count;
}

static void check(void)
{
    SUPPORT_REQUIRE(hak_segment_is_valid() && hak_fake_mistakes() == 0);
    SUPPORT_REQUIRE(hak_memory_bytes() == hak_taken_bytes() + hak_dirty_bytes());
    SUPPORT_REQUIRE(pens_are_valid());
}

static void take_large(void *unused)
{
    (void)unused;
    begin();
    void *first = hak_malloc(LARGE_BYTES);
    SUPPORT_REQUIRE(first != NULL);
    (void)records_end(SIZE_MAX);
    size_t taken_bytes = hak_taken_bytes();
    errno = 0;
    SUPPORT_REQUIRE(hak_malloc(LARGE_BYTES) == NULL && errno == ENOMEM);
    SUPPORT_REQUIRE(hak_taken_bytes() == taken_bytes);
    hak_free(first);
    check();
    hak_fake_heal();
    SUPPORT_REQUIRE((first = hak_malloc(LARGE_BYTES)) != NULL);
    hak_free(first);
    check();
}

static void harden__no_record_for_a_large_block__enomem(void **state)
{
    (void)state;
    scenario_run(take_large, NULL);
}

/* Emptied pages stay as they are until there is memory for a note of them. */
static void empty_pages(void *unused)
{
    (void)unused;
    begin();
    for (size_t i = 0; i < SLOTS; i++)
        SUPPORT_REQUIRE((held[i] = hak_malloc(SLOT_BYTES)) != NULL);
    (void)records_end(SIZE_MAX);
    size_t hidden = hak_fake_count(HAK_FAKE_HIDE);
    for (size_t i = 0; i < SLOTS; i++)
        hak_free(held[i]);
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_HIDE) == hidden);
    check();
    hak_fake_heal();
    hak_free(support_hide(hak_malloc(SLOT_BYTES)));
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_HIDE) > hidden);
    check();
}

static void harden__no_record_for_an_emptied_page__it_stays_until_there_is(void **state)
{
    (void)state;
    scenario_run(empty_pages, NULL);
}

/* The records of a page are two. `shared[0]`: for how many of the smallest there is room, SIZE_MAX:
 * not known; `shared[1]`: for how many there is to be. */
static void take_slot(void *shared)
{
    size_t *rooms = shared;
    begin();
    if (rooms[0] == SIZE_MAX) {
        rooms[0] = records_end(SIZE_MAX);
        return;
    }
    size_t left = rooms[0] - rooms[1];
    SUPPORT_REQUIRE(records_end(left) == left);
    size_t taken_bytes = hak_taken_bytes();
    errno = 0;
    void *block = hak_malloc(FEW_BYTES);
    SUPPORT_REQUIRE(block != NULL ? rooms[1] != 0 : errno == ENOMEM);
    SUPPORT_REQUIRE(block != NULL || hak_taken_bytes() <= taken_bytes);
    hak_free(block);
    check();
    hak_fake_heal();
    SUPPORT_REQUIRE((block = hak_malloc(FEW_BYTES)) != NULL);
    hak_free(block);
    check();
}

static void harden__no_records_for_a_page_of_slots__enomem_and_the_page_goes_back(void **state)
{
    size_t *rooms = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)state;
    assert_true(rooms != MAP_FAILED);
    rooms[0] = SIZE_MAX;
    scenario_run(take_slot, rooms);
    assert_true(rooms[0] != SIZE_MAX && rooms[0] > ROOM_STEPS);
    for (rooms[1] = 0; rooms[1] < ROOM_STEPS; rooms[1]++)
        scenario_run(take_slot, rooms);
    assert_int_equal(munmap(rooms, 4096), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(harden__no_record_for_a_large_block__enomem),
        cmocka_unit_test(harden__no_record_for_an_emptied_page__it_stays_until_there_is),
        cmocka_unit_test(harden__no_records_for_a_page_of_slots__enomem_and_the_page_goes_back),
    };
    return cmocka_run_group_tests_name("harden_records", tests, NULL, NULL);
}
