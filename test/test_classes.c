/*
 * Size classes: which bin serves a size, how its pages are cut, and which tier it belongs to.
 *
 * ctest: labels=quick timeout=120 core=fake
 */
#include "front/classes.h"

#include "front/layout.h"
#include "front/start.h"
#include "scenario.h"

struct setting {
    const char *tiny_max_class, *smallmid; /* as in the environment; NULL: not there */
    size_t tiny_end, smallmid_end;         /* the largest sizes of these tiers */
};

static size_t slot_bytes_of(size_t size)
{
    return hak_classes[hak_class_bin(size)].geometry.slot_bytes;
}

static void classes__sizes_to_64_kib__have_a_bin_that_wastes_little(void **state)
{
    size_t last_bin = 1;
    (void)state;
    hak_classes_init(1024, true);
    for (size_t size = 1; size <= 64 * KIB; size++) {
        size_t bin = hak_class_bin(size);
        size_t slot_bytes = slot_bytes_of(size);
        assert_in_range(bin, 1, HAK_BINS - 1);
        assert_true(slot_bytes >= size);
        assert_true(bin == last_bin || bin == last_bin + 1); /* monotone, none is left out */
        size_t waste_most = size <= KIB ? 15 : size <= 4 * KIB ? size / 8 + 16 : size / 4 + 16;
        if (slot_bytes - size > waste_most)
            fail_msg("%zu bytes are given %zu", size, slot_bytes);
        if (bin != last_bin) /* the bin before was too small, and just so */
            assert_int_equal(hak_classes[last_bin].geometry.slot_bytes, size - 1);
        last_bin = bin;
    }
    assert_int_equal(last_bin, HAK_BINS - 1);
    assert_int_equal(slot_bytes_of(64 * KIB), 64 * KIB);
}

/* What the fast path relies on: it finds small bins by arithmetic alone. */
static void classes__small_sizes__bin_is_the_size_in_grains(void **state)
{
    (void)state;
    hak_classes_init(1024, true);
    for (size_t size = 1; size <= HAK_SMALL_MAX; size++)
        assert_int_equal(hak_class_bin(size), (size + 15) / 16);
    for (size_t size = HAK_SMALL_MAX + 1; size <= HAK_MEDIUM_MAX; size++)
        assert_int_equal(hak_class_bin(size), hak_medium_bins[(size - 1) / 128]);
}

static void classes__every_bin__has_a_sound_geometry(void **state)
{
    (void)state;
    hak_classes_init(1024, true);
    for (size_t bin = 1; bin < HAK_BINS; bin++) {
        const struct hak_class *class = &hak_classes[bin];
        const struct hak_geometry *geometry = &class->geometry;
        size_t span_bytes = geometry->span_pages * HAK_PAGE_BYTES;
        assert_int_equal(geometry->slot_bytes % 16, 0);
        assert_in_range(geometry->span_pages, 1, 8);
        assert_true(hak_is_power_of_two(geometry->span_pages)); /* spans are aligned to it */
        assert_int_equal(geometry->slots,
                         (span_bytes - geometry->first_bytes) / geometry->slot_bytes);
        assert_int_equal(geometry->words, (geometry->slots + 63) / 64);
        assert_true(geometry->slots >= 8);
        assert_true(span_bytes - geometry->slots * geometry->slot_bytes <= span_bytes / 8);
        assert_true(geometry->slot_bytes > 4 * KIB || geometry->span_pages == 1);
        /* Magazines: 2^k - 1 blocks, bounded in bytes. */
        assert_true(hak_is_power_of_two(class->first_capacity + (size_t)1));
        assert_true(hak_is_power_of_two(class->max_capacity + (size_t)1));
        assert_in_range(class->first_capacity, 1, class->max_capacity);
        assert_true((size_t) class->max_capacity * geometry->slot_bytes <= MIB);
    }
}

static void classes__aligned_bins__are_the_smallest_that_fit(void **state)
{
    (void)state;
    hak_classes_init(1024, true);
    for (size_t alignment = 1; alignment <= 64 * KIB; alignment *= 2) {
        for (size_t size = 0; size <= 64 * KIB; size += size < 2000 ? 1 : 61) {
            size_t expected = 0; /* none */
            for (size_t bin = 1; bin < HAK_BINS && expected == 0; bin++) {
                size_t slot_bytes = hak_classes[bin].geometry.slot_bytes;
                expected = slot_bytes >= size && slot_bytes % alignment == 0 ? bin : 0;
            }
            if (hak_class_aligned_bin(size, alignment) != expected)
                fail_msg("%zu bytes at %zu: bin %zu, not %zu", size, alignment,
                         hak_class_aligned_bin(size, alignment), expected);
        }
    }
    assert_int_equal(hak_class_aligned_bin(64 * KIB + 1, 16), 0);
    assert_int_equal(hak_class_aligned_bin(100, 128 * KIB), 0);
}

/* The pool of the page that a block with a slot of this size lies in. */
static enum hak_pool pool_of_block(size_t slot_bytes)
{
    enum hak_pool pool;
    char *block = hak_malloc(slot_bytes - HAK_LAYOUT_BYTES);
    SUPPORT_REQUIRE(block != NULL);
    (void)hak_segment_taken(hak_region_page_idx(block) / HAK_SEGMENT_PAGES, &pool);
    hak_free(block);
    return pool;
}

static void check_tiers(void *argument)
{
    const struct setting *setting = argument;
    unsetenv("HAKMEM_TINY_MAX_CLASS");
    unsetenv("HAKMEM_SMALLMID_ENABLE");
    if (setting->tiny_max_class != NULL)
        setenv("HAKMEM_TINY_MAX_CLASS", setting->tiny_max_class, 1);
    if (setting->smallmid != NULL)
        setenv("HAKMEM_SMALLMID_ENABLE", setting->smallmid, 1);
    hak_fake_wake(4096);
    SUPPORT_REQUIRE(hak_start());
    for (size_t size = 1; size <= 64 * KIB; size++) {
        enum hak_pool pool = (enum hak_pool)hak_classes[hak_class_bin(size)].geometry.pool;
        enum hak_pool expected = size <= setting->tiny_end       ? HAK_POOL_TINY
                                 : size <= setting->smallmid_end ? HAK_POOL_SMALLMID
                                                                 : HAK_POOL_MID;
        if (pool != expected)
            dprintf(STDERR_FILENO, "%zu bytes are in pool %d\n", size, (int)pool);
        SUPPORT_REQUIRE(pool == expected);
        if (size % 500 == 0)
            SUPPORT_REQUIRE(pool_of_block(size) == expected);
    }
    SUPPORT_REQUIRE(pool_of_block(64 * KIB + 1) == HAK_POOL_LARGE);
    SUPPORT_REQUIRE(hak_segment_is_valid());
}

static void classes__tier_settings__send_sizes_to_their_pools(void **state)
{
    struct setting settings[] = {
        {NULL, NULL, 1024, 4096}, {"7", NULL, 1024, 4096}, {"5", NULL, 256, 4096},
        {"5", "1", 256, 4096},    {"7", "0", 1024, 1024},  {"5", "0", 1024, 1024},
    };
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(settings); i++)
        scenario_run(check_tiers, &settings[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes__sizes_to_64_kib__have_a_bin_that_wastes_little),
        cmocka_unit_test(classes__small_sizes__bin_is_the_size_in_grains),
        cmocka_unit_test(classes__every_bin__has_a_sound_geometry),
        cmocka_unit_test(classes__aligned_bins__are_the_smallest_that_fit),
        cmocka_unit_test(classes__tier_settings__send_sizes_to_their_pools),
    };
    return cmocka_run_group_tests_name("classes", tests, NULL, NULL);
}
