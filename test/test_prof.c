/*
 * The profiler's estimates, against volumes that are known.
 *
 * Of a volume V in many blocks, the estimate's standard deviation is sqrt(V * mean): six of them
 * are allowed, which chance exceeds once in 10^9. What is counted, and not estimated, must be
 * exact.
 *
 * ctest: labels=quick timeout=120
 */
#include <math.h>

#include "support.h"

#include "front/layout.h"
#include "front/profile/chance.h"
#include "front/profile/inside.h"

#define MEAN_BYTES 4096.0

struct sums {
    double taken_bytes, taken_objects, freed_bytes, freed_objects;
};

static double read_figure(const _Atomic(uint64_t) *figure)
{
    /* relaxed: the threads that wrote it were joined. */
    return (double)atomic_load_explicit(figure, memory_order_relaxed);
}

/* Of all sites with a caller in [from, from + bytes), or of all. */
static struct sums sums_of(uintptr_t from, size_t bytes)
{
    struct sums sums = {0, 0, 0, 0};
    const struct hak_prof_site *site = NULL;
    while ((site = hak_prof_site_after(site)) != NULL) {
        bool counts = from == 0;
        for (size_t i = 0; i < site->count; i++) {
            counts = counts || site->callers[i] - from < bytes;
        }
        if (counts) {
            sums.taken_bytes += read_figure(&site->taken_bytes);
            sums.freed_bytes += read_figure(&site->freed_bytes);
            sums.taken_objects += read_figure(&site->taken_objects) / HAK_PROF_OBJECT;
            sums.freed_objects += read_figure(&site->freed_objects) / HAK_PROF_OBJECT;
        }
    }
    return sums;
}

/* Six deviations around `bytes` in blocks of `block_bytes`. */
static void expect_about(const char *what, double estimate, double bytes)
{
    double allowed = 6 * sqrt(bytes * MEAN_BYTES);
    if (fabs(estimate - bytes) > allowed) {
        fail_msg("%s: %.0f bytes estimated, %.0f +- %.0f expected", what, estimate, bytes, allowed);
    }
}

static void profile_needed(void)
{
    if (!HAK_LAYOUT_PROFILES) {
        skip(); /* the header mode */
    }
    assert_true(hak_bins_below == HAK_BINS);
}

static void chance__series__agree_with_libm(void **state)
{
    (void)state;
    double x = 1e-9;
    for (int i = 0; i < 80; i++, x *= 1.37) {
        assert_true(fabs(hak_chance_of(x) + expm1(-x)) <= 1e-9 * -expm1(-x));
    }
    uint64_t one = 7, other = 7;
    for (int i = 0; i < 100000; i++) {
        double wait = hak_chance_wait(&one);
        double expected = -log((double)(hak_harden_random(&other) | 1) * 0x1p-64);
        assert_true(fabs(wait - expected) < 1e-6);
    }
}

/* ---- counts ---- */

/* How many mallocs of the class come before the sampled one; sets that but for UINT64_MAX. */
static uint64_t left_of(size_t bin_idx, uint64_t left)
{
    struct hak_heap *heap = hak_heap_enter();
    hak_prof_join(heap, bin_idx);
    uint64_t *place = &hak_prof_of(heap)->left[bin_idx];
    *place = left != UINT64_MAX ? left : *place;
    left = *place;
    hak_prof_split(heap, bin_idx);
    hak_heap_leave(heap);
    return left;
}

#define MANY ((uint64_t)1 << 40)

static void counts__mallocs_of_a_class__each_is_counted(void **state)
{
    (void)state;
    static void *table[200];
    uint64_t random = 5, taken = 0;
    size_t bin_idx = hak_class_bin(128);
    profile_needed();
    (void)left_of(bin_idx, MANY);
    for (size_t i = 0; i < 100000; i++) {
        void **slot = &table[support_random(&random) % SUPPORT_COUNT(table)];
        if (*slot == NULL) {
            *slot = support_hide(hak_malloc(128));
            taken++;
        } else {
            hak_free(*slot);
            *slot = NULL;
        }
        if (i % 10000 == 0) {
            (void)hak_malloc_trim(0); /* what is in the bins goes: it was not handed out */
            assert_true(left_of(bin_idx, UINT64_MAX) == MANY - taken);
        }
    }
    for (size_t i = 0; i < SUPPORT_COUNT(table); i++) {
        hak_free(table[i]);
        table[i] = NULL;
    }
    assert_true(left_of(bin_idx, UINT64_MAX) == MANY - taken);
}

static const struct hak_page *large_page_of(const void *block)
{
    size_t page_idx = hak_region_page_idx(block);
    return hak_region_tag(page_idx) == HAK_TAG_LARGE ? hak_page_at(page_idx) : NULL;
}

static void counts__the_one_that_was_drawn__is_sampled(void **state)
{
    (void)state;
    void *blocks[100];
    size_t bin_idx = hak_class_bin(208);
    profile_needed();
    (void)left_of(bin_idx, 70);
    for (size_t i = 0; i < 71; i++) {
        blocks[i] = hak_malloc(208);
        assert_true((large_page_of(blocks[i]) != NULL) == (i == 70));
    }
    const struct hak_page *page = large_page_of(blocks[70]);
    assert_non_null(page->notes);
    for (size_t i = 0; i < 71; i++) {
        hak_free(blocks[i]);
    }
    assert_null(page->notes); /* whose page it is next, is not sampled by that */
}

/* It has its slot's bytes, however many its page has. */
static void counts__sampled_one_is_resized__as_any_of_its_class(void **state)
{
    (void)state;
    size_t bin_idx = hak_class_bin(208);
    profile_needed();
    (void)left_of(bin_idx, 0);
    char *block = hak_malloc(200);
    const struct hak_page *page = large_page_of(block);
    assert_non_null(page);
    assert_int_equal(hak_malloc_usable_size(block), 208);
    assert_true(hak_realloc(block, 208) == block);
    assert_non_null(page->notes);
    memset(block, 'x', 200);
    char *other = hak_realloc(block, 209);
    assert_true(other != block && other[199] == 'x');
    assert_true(page->notes == NULL || large_page_of(other) == page);
    hak_free(other);
}

/* ---- volumes ---- */

static void **kept;

__attribute__((noinline, noclone)) static void place_one(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        kept[i] = support_hide(hak_malloc(48));
    }
}

__attribute__((noinline, noclone)) static void place_two(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        kept[i] = support_hide(hak_malloc(1024));
    }
}

static void kept_free(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hak_free(kept[i]);
    }
}

#define PLACE_BYTES 160 /* of code, about: each function is longer than what its call is in */
#define KEPT 100000

static void volumes__two_places__estimates_are_right(void **state)
{
    (void)state;
    profile_needed();
    place_one(KEPT);
    struct sums one = sums_of((uintptr_t)place_one, PLACE_BYTES);
    expect_about("48 bytes, live", one.taken_bytes - one.freed_bytes, 48.0 * KEPT);
    expect_about("48 bytes, objects", (one.taken_objects - one.freed_objects) * 48, 48.0 * KEPT);
    kept_free(KEPT);
    place_two(KEPT / 10);
    struct sums two = sums_of((uintptr_t)place_two, PLACE_BYTES);
    expect_about("1024 bytes, live", two.taken_bytes - two.freed_bytes, 102.4 * KEPT);
    kept_free(KEPT / 10);
    one = sums_of((uintptr_t)place_one, PLACE_BYTES);
    two = sums_of((uintptr_t)place_two, PLACE_BYTES);
    assert_true(one.taken_bytes == one.freed_bytes && one.taken_objects == one.freed_objects);
    assert_true(two.taken_bytes == two.freed_bytes && two.taken_objects == two.freed_objects);
    assert_true(one.taken_bytes > 0 && two.taken_bytes > 0);
    assert_true(hak_heap_is_valid());
}

/* A list that grows: what malloc gave is gone, and what realloc gave lives. */
static void volumes__made_larger__belong_to_realloc(void **state)
{
    (void)state;
    profile_needed();
    place_one(KEPT / 10);
    struct sums before = sums_of(0, 0);
    for (size_t i = 0; i < KEPT / 10; i++) {
        kept[i] = support_hide(hak_realloc(kept[i], 1024));
    }
    struct sums one = sums_of((uintptr_t)place_one, PLACE_BYTES), after = sums_of(0, 0);
    assert_true(one.taken_bytes == one.freed_bytes && one.taken_bytes > 0);
    expect_about("by realloc", after.taken_bytes - before.taken_bytes, 102.4 * KEPT);
    kept_free(KEPT / 10);
}

/* The way that never leaves the fast path in other processes. */
static void volumes__freed_at_once__all_are_counted(void **state)
{
    (void)state;
    profile_needed();
    struct sums before = sums_of(0, 0);
    for (size_t i = 0; i < 2000000; i++) {
        hak_free(support_hide(hak_malloc(64)));
    }
    struct sums after = sums_of(0, 0);
    expect_about("pairs", after.taken_bytes - before.taken_bytes, 64.0 * 2000000);
    assert_true(after.taken_bytes - before.taken_bytes == after.freed_bytes - before.freed_bytes);
}

/* Sizes and lives at random: each size's own volume. */
static void volumes__random_sizes_and_lives__estimates_are_right(void **state)
{
    (void)state;
    static void *table[3000];
    uint64_t random = 11;
    double bytes = 0;
    profile_needed();
    struct sums before = sums_of(0, 0);
    for (size_t i = 0; i < 1000000; i++) {
        void **slot = &table[support_random(&random) % SUPPORT_COUNT(table)];
        size_t size = 16 * (1 + support_random(&random) % 64) + support_random(&random) % 2 * 4096;
        hak_free(*slot);
        *slot = hak_malloc(size);
        bytes += (double)hak_classes[hak_class_bin(size)].geometry.slot_bytes;
    }
    assert_true(hak_heap_is_valid());
    struct sums after = sums_of(0, 0);
    expect_about("random", after.taken_bytes - before.taken_bytes, bytes);
    for (size_t i = 0; i < SUPPORT_COUNT(table); i++) {
        hak_free(table[i]);
        table[i] = NULL;
    }
    after = sums_of(0, 0);
    assert_true(after.taken_bytes - before.taken_bytes == after.freed_bytes - before.freed_bytes);
}

/* ---- large blocks, other threads, other calls ---- */

static void large__resized_and_freed__what_is_left_is_nothing(void **state)
{
    (void)state;
    profile_needed();
    struct sums before = sums_of(0, 0);
    char *block = hak_malloc(MIB); /* 256 means: sampled */
    struct sums one = sums_of(0, 0);
    assert_true(one.taken_bytes - before.taken_bytes == MIB);
    block = hak_realloc(block, 8 * MIB);
    assert_non_null(block);
    struct sums grown = sums_of(0, 0);
    assert_true(grown.freed_bytes - before.freed_bytes == MIB);
    assert_true(grown.taken_bytes - one.taken_bytes >= 8 * MIB);
    char *same = hak_realloc(block, 8 * MIB - 1);
    struct sums again = sums_of(0, 0);
    assert_true(same == block && again.taken_bytes == grown.taken_bytes);
    char *less = hak_realloc(same, MIB);
    struct sums shrunk = sums_of(0, 0);
    assert_true(less == same && shrunk.taken_bytes - again.taken_bytes == MIB);
    double freed_bytes = shrunk.freed_bytes - before.freed_bytes;
    assert_true(shrunk.taken_bytes - before.taken_bytes - freed_bytes == MIB);
    hak_free(less);
    struct sums after = sums_of(0, 0);
    assert_true(after.taken_bytes - before.taken_bytes == after.freed_bytes - before.freed_bytes);
}

static void *others_free(void *unused)
{
    kept_free(KEPT / 10);
    return unused;
}

static void remote__freed_by_another_thread__what_is_left_is_nothing(void **state)
{
    (void)state;
    pthread_t thread;
    profile_needed();
    place_two(KEPT / 10);
    assert_int_equal(pthread_create(&thread, NULL, others_free, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    struct sums two = sums_of((uintptr_t)place_two, PLACE_BYTES);
    assert_true(two.taken_bytes == two.freed_bytes);
}

/* Sampled blocks are as others are: aligned, resized, cleared. */
static void calls__of_every_kind__sampled_blocks_serve(void **state)
{
    (void)state;
    profile_needed();
    for (size_t i = 0; i < 20000; i++) {
        size_t size = 1 + i * 37 % 3000;
        unsigned char *block = hak_calloc(1, size);
        for (size_t j = 0; j < size; j++) {
            assert_int_equal(block[j], 0);
        }
        memset(block, 0xa5, size);
        block = hak_realloc(block, size * 2);
        assert_int_equal(block[size - 1], 0xa5);
        assert_true(hak_malloc_usable_size(block) >= size * 2);
        void *aligned = hak_aligned_alloc((size_t)16 << i % 9, size);
        assert_int_equal((uintptr_t)aligned % ((size_t)16 << i % 9), 0);
        hak_free(aligned);
        hak_free(block);
    }
    assert_true(hak_heap_is_valid());
}

static void trim__in_between__nothing_is_lost(void **state)
{
    (void)state;
    profile_needed();
    struct sums before = sums_of(0, 0);
    for (size_t i = 0; i < 200; i++) {
        for (size_t j = 0; j < 1000; j++) {
            hak_free(support_hide(hak_malloc(512)));
        }
        (void)hak_malloc_trim(0); /* what is in the bins goes: it was not handed out */
    }
    struct sums after = sums_of(0, 0);
    expect_about("between trims", after.taken_bytes - before.taken_bytes, 512.0 * 200 * 1000);
}

/* The child goes on where the parent was. */
static void fork__child__profiles_on(void **state)
{
    (void)state;
    profile_needed();
    pid_t child = fork();
    if (child == 0) {
        struct sums before = sums_of(0, 0);
        for (size_t i = 0; i < 100000; i++) {
            hak_free(support_hide(hak_malloc(256)));
        }
        struct sums after = sums_of(0, 0);
        double bytes = 256.0 * 100000, found = after.taken_bytes - before.taken_bytes;
        _exit(fabs(found - bytes) <= 6 * sqrt(bytes * MEAN_BYTES) ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chance__series__agree_with_libm),
        cmocka_unit_test(counts__mallocs_of_a_class__each_is_counted),
        cmocka_unit_test(counts__the_one_that_was_drawn__is_sampled),
        cmocka_unit_test(counts__sampled_one_is_resized__as_any_of_its_class),
        cmocka_unit_test(volumes__two_places__estimates_are_right),
        cmocka_unit_test(volumes__made_larger__belong_to_realloc),
        cmocka_unit_test(volumes__freed_at_once__all_are_counted),
        cmocka_unit_test(volumes__random_sizes_and_lives__estimates_are_right),
        cmocka_unit_test(large__resized_and_freed__what_is_left_is_nothing),
        cmocka_unit_test(remote__freed_by_another_thread__what_is_left_is_nothing),
        cmocka_unit_test(calls__of_every_kind__sampled_blocks_serve),
        cmocka_unit_test(trim__in_between__nothing_is_lost),
        cmocka_unit_test(fork__child__profiles_on),
    };
    if (getenv("HAKMEM_PROF") == NULL) { /* it is read before this runs */
        (void)setenv("HAKMEM_PROF", "1", 1);
        (void)setenv("HAKMEM_PROF_BYTES", "4096", 1);
        (void)setenv("HAKMEM_PROF_FILE", "/dev/null/none", 1); /* nothing needs to be written */
        (void)execl("/proc/self/exe", "test_prof", (char *)NULL);
    }
    kept = calloc(KEPT, sizeof *kept);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
