/*
 * The page tag table, over storage of the test's own.
 *
 * That a look-up costs the same whatever is registered is shown by work, not by time: all of
 * the table but the kernel page around one tag is made inaccessible.
 *
 * ctest: labels=quick,aarch64 timeout=120 core=fake
 */
#include "region/region.h"

#include "scenario.h"

#include <sys/mman.h>

#define SEGMENTS_MAX ((size_t)100000)
#define PAGES_MAX (SEGMENTS_MAX * HAK_SEGMENT_PAGES)
#define TABLE_BYTES (PAGES_MAX * sizeof(uintptr_t))
#define BASE ((uintptr_t)0x7a0000000000)

static const size_t segment_counts[] = {1, 1000, SEGMENTS_MAX};

static _Atomic(uintptr_t) *table;
static size_t os_page_bytes;

/* An empty table with as many pages. */
static void table_renew(uintptr_t base, size_t pages)
{
    if (table != NULL)
        assert_int_equal(munmap((void *)table, TABLE_BYTES), 0);
    table = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(table, MAP_FAILED);
    hak_region_init(base, table, PAGES_MAX);
    hak_region_grow(pages);
}

/* A tag that no other segment has. */
static uintptr_t tag_of(size_t segment)
{
    return HAK_TAG_BINS + segment * 32;
}

static void register_all(size_t segments)
{
    table_renew(BASE, segments * HAK_SEGMENT_PAGES);
    for (size_t i = 0; i < segments; i++)
        hak_region_set(i * HAK_SEGMENT_PAGES, HAK_SEGMENT_PAGES, tag_of(i));
}

static const void *address_in(size_t segment, size_t page, size_t offset)
{
    return (const void *)(BASE + segment * HAK_SEGMENT_BYTES + page * HAK_PAGE_BYTES + offset);
}

static void region__segments_registered__each_fills_its_32_tags(void **state)
{
    (void)state;
    for (size_t n = 0; n < SUPPORT_COUNT(segment_counts); n++) {
        size_t segments = segment_counts[n];
        register_all(segments);
        assert_int_equal(hak_region_pages(), segments * HAK_SEGMENT_PAGES);
        for (size_t page = 0; page < segments * HAK_SEGMENT_PAGES; page++)
            assert_int_equal(hak_region_tag(page), tag_of(page / HAK_SEGMENT_PAGES));
        if (segments < SEGMENTS_MAX)
            assert_int_equal(hak_region_tag(segments * HAK_SEGMENT_PAGES), HAK_TAG_NONE);
        assert_true(hak_region_is_valid());
    }
}

static void region__one_segment_registered__neighbours_keep_theirs(void **state)
{
    (void)state;
    register_all(3);
    hak_region_set(HAK_SEGMENT_PAGES, HAK_SEGMENT_PAGES, HAK_TAG_NONE);
    for (size_t page = 0; page < 3 * HAK_SEGMENT_PAGES; page++) {
        size_t segment = page / HAK_SEGMENT_PAGES;
        assert_int_equal(hak_region_tag(page), segment == 1 ? HAK_TAG_NONE : tag_of(segment));
    }
}

static void region__part_of_a_row_set__nothing_else_changes(void **state)
{
    (void)state;
    for (size_t first = 0; first < HAK_SEGMENT_PAGES; first++) {
        for (size_t count = 0; count <= HAK_SEGMENT_PAGES - first; count++) {
            table_renew(BASE, 3 * HAK_SEGMENT_PAGES);
            hak_region_set(HAK_SEGMENT_PAGES + first, count, tag_of(7));
            for (size_t page = 0; page < 3 * HAK_SEGMENT_PAGES; page++) {
                size_t at = page - HAK_SEGMENT_PAGES - first; /* huge for pages before it */
                assert_int_equal(hak_region_tag(page), at < count ? tag_of(7) : HAK_TAG_NONE);
            }
        }
    }
}

static void region__addresses_inside__find_their_tag(void **state)
{
    (void)state;
    for (size_t n = 0; n < SUPPORT_COUNT(segment_counts); n++) {
        uint64_t seed = n;
        register_all(segment_counts[n]);
        for (unsigned i = 0; i < 20000; i++) {
            size_t segment = support_random(&seed) % segment_counts[n];
            size_t page = support_random(&seed) % HAK_SEGMENT_PAGES;
            size_t offset = i % 3 == 0   ? 0
                            : i % 3 == 1 ? HAK_PAGE_BYTES - 1
                                         : support_random(&seed) % HAK_PAGE_BYTES;
            size_t found = hak_region_page_idx(address_in(segment, page, offset));
            assert_int_equal(found, segment * HAK_SEGMENT_PAGES + page);
            assert_int_equal(hak_region_tag(found), tag_of(segment));
            assert_ptr_equal(hak_region_page_start(found), address_in(segment, page, 0));
        }
    }
}

static bool is_out_of_bounds(uintptr_t address)
{
    return hak_region_page_idx((const void *)address) >= hak_region_pages();
}

static void region__addresses_outside__are_out_of_bounds(void **state)
{
    const uintptr_t bases[] = {HAK_SEGMENT_BYTES, BASE, 0x7fffffffffff - SEGMENTS_MAX * 2 * MIB};
    (void)state;
    for (size_t b = 0; b < SUPPORT_COUNT(bases); b++) {
        for (size_t n = 0; n < SUPPORT_COUNT(segment_counts); n++) {
            uintptr_t base = hak_align_down(bases[b], HAK_SEGMENT_BYTES);
            uintptr_t end = base + segment_counts[n] * HAK_SEGMENT_BYTES;
            const uintptr_t outside[] = {0,
                                         1,
                                         HAK_PAGE_BYTES,
                                         base - 1,
                                         end,
                                         end + HAK_SEGMENT_BYTES,
                                         (uintptr_t)&table,
                                         (uintptr_t)1 << 47,
                                         0xffff800000000000,
                                         UINTPTR_MAX - HAK_SEGMENT_BYTES,
                                         UINTPTR_MAX};
            uint64_t seed = n;
            table_renew(base, segment_counts[n] * HAK_SEGMENT_PAGES);
            assert_false(is_out_of_bounds(base));
            assert_false(is_out_of_bounds(end - 1));
            for (size_t i = 0; i < SUPPORT_COUNT(outside); i++)
                assert_true(is_out_of_bounds(outside[i]));
            for (unsigned i = 0; i < 20000; i++) {
                uintptr_t garbage = support_random(&seed) >> support_random(&seed) % 64;
                assert_true((garbage >= base && garbage < end) != is_out_of_bounds(garbage));
            }
        }
    }
}

static void region__empty_table__everything_is_out_of_bounds(void **state)
{
    (void)state;
    table_renew(BASE, 0);
    assert_true(is_out_of_bounds(BASE));
    assert_true(is_out_of_bounds(0));
    assert_true(hak_region_is_valid());
}

static void bytes_protect(char *start, size_t bytes, int protection)
{
    if (bytes != 0) /* qemu-user refuses an empty range */
        assert_int_equal(mprotect(start, bytes, protection), 0);
}

/* All of the table but the kernel page that has this tag. */
static void table_protect(size_t page_idx, int protection)
{
    size_t tag_bytes = hak_align_down(page_idx * sizeof(uintptr_t), os_page_bytes);
    size_t end_bytes = tag_bytes + os_page_bytes;
    char *bytes = (char *)(uintptr_t)table;
    bytes_protect(bytes, tag_bytes, protection);
    bytes_protect(bytes + end_bytes, TABLE_BYTES - end_bytes, protection);
}

static void region__many_segments__look_up_and_registration_touch_one_place(void **state)
{
    (void)state;
    for (size_t n = 0; n < SUPPORT_COUNT(segment_counts); n++) {
        size_t segments = segment_counts[n];
        size_t some[] = {0, segments / 2, segments - 1};
        for (size_t i = 0; i < SUPPORT_COUNT(some); i++) {
            register_all(segments);
            size_t first = some[i] * HAK_SEGMENT_PAGES;
            table_protect(first, PROT_NONE); /* a row of tags lies in one kernel page */
            size_t found = hak_region_page_idx(address_in(some[i], 31, 99));
            uintptr_t tag = found < hak_region_pages() ? hak_region_tag(found) : HAK_TAG_NONE;
            hak_region_set(first, HAK_SEGMENT_PAGES, HAK_TAG_LARGE);
            bool cleared = hak_region_clear_large(first);
            hak_region_grow(segments * HAK_SEGMENT_PAGES);
            table_protect(first, PROT_READ | PROT_WRITE);
            assert_int_equal(tag, tag_of(some[i]));
            assert_true(cleared);
        }
    }
}

static void region__grow_to_less__does_not_shrink(void **state)
{
    (void)state;
    table_renew(BASE, 320);
    hak_region_grow(32);
    assert_int_equal(hak_region_pages(), 320);
    hak_region_grow(0);
    assert_int_equal(hak_region_pages(), 320);
    hak_region_grow(321);
    assert_int_equal(hak_region_pages(), 321);
}

static void grow_in_steps(unsigned index, void *unused)
{
    (void)unused;
    size_t before = 0;
    for (size_t pages = index; pages <= PAGES_MAX; pages += 8 * 37) {
        hak_region_grow(pages);
        size_t now = hak_region_pages();
        SUPPORT_REQUIRE(now >= pages && now >= before);
        before = now;
    }
}

static void region__8_threads_grow__settles_at_the_largest(void **state)
{
    (void)state;
    size_t largest = 0;
    for (size_t index = 0; index < 8; index++) {
        size_t last = index + (PAGES_MAX - index) / (8 * 37) * (8 * 37);
        largest = last > largest ? last : largest;
    }
    table_renew(BASE, 0);
    scenario_threads(8, grow_in_steps, NULL);
    assert_int_equal(hak_region_pages(), largest);
}

static void region__large_tag_cleared__once_only(void **state)
{
    (void)state;
    table_renew(BASE, 64);
    hak_region_set(3, 1, HAK_TAG_LARGE);
    hak_region_set(4, 1, tag_of(1));
    assert_false(hak_region_clear_large(2));
    assert_true(hak_region_clear_large(3));
    assert_false(hak_region_clear_large(3));
    assert_false(hak_region_clear_large(4));
    assert_int_equal(hak_region_tag(3), HAK_TAG_NONE);
    assert_int_equal(hak_region_tag(4), tag_of(1));
}

static void region__tag_that_cannot_be__is_not_valid(void **state)
{
    const uintptr_t bad[] = {2, HAK_TAG_BINS - 1, HAK_TAG_BINS + 4, UINTPTR_MAX};
    (void)state;
    register_all(10);
    hak_region_set(64, 1, HAK_TAG_LARGE);
    assert_true(hak_region_is_valid());
    for (size_t i = 0; i < SUPPORT_COUNT(bad); i++) {
        hak_region_set(319, 1, bad[i]);
        assert_false(hak_region_is_valid());
        hak_region_set(319, 1, HAK_TAG_NONE);
        assert_true(hak_region_is_valid());
    }
    hak_region_grow(PAGES_MAX + 1);
    assert_false(hak_region_is_valid());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(region__segments_registered__each_fills_its_32_tags),
        cmocka_unit_test(region__one_segment_registered__neighbours_keep_theirs),
        cmocka_unit_test(region__part_of_a_row_set__nothing_else_changes),
        cmocka_unit_test(region__addresses_inside__find_their_tag),
        cmocka_unit_test(region__addresses_outside__are_out_of_bounds),
        cmocka_unit_test(region__empty_table__everything_is_out_of_bounds),
        cmocka_unit_test(region__many_segments__look_up_and_registration_touch_one_place),
        cmocka_unit_test(region__grow_to_less__does_not_shrink),
        cmocka_unit_test(region__8_threads_grow__settles_at_the_largest),
        cmocka_unit_test(region__large_tag_cleared__once_only),
        cmocka_unit_test(region__tag_that_cannot_be__is_not_valid),
    };
    os_page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    return cmocka_run_group_tests_name("region", tests, NULL, NULL);
}
