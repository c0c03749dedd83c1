/*
 * realloc: contents survive every way a block can grow, shrink or move.
 *
 * ctest: labels=quick,aarch64 timeout=120
 */
#include "front/heap.h"
#include "segment/segment.h"

#include "support.h"

static const size_t tier_sizes[] = {1,      16,   100,     256,         257,    1024,
                                    1025,   4096, 4097,    16384,       65536,  65537,
                                    200000, MIB,  2 * MIB, 3 * MIB + 1, 9 * MIB};

/* Resizes a block filled with `key` and fills it again; fails the test when bytes were lost. */
static char *resize(char *block, size_t old_bytes, size_t new_bytes, uint64_t key)
{
    char *moved = hak_realloc(block, new_bytes);
    assert_non_null(moved);
    assert_true(hak_malloc_usable_size(moved) >= new_bytes);
    if (!support_holds(moved, old_bytes < new_bytes ? old_bytes : new_bytes, key))
        fail_msg("contents lost from %zu to %zu bytes", old_bytes, new_bytes);
    support_fill(moved, new_bytes, key);
    return moved;
}

static void realloc__ladder_up_and_down__keeps_contents(void **state)
{
    const size_t top_bytes = 64 * MIB;
    size_t bytes = 1;
    char *block = hak_malloc(bytes);
    (void)state;
    support_fill(block, bytes, 42);
    while (bytes < top_bytes) {
        size_t next_bytes = bytes + bytes / 2 + 1;
        block = resize(block, bytes, next_bytes, 42);
        bytes = next_bytes;
    }
    while (bytes > 1) {
        size_t next_bytes = bytes - bytes / 3 - 1;
        block = resize(block, bytes, next_bytes, 42);
        bytes = next_bytes;
    }
    hak_free(block);
    assert_true(hak_heap_is_valid());
    assert_true(hak_segment_is_valid());
}

static void realloc__byte_by_byte__keeps_contents(void **state)
{
    char *block = hak_realloc(NULL, 1);
    (void)state;
    assert_non_null(block);
    for (size_t bytes = 1; bytes <= 20000; bytes++) {
        block[bytes - 1] = (char)(bytes * 31);
        block = hak_realloc(block, bytes + 1);
        assert_non_null(block);
    }
    for (size_t bytes = 1; bytes <= 20000; bytes++)
        assert_int_equal(block[bytes - 1], (char)(bytes * 31));
    hak_free(block);
}

static void realloc__every_tier_to_every_tier__keeps_contents(void **state)
{
    (void)state;
    for (size_t from = 0; from < SUPPORT_COUNT(tier_sizes); from++) {
        for (size_t to = 0; to < SUPPORT_COUNT(tier_sizes); to++) {
            char *block = hak_malloc(tier_sizes[from]);
            assert_non_null(block);
            support_fill(block, tier_sizes[from], from);
            hak_free(resize(block, tier_sizes[from], tier_sizes[to], from));
        }
    }
}

static void assert_stays(char *block, size_t bytes)
{
    char *after = hak_realloc(block, bytes);
    if (after != block)
        fail_msg("moved by a realloc to %zu bytes within the usable size", bytes);
}

static void realloc__within_usable__never_moves(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes <= 24 * MIB; bytes += bytes / 5 + 1) {
        char *block = hak_malloc(bytes);
        assert_non_null(block);
        size_t usable_bytes = hak_malloc_usable_size(block);
        assert_stays(block, usable_bytes);
        assert_true(hak_malloc_usable_size(block) >= usable_bytes);
        support_fill(block, usable_bytes, bytes);
        assert_stays(block, usable_bytes - 1);
        assert_stays(block, bytes);
        assert_true(support_holds(block, bytes, bytes));
        assert_stays(block, bytes / 2 + 1);
        assert_true(support_holds(block, bytes / 2 + 1, bytes));
        assert_stays(block, 1);
        assert_stays(block, hak_malloc_usable_size(block));
        assert_true(support_holds(block, 1, bytes));
        hak_free(block);
    }
}

/* What a shrunk block gave back is used by others, and growth in place stops before them. */
static void realloc__grown_and_shrunk_between_neighbours__leaves_them(void **state)
{
    enum { NEIGHBOURS = 8 };
    char *neighbours[NEIGHBOURS], *late[NEIGHBOURS];
    (void)state;
    for (size_t bytes = 70 * KIB; bytes <= 8 * MIB; bytes *= 3) {
        for (size_t i = 0; i < NEIGHBOURS; i++) {
            neighbours[i] = hak_malloc(bytes);
            assert_non_null(neighbours[i]);
            support_fill(neighbours[i], bytes, i);
        }
        char *middle = neighbours[NEIGHBOURS / 2];
        middle = resize(middle, bytes, bytes * 4, NEIGHBOURS / 2);
        middle = resize(middle, bytes * 4, bytes / 2, NEIGHBOURS / 2);
        for (size_t i = 0; i < NEIGHBOURS; i++) {
            late[i] = hak_malloc(bytes / 2);
            assert_non_null(late[i]);
            support_fill(late[i], bytes / 2, 100 + i);
        }
        middle = resize(middle, bytes / 2, bytes, NEIGHBOURS / 2);
        neighbours[NEIGHBOURS / 2] = middle;
        for (size_t i = 0; i < NEIGHBOURS; i++) {
            assert_true(support_holds(neighbours[i], bytes, i));
            assert_true(support_holds(late[i], bytes / 2, 100 + i));
            hak_free(neighbours[i]);
            hak_free(late[i]);
        }
    }
}

static void realloc__aligned_block__keeps_contents(void **state)
{
    (void)state;
    for (size_t alignment = 32; alignment <= 4 * MIB; alignment *= 2) {
        for (size_t bytes = 10; bytes <= 3 * MIB; bytes *= 7) {
            char *block = hak_memalign(alignment, bytes);
            assert_non_null(block);
            support_fill(block, bytes, alignment);
            block = resize(block, bytes, bytes * 2, alignment);
            hak_free(resize(block, bytes * 2, bytes / 2, alignment));
        }
    }
}

static void *make_blocks(void *argument)
{
    char **blocks = argument;
    for (size_t i = 0; i < SUPPORT_COUNT(tier_sizes); i++) {
        blocks[i] = hak_malloc(tier_sizes[i]);
        SUPPORT_REQUIRE(blocks[i] != NULL);
        support_fill(blocks[i], tier_sizes[i], i);
    }
    return NULL;
}

static void realloc__block_of_another_thread__keeps_contents(void **state)
{
    char *blocks[SUPPORT_COUNT(tier_sizes)];
    pthread_t maker;
    (void)state;
    assert_int_equal(pthread_create(&maker, NULL, make_blocks, blocks), 0);
    pthread_join(maker, NULL);
    for (size_t i = 0; i < SUPPORT_COUNT(tier_sizes); i++) {
        size_t bytes = tier_sizes[i];
        blocks[i] = resize(blocks[i], bytes, bytes * 2 + 1, i);
        hak_free(resize(blocks[i], bytes * 2 + 1, bytes / 2 + 1, i));
    }
}

static void realloc__null_or_counted__allocates(void **state)
{
    char *block = hak_realloc(NULL, 100);
    (void)state;
    assert_non_null(block);
    support_fill(block, 100, 5);
    block = hak_reallocarray(block, 300, 1000);
    assert_non_null(block);
    assert_true(hak_malloc_usable_size(block) >= 300000);
    assert_true(support_holds(block, 100, 5));
    hak_free(block);
    block = hak_reallocarray(NULL, 10, 10);
    assert_non_null(block);
    assert_true(hak_malloc_usable_size(block) >= 100);
    hak_free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(realloc__ladder_up_and_down__keeps_contents),
        cmocka_unit_test(realloc__byte_by_byte__keeps_contents),
        cmocka_unit_test(realloc__every_tier_to_every_tier__keeps_contents),
        cmocka_unit_test(realloc__within_usable__never_moves),
        cmocka_unit_test(realloc__grown_and_shrunk_between_neighbours__leaves_them),
        cmocka_unit_test(realloc__aligned_block__keeps_contents),
        cmocka_unit_test(realloc__block_of_another_thread__keeps_contents),
        cmocka_unit_test(realloc__null_or_counted__allocates),
    };
    return cmocka_run_group_tests_name("realloc", tests, NULL, NULL);
}
