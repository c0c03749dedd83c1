/*
 * Every size and every alignment yields a block that is whole, aligned and its own.
 *
 * The newest blocks stay live in a window. A new one must not overlap any of them, and each
 * must still hold its fill when it leaves the window.
 *
 * ctest: labels=quick timeout=120
 */
#include "clean.h"

#define WINDOW_BLOCKS 64
#define WHOLE_FILL_MAX (64 * KIB)
#define EDGE_BYTES 64
#define SAMPLE_STEP 4096

struct live_block {
    char *start; /* NULL: no block here */
    size_t asked_bytes;
    size_t usable_bytes;
    uint64_t key;
};

struct window {
    struct live_block blocks[WINDOW_BLOCKS];
    size_t next_idx;
    uint64_t next_key;
};

/* Small blocks are filled whole, large ones at both ends and once an os_page. */
static void live_block_fill(const struct live_block *block)
{
    if (block->usable_bytes <= WHOLE_FILL_MAX) {
        support_fill(block->start, block->usable_bytes, block->key);
        return;
    }
    for (size_t at = SAMPLE_STEP; at < block->usable_bytes - EDGE_BYTES; at += SAMPLE_STEP)
        memcpy(block->start + at, &block->key, sizeof block->key);
    support_fill(block->start, EDGE_BYTES, block->key);
    support_fill(block->start + block->usable_bytes - EDGE_BYTES, EDGE_BYTES, ~block->key);
}

static bool live_block_holds(const struct live_block *block)
{
    if (block->usable_bytes <= WHOLE_FILL_MAX)
        return support_holds(block->start, block->usable_bytes, block->key);
    for (size_t at = SAMPLE_STEP; at < block->usable_bytes - EDGE_BYTES; at += SAMPLE_STEP) {
        if (memcmp(block->start + at, &block->key, sizeof block->key) != 0)
            return false;
    }
    return support_holds(block->start, EDGE_BYTES, block->key) &&
           support_holds(block->start + block->usable_bytes - EDGE_BYTES, EDGE_BYTES, ~block->key);
}

static void window_drop(struct window *window, size_t idx)
{
    struct live_block *block = &window->blocks[idx];
    if (block->start == NULL)
        return;
    if (!live_block_holds(block))
        fail_msg("a block of %zu bytes lost its contents", block->asked_bytes);
    hak_free(block->start);
    block->start = NULL;
}

static void window_drop_all(struct window *window)
{
    for (size_t i = 0; i < WINDOW_BLOCKS; i++)
        window_drop(window, i);
}

static const char *window_judge(const struct window *window, const struct live_block *block,
                                size_t alignment)
{
    if (block->start == NULL)
        return "no block";
    if ((uintptr_t)block->start % alignment != 0)
        return "not aligned";
    if (block->usable_bytes < block->asked_bytes)
        return "usable size below the request";
    for (size_t i = 0; i < WINDOW_BLOCKS; i++) {
        const struct live_block *other = &window->blocks[i];
        uintptr_t start = (uintptr_t)block->start, other_start = (uintptr_t)other->start;
        if (other_start == start)
            return "handed out twice";
        if (other_start != 0 && start < other_start + other->usable_bytes &&
            other_start < start + block->usable_bytes)
            return "overlaps a live block";
    }
    return NULL;
}

/* Takes the block in place of the oldest one of the window. */
static void window_take(struct window *window, void *start, size_t asked_bytes, size_t alignment)
{
    window_drop(window, window->next_idx);
    struct live_block block = {support_hide(start), asked_bytes, hak_malloc_usable_size(start),
                               support_word(1, ++window->next_key)};
    const char *fault = window_judge(window, &block, alignment);
    if (fault != NULL)
        fail_msg("%zu bytes aligned to %zu: %s", asked_bytes, alignment, fault);
    live_block_fill(&block);
    window->blocks[window->next_idx] = block;
    window->next_idx = (window->next_idx + 1) % WINDOW_BLOCKS;
}

static void walk_sizes(size_t first, size_t last, size_t step)
{
    struct window window = {0};
    size_t before_bytes = used_bytes();
    for (size_t size = first; size <= last; size += step)
        window_take(&window, hak_malloc(size), size, 16);
    window_drop_all(&window);
    assert_clean(before_bytes);
}

static void property__every_size_to_64_kib__whole_and_disjoint(void **state)
{
    (void)state;
    walk_sizes(0, 64 * KIB, 1);
}

static void property__every_size_to_1_mib__whole_and_disjoint(void **state)
{
    (void)state;
    walk_sizes(64 * KIB + 1, MIB, SUPPORT_SHADOWED ? 61 : 1);
}

static void property__sizes_downward__whole_and_disjoint(void **state)
{
    struct window window = {0};
    size_t before_bytes = used_bytes();
    (void)state;
    for (size_t size = 12 * MIB; size > 0; size -= size / 64 + 1)
        window_take(&window, hak_malloc(size), size, 16);
    window_drop_all(&window);
    assert_clean(before_bytes);
}

/* Many of one size: the blocks of a class meet their own neighbours and cross page ends. */
static void property__many_of_each_small_size__whole_and_disjoint(void **state)
{
    struct window window = {0};
    size_t before_bytes = used_bytes();
    (void)state;
    for (size_t size = 1; size <= 64 * KIB; size += size / 16 + 1) {
        for (size_t i = 0; i < 4 * WINDOW_BLOCKS; i++)
            window_take(&window, hak_malloc(size), size, 16);
    }
    window_drop_all(&window);
    assert_clean(before_bytes);
}

static void property__sizes_to_64_kib__overhead_is_bounded(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 64 * KIB; size++) {
        void *block = hak_malloc(size);
        size_t usable_bytes = hak_malloc_usable_size(block);
        if (usable_bytes > 16 && usable_bytes > size + size / 4 + 16)
            fail_msg("%zu bytes asked, %zu given", size, usable_bytes);
        hak_free(block);
    }
}

static void *aligned_by(unsigned way, size_t alignment, size_t size)
{
    void *block = NULL;
    if (way == 0)
        return hak_aligned_alloc(alignment, size);
    if (way == 1)
        return hak_memalign(alignment, size);
    return hak_posix_memalign(&block, alignment, size) == 0 ? block : NULL;
}

static void property__every_alignment__aligned_and_disjoint(void **state)
{
    const size_t sizes[] = {0,           1,        15,          16,     17,     48,         100,
                            256,         257,      1000,        1024,   1025,   4096,       4097,
                            20000,       32 * KIB, 65536,       65537,  100000, MIB - 4096, MIB,
                            2 * MIB - 1, 2 * MIB,  3 * MIB + 5, 4 * MIB};
    struct window window = {0};
    size_t before_bytes = used_bytes();
    (void)state;
    for (size_t alignment = 16; alignment <= 4 * MIB; alignment *= 2) {
        for (unsigned way = 0; way < 3; way++) {
            for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
                window_take(&window, aligned_by(way, alignment, sizes[i]), sizes[i], alignment);
        }
    }
    window_drop_all(&window);
    assert_clean(before_bytes);
}

static void property__alignments_between_plain_blocks__aligned_and_disjoint(void **state)
{
    struct window window = {0};
    size_t before_bytes = used_bytes();
    uint64_t seed = 7;
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        size_t size = support_random(&seed) % ((size_t)1 << (4 + support_random(&seed) % 14));
        size_t alignment = (size_t)16 << (support_random(&seed) % 10);
        if (i % 2 == 0)
            window_take(&window, hak_malloc(size), size, 16);
        else
            window_take(&window, aligned_by(i / 2 % 3, alignment, size), size, alignment);
    }
    window_drop_all(&window);
    assert_clean(before_bytes);
}

static void property__alignments_below_16__served_as_16(void **state)
{
    struct window window = {0};
    (void)state;
    for (size_t alignment = 1; alignment < 16; alignment *= 2) {
        for (size_t size = 0; size < 300; size++)
            window_take(&window, hak_memalign(alignment, size), size, 16);
    }
    window_drop_all(&window);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(property__every_size_to_64_kib__whole_and_disjoint),
        cmocka_unit_test(property__every_size_to_1_mib__whole_and_disjoint),
        cmocka_unit_test(property__sizes_downward__whole_and_disjoint),
        cmocka_unit_test(property__many_of_each_small_size__whole_and_disjoint),
        cmocka_unit_test(property__sizes_to_64_kib__overhead_is_bounded),
        cmocka_unit_test(property__every_alignment__aligned_and_disjoint),
        cmocka_unit_test(property__alignments_between_plain_blocks__aligned_and_disjoint),
        cmocka_unit_test(property__alignments_below_16__served_as_16),
    };
    return cmocka_run_group_tests_name("property", tests, NULL, NULL);
}
