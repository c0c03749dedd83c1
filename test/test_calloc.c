/*
 * calloc: all zero, whatever the memory held before.
 *
 * Each case dirties memory first and then takes it back by a different way.
 *
 * ctest: labels=quick timeout=120
 */
#include "support.h"

#define ROUND_BYTES (16 * MIB)
#define ROUND_BLOCKS_MAX 4096

static char *blocks[ROUND_BLOCKS_MAX];

static size_t round_blocks(size_t bytes)
{
    size_t count = ROUND_BYTES / bytes;
    return count > ROUND_BLOCKS_MAX ? ROUND_BLOCKS_MAX : count;
}

/* Fills the whole usable size of `count` blocks with ones and frees them. */
static void dirty(size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++) {
        blocks[i] = hak_malloc(bytes);
        SUPPORT_REQUIRE(blocks[i] != NULL);
        memset(blocks[i], 0xff, hak_malloc_usable_size(blocks[i]));
    }
    for (size_t i = 0; i < count; i++)
        hak_free(blocks[i]);
}

/* Takes `count` zeroed blocks, all live at once, and leaves them dirty. */
static void assert_zeroed(size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++) {
        blocks[i] = hak_calloc(1, bytes);
        assert_non_null(blocks[i]);
        if (!support_is_zero(blocks[i], bytes))
            fail_msg("calloc of %zu bytes is not zero", bytes);
    }
    for (size_t i = 0; i < count; i++) {
        memset(blocks[i], 0xff, hak_malloc_usable_size(blocks[i]));
        hak_free(blocks[i]);
    }
}

static void calloc__recycled_blocks_of_every_tier__all_zero(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes <= 8 * MIB; bytes += bytes / 3 + 1) {
        dirty(round_blocks(bytes), bytes);
        assert_zeroed(round_blocks(bytes), bytes);
        assert_zeroed(round_blocks(bytes), bytes);
    }
}

static void calloc__single_block_again_and_again__all_zero(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes <= 8 * MIB; bytes += bytes / 4 + 1) {
        dirty(1, bytes);
        for (unsigned i = 0; i < 3; i++)
            assert_zeroed(1, bytes);
    }
}

static void calloc__after_trim__all_zero(void **state)
{
    (void)state;
    for (size_t bytes = 8; bytes <= 8 * MIB; bytes *= 4) {
        dirty(round_blocks(bytes), bytes);
        hak_malloc_trim(0);
        assert_zeroed(round_blocks(bytes), bytes);
    }
}

/* Pages that were small blocks become large ones and the other way round. */
static void calloc__memory_that_changed_its_tier__all_zero(void **state)
{
    const size_t sizes[] = {64, 100 * KIB, 512, 3 * MIB, 2000, 8 * MIB, 20000, 400 * KIB, 48};
    (void)state;
    for (size_t from = 0; from < SUPPORT_COUNT(sizes); from++) {
        for (size_t to = 0; to < SUPPORT_COUNT(sizes); to++) {
            dirty(round_blocks(sizes[from]), sizes[from]);
            assert_zeroed(round_blocks(sizes[to]), sizes[to]);
        }
    }
}

static void calloc__tail_of_a_shrunk_block__all_zero(void **state)
{
    (void)state;
    for (size_t bytes = 200 * KIB; bytes <= 32 * MIB; bytes *= 2) {
        char *block = hak_malloc(bytes);
        assert_non_null(block);
        memset(block, 0xff, hak_malloc_usable_size(block));
        block = hak_realloc(block, bytes / 8);
        assert_non_null(block);
        assert_zeroed(4, bytes / 4);
        hak_free(block);
        assert_zeroed(4, bytes / 8);
    }
}

static void calloc__aligned_blocks_recycled__all_zero(void **state)
{
    (void)state;
    for (size_t alignment = 16; alignment <= MIB; alignment *= 4) {
        for (size_t bytes = 16; bytes <= MIB; bytes *= 8) {
            char *block = hak_memalign(alignment, bytes);
            assert_non_null(block);
            memset(block, 0xff, hak_malloc_usable_size(block));
            hak_free(block);
            assert_zeroed(2, bytes);
            assert_zeroed(2, bytes + alignment);
        }
    }
}

static void *free_blocks(void *argument)
{
    size_t count = *(size_t *)argument;
    for (size_t i = 0; i < count; i++) {
        memset(blocks[i], 0xff, hak_malloc_usable_size(blocks[i]));
        hak_free(blocks[i]);
    }
    return NULL;
}

static void calloc__blocks_freed_by_another_thread__all_zero(void **state)
{
    (void)state;
    for (size_t bytes = 16; bytes <= 8 * MIB; bytes *= 3) {
        size_t count = round_blocks(bytes);
        pthread_t thread;
        for (size_t i = 0; i < count; i++) {
            blocks[i] = hak_malloc(bytes);
            assert_non_null(blocks[i]);
        }
        assert_int_equal(pthread_create(&thread, NULL, free_blocks, &count), 0);
        pthread_join(thread, NULL);
        assert_zeroed(count, bytes);
    }
}

static void calloc__product_of_two__whole_product_is_zero(void **state)
{
    const size_t factors[][2] = {{1, 7}, {7, 1}, {3, 5}, {100, 100}, {1000, 65}, {3, MIB}};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(factors); i++) {
        size_t bytes = factors[i][0] * factors[i][1];
        dirty(8, bytes);
        char *block = hak_calloc(factors[i][0], factors[i][1]);
        assert_non_null(block);
        assert_true(hak_malloc_usable_size(block) >= bytes);
        assert_true(support_is_zero(block, bytes));
        hak_free(block);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calloc__recycled_blocks_of_every_tier__all_zero),
        cmocka_unit_test(calloc__single_block_again_and_again__all_zero),
        cmocka_unit_test(calloc__after_trim__all_zero),
        cmocka_unit_test(calloc__memory_that_changed_its_tier__all_zero),
        cmocka_unit_test(calloc__tail_of_a_shrunk_block__all_zero),
        cmocka_unit_test(calloc__aligned_blocks_recycled__all_zero),
        cmocka_unit_test(calloc__blocks_freed_by_another_thread__all_zero),
        cmocka_unit_test(calloc__product_of_two__whole_product_is_zero),
    };
    return cmocka_run_group_tests_name("calloc", tests, NULL, NULL);
}
