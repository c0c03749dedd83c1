/*
 * Memory for the allocator's own records.
 *
 * ctest: labels=quick timeout=120 core=fake
 */
#include "segment/meta.h"
#include "segment/os.h"

#include "scenario.h"

#define SPACE_BYTES (8 * MIB)

static char *space;

static void space_begin(size_t os_page_bytes)
{
    hak_fake_wake(os_page_bytes);
    space = hak_os_reserve(SPACE_BYTES, HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(space != NULL);
    hak_meta_init(space, SPACE_BYTES);
}

static bool is_in_space(const char *record, size_t bytes)
{
    return record >= space && bytes <= SPACE_BYTES &&
           (size_t)(record - space) <= SPACE_BYTES - bytes;
}

/* Records of all sizes and alignments lie in order, aligned, zero and writable. */
static void take_all_kinds(void *unused)
{
    (void)unused;
    char *end;
    space_begin(4096);
    end = space;
    for (size_t alignment = 1; alignment <= 128 * KIB; alignment *= 2) {
        for (size_t bytes = 1; bytes <= 40000; bytes = bytes * 3 + 1) {
            char *record = hak_meta_new(bytes, alignment);
            SUPPORT_REQUIRE(record != NULL && is_in_space(record, bytes));
            SUPPORT_REQUIRE((uintptr_t)record % alignment == 0 && record >= end);
            SUPPORT_REQUIRE(support_is_zero(record, bytes));
            memset(record, 0xff, bytes);
            end = record + bytes;
            SUPPORT_REQUIRE(hak_meta_used_bytes() == (size_t)(end - space));
        }
    }
}

static void meta__new_records__are_aligned_zero_and_apart(void **state)
{
    (void)state;
    scenario_run(take_all_kinds, NULL);
}

static void take_and_give(void *unused)
{
    (void)unused;
    struct hak_meta_pool pool = {{NULL}}, other = {{NULL}};
    space_begin(4096);
    for (unsigned idx = 0; idx < HAK_META_SIZES; idx++) {
        size_t whole = HAK_META_MIN_BYTES << idx, bytes = whole - idx * 2;
        char *record = hak_meta_take(&pool, bytes);
        SUPPORT_REQUIRE(record != NULL && (uintptr_t)record % HAK_META_MIN_BYTES == 0);
        SUPPORT_REQUIRE(support_is_zero(record, whole));
        memset(record, 0xff, whole); /* the whole of it is ours */
        size_t used_bytes = hak_meta_used_bytes();
        hak_meta_give(&pool, record, bytes);
        char *stranger = hak_meta_take(&other, bytes); /* a pool of its own has nothing yet */
        SUPPORT_REQUIRE(stranger != NULL && stranger != record);
        SUPPORT_REQUIRE(hak_meta_used_bytes() >= used_bytes + whole);
        hak_meta_give(&other, stranger, bytes);
        used_bytes = hak_meta_used_bytes();
        SUPPORT_REQUIRE(hak_meta_take(&pool, whole) == record);
        SUPPORT_REQUIRE(hak_meta_used_bytes() == used_bytes);
        SUPPORT_REQUIRE(support_is_zero(record, whole));
    }
}

static void meta__record_given_back__is_taken_again_and_zero(void **state)
{
    (void)state;
    scenario_run(take_and_give, NULL);
}

static void give_many(void *unused)
{
    enum { COUNT = 1000 };
    static char *records[COUNT];
    struct hak_meta_pool pool = {{NULL}};
    (void)unused;
    space_begin(4096);
    for (unsigned round = 0; round < 5; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            records[i] = hak_meta_take(&pool, 64 << i % 4);
            SUPPORT_REQUIRE(records[i] != NULL && support_is_zero(records[i], 64 << i % 4));
            support_fill(records[i], 64 << i % 4, i);
        }
        for (size_t i = 0; i < COUNT; i++)
            SUPPORT_REQUIRE(support_holds(records[i], 64 << i % 4, i));
        for (size_t i = 0; i < COUNT; i++)
            hak_meta_give(&pool, records[i], 64 << i % 4);
        SUPPORT_REQUIRE(hak_meta_used_bytes() == COUNT / 4 * (64 + 128 + 256 + 512));
    }
}

static void meta__records_go_round__no_new_ones_are_made(void **state)
{
    (void)state;
    scenario_run(give_many, NULL);
}

/* The steps grow, so there are few of them; and they stay in the kernel's pages. */
static void fill_space(void *argument)
{
    const size_t *os_page_bytes = argument;
    size_t records = 0;
    space_begin(*os_page_bytes);
    while (hak_meta_new(64, 64) != NULL)
        records++;
    SUPPORT_REQUIRE(records == SPACE_BYTES / 64);
    SUPPORT_REQUIRE(hak_meta_used_bytes() == SPACE_BYTES);
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_COMMIT) >= 5);
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_COMMIT) <= 20);
    SUPPORT_REQUIRE(hak_meta_new(1, 1) == NULL);
    SUPPORT_REQUIRE(hak_meta_new(64, 4096) == NULL);
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
}

static void meta__space_filled__few_commits_and_an_end(void **state)
{
    size_t sizes[] = {4 * KIB, 16 * KIB, 64 * KIB};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
        scenario_run(fill_space, &sizes[i]);
}

static void ask_for_too_much(void *unused)
{
    (void)unused;
    space_begin(4096);
    SUPPORT_REQUIRE(hak_meta_new(SPACE_BYTES + 1, 1) == NULL);
    SUPPORT_REQUIRE(hak_meta_new(SIZE_MAX, 1) == NULL);
    SUPPORT_REQUIRE(hak_meta_new(SIZE_MAX - 63, 64) == NULL);
    SUPPORT_REQUIRE(hak_meta_used_bytes() == 0);
    SUPPORT_REQUIRE(hak_meta_new(100, 64) == space);
    SUPPORT_REQUIRE(hak_meta_new(SPACE_BYTES - 100, 64) == NULL); /* 28 bytes are for alignment */
    SUPPORT_REQUIRE(hak_meta_new(SPACE_BYTES - 128, 64) == space + 128);
    SUPPORT_REQUIRE(hak_meta_new(1, 1) == NULL);
}

static void meta__more_than_there_is__is_null_and_takes_nothing(void **state)
{
    (void)state;
    scenario_run(ask_for_too_much, NULL);
}

static void fail_commits(void *unused)
{
    (void)unused;
    struct hak_meta_pool pool = {{NULL}};
    space_begin(4096);
    for (unsigned round = 0; round < 3; round++) {
        char *last = NULL;
        hak_fake_fail(HAK_FAKE_COMMIT, 1, HAK_FAKE_FOREVER);
        for (char *record; (record = hak_meta_take(&pool, 4096)) != NULL;)
            last = record; /* what was committed already may be used */
        size_t used_bytes = hak_meta_used_bytes();
        SUPPORT_REQUIRE(hak_meta_take(&pool, 4096) == NULL);
        SUPPORT_REQUIRE(hak_meta_used_bytes() == used_bytes);
        SUPPORT_REQUIRE((round == 0) == (last == NULL));
        hak_fake_heal();
        char *record = hak_meta_take(&pool, 4096);
        SUPPORT_REQUIRE(record != NULL && (last == NULL || record == last + 4096));
        memset(record, 1, 4096);
    }
}

static void meta__commit_fails__null_and_goes_on_after_that(void **state)
{
    (void)state;
    scenario_run(fail_commits, NULL);
}

#define RACERS 8
#define RACER_RECORDS 4000

static char *raced[RACERS * RACER_RECORDS];

static size_t raced_bytes(size_t i)
{
    return 64 + i % 3 * 32;
}

static void take_records(unsigned index, void *unused)
{
    (void)unused;
    for (size_t i = index; i < SUPPORT_COUNT(raced); i += RACERS) {
        raced[i] = hak_meta_new(raced_bytes(i), 64);
        SUPPORT_REQUIRE(raced[i] != NULL && (uintptr_t)raced[i] % 64 == 0);
    }
    for (size_t i = index; i < SUPPORT_COUNT(raced); i += RACERS) {
        SUPPORT_REQUIRE(support_is_zero(raced[i], raced_bytes(i)));
        support_fill(raced[i], raced_bytes(i), i);
    }
}

static void race(void *unused)
{
    (void)unused;
    space_begin(4096);
    scenario_threads(RACERS, take_records, NULL);
    for (size_t i = 0; i < SUPPORT_COUNT(raced); i++)
        SUPPORT_REQUIRE(support_holds(raced[i], raced_bytes(i), i));
}

static void meta__8_threads_take__records_are_disjoint(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 10; round++)
        scenario_run(race, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(meta__new_records__are_aligned_zero_and_apart),
        cmocka_unit_test(meta__record_given_back__is_taken_again_and_zero),
        cmocka_unit_test(meta__records_go_round__no_new_ones_are_made),
        cmocka_unit_test(meta__space_filled__few_commits_and_an_end),
        cmocka_unit_test(meta__more_than_there_is__is_null_and_takes_nothing),
        cmocka_unit_test(meta__commit_fails__null_and_goes_on_after_that),
        cmocka_unit_test(meta__8_threads_take__records_are_disjoint),
    };
    return cmocka_run_group_tests_name("meta", tests, NULL, NULL);
}
