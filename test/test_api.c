/*
 * What bad input gets: zero and absurd sizes, bad alignments, pointers that are not ours.
 *
 * ctest: labels=quick,aarch64 timeout=60
 */
#include "support.h"

#include <sys/mman.h>

#define ABOVE_PTRDIFF_MAX ((size_t)PTRDIFF_MAX + 1)

static const size_t absurd_sizes[] = {PTRDIFF_MAX, ABOVE_PTRDIFF_MAX, SIZE_MAX - 4096,
                                      SIZE_MAX - 15, SIZE_MAX};

static int compare_addresses(const void *left, const void *right)
{
    uintptr_t a = *(const uintptr_t *)left, b = *(const uintptr_t *)right;
    return (a > b) - (a < b);
}

static void *zero_sized(unsigned way)
{
    void *block = NULL;
    switch (way) {
    case 0:
        return hak_malloc(0);
    case 1:
        return hak_calloc(0, 8);
    case 2:
        return hak_calloc(8, 0);
    case 3:
        return hak_realloc(NULL, 0);
    case 4:
        return hak_realloc(hak_malloc(100), 0);
    case 5:
        return hak_realloc(hak_malloc(MIB), 0);
    case 6:
        return hak_reallocarray(NULL, 0, 8);
    case 7:
        return hak_aligned_alloc(64, 0);
    case 8:
        return hak_memalign(4096, 0);
    case 9:
        return hak_posix_memalign(&block, 32, 0) == 0 ? block : NULL;
    case 10:
        return hak_valloc(0);
    default:
        return hak_pvalloc(0);
    }
}

static void api__zero_size__unique_pointers(void **state)
{
    enum { WAYS = 12, ROUNDS = 100 };
    static uintptr_t blocks[WAYS * ROUNDS];
    (void)state;
    for (unsigned i = 0; i < WAYS * ROUNDS; i++) {
        blocks[i] = (uintptr_t)support_hide(zero_sized(i % WAYS));
        if (blocks[i] == 0)
            fail_msg("way %u of zero bytes gave no block", i % WAYS);
    }
    qsort(blocks, WAYS * ROUNDS, sizeof *blocks, compare_addresses);
    for (unsigned i = 1; i < WAYS * ROUNDS; i++)
        assert_true(blocks[i] != blocks[i - 1]);
    for (unsigned i = 0; i < WAYS * ROUNDS; i++)
        hak_free((void *)blocks[i]);
}

#define ASSERT_NO_MEMORY(call)                                                                     \
    do {                                                                                           \
        errno = 0;                                                                                 \
        assert_null(call);                                                                         \
        assert_int_equal(errno, ENOMEM);                                                           \
    } while (0)

static void api__absurd_size__null_and_enomem(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(absurd_sizes); i++) {
        size_t size = support_hide_size(absurd_sizes[i]);
        void *block = &block, *const untouched = block;
        ASSERT_NO_MEMORY(hak_malloc(size));
        ASSERT_NO_MEMORY(hak_calloc(1, size));
        ASSERT_NO_MEMORY(hak_calloc(size, 1));
        ASSERT_NO_MEMORY(hak_realloc(NULL, size));
        ASSERT_NO_MEMORY(hak_reallocarray(NULL, 1, size));
        ASSERT_NO_MEMORY(hak_aligned_alloc(64, size));
        ASSERT_NO_MEMORY(hak_memalign(2 * MIB, size));
        ASSERT_NO_MEMORY(hak_valloc(size));
        ASSERT_NO_MEMORY(hak_pvalloc(size));
        assert_int_equal(hak_posix_memalign(&block, 4096, size), ENOMEM);
        assert_ptr_equal(block, untouched);
    }
}

static void api__overflowing_product__null_and_enomem(void **state)
{
    const size_t factors[][2] = {{SIZE_MAX, 2},
                                 {2, SIZE_MAX},
                                 {SIZE_MAX, SIZE_MAX},
                                 {(size_t)1 << 32, (size_t)1 << 32},
                                 {SIZE_MAX / 3, 4},
                                 {ABOVE_PTRDIFF_MAX, 2},
                                 {((size_t)1 << 63) + 1, 16}};
    char *block = hak_malloc(1000);
    (void)state;
    assert_non_null(block);
    support_fill(block, 1000, 3);
    for (size_t i = 0; i < SUPPORT_COUNT(factors); i++) {
        size_t count = support_hide_size(factors[i][0]), size = support_hide_size(factors[i][1]);
        ASSERT_NO_MEMORY(hak_calloc(count, size));
        ASSERT_NO_MEMORY(hak_reallocarray(NULL, count, size));
        ASSERT_NO_MEMORY(hak_reallocarray(block, count, size));
    }
    assert_true(support_holds(block, 1000, 3));
    hak_free(block);
}

static void api__bad_alignment__einval(void **state)
{
    const size_t never[] = {0, 3, 24, 100, 4097, SIZE_MAX, ABOVE_PTRDIFF_MAX + 1};
    const size_t too_small[] = {1, 2, 4};
    void *block = &block, *const untouched = block;
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(never); i++) {
        size_t alignment = support_hide_size(never[i]);
        errno = 0;
        assert_null(hak_aligned_alloc(alignment, 100));
        assert_int_equal(errno, EINVAL);
        errno = 0;
        assert_null(hak_memalign(alignment, 100));
        assert_int_equal(errno, EINVAL);
        assert_int_equal(hak_posix_memalign(&block, alignment, 100), EINVAL);
    }
    for (size_t i = 0; i < SUPPORT_COUNT(too_small); i++)
        assert_int_equal(hak_posix_memalign(&block, too_small[i], 100), EINVAL);
    assert_ptr_equal(block, untouched);
    assert_int_equal(hak_posix_memalign(&block, sizeof(void *), 100), 0);
    assert_ptr_not_equal(block, untouched);
    hak_free(block);
}

static void api__alignment_beyond_memory__null_and_enomem(void **state)
{
    (void)state;
    for (unsigned shift = 50; shift < 64; shift++) {
        size_t alignment = support_hide_size((size_t)1 << shift);
        void *block = &block, *const untouched = block;
        ASSERT_NO_MEMORY(hak_aligned_alloc(alignment, 16));
        ASSERT_NO_MEMORY(hak_memalign(alignment, PTRDIFF_MAX));
        assert_int_equal(hak_posix_memalign(&block, alignment, 16), ENOMEM);
        assert_ptr_equal(block, untouched);
    }
}

static void api__failing_realloc__leaves_old_block_whole(void **state)
{
    const size_t sizes[] = {1, 64, 1000, 4000, 50000, 300000, 5 * MIB};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++) {
        char *block = hak_malloc(sizes[i]);
        assert_non_null(block);
        support_fill(block, sizes[i], i);
        for (size_t k = 0; k < SUPPORT_COUNT(absurd_sizes); k++)
            ASSERT_NO_MEMORY(hak_realloc(block, support_hide_size(absurd_sizes[k])));
        ASSERT_NO_MEMORY(hak_realloc(block, support_hide_size((size_t)1 << 55)));
        char *other = hak_malloc(sizes[i]);
        assert_non_null(other);
        memset(other, 0, sizes[i]);
        assert_true(support_holds(block, sizes[i], i));
        hak_free(other);
        hak_free(block);
    }
}

static void assert_free_keeps_errno(void *block)
{
    errno = EBADF;
    hak_free(block);
    assert_int_equal(errno, EBADF);
}

static void api__free__keeps_errno(void **state)
{
    char on_stack[64];
    (void)state;
    for (size_t bytes = 1; bytes <= 64 * MIB; bytes *= 2)
        assert_free_keeps_errno(hak_malloc(bytes));
    for (unsigned i = 0; i < 5000; i++) {
        errno = EBADF;
        hak_free(hak_malloc(100));
        assert_int_equal(errno, EBADF);
    }
    assert_free_keeps_errno(NULL);
    assert_free_keeps_errno(support_hide(on_stack));
    errno = EBADF;
    hak_cfree(hak_malloc(64));
    hak_free_sized(hak_malloc(64), 64);
    hak_free_aligned_sized(hak_aligned_alloc(128, 256), 128, 256);
    assert_int_equal(errno, EBADF);
}

static void assert_left_alone(char *foreign, size_t bytes)
{
    support_fill(foreign, bytes, 77);
    for (size_t at = 0; at < bytes; at += 16)
        assert_free_keeps_errno(support_hide(foreign + at));
    for (unsigned i = 0; i < 1000; i++) {
        char *block = support_hide(hak_malloc(bytes));
        assert_non_null(block);
        assert_false(block >= foreign && block < foreign + bytes);
        memset(block, 1, bytes);
        hak_free(block);
    }
    hak_malloc_trim(0);
    assert_true(support_holds(foreign, bytes, 77));
}

static void api__foreign_pointer__left_alone(void **state)
{
    static char in_data[512] __attribute__((aligned(64)));
    char on_stack[512] __attribute__((aligned(64)));
    const uintptr_t garbage[] = {16, 4096, (uintptr_t)1 << 47, (uintptr_t)1 << 63, ~(uintptr_t)15};
    char *mapped = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *from_libc = malloc(512);
    (void)state;
    assert_ptr_not_equal(mapped, MAP_FAILED);
    assert_non_null(from_libc);
    assert_left_alone(in_data, sizeof in_data);
    assert_left_alone(on_stack, sizeof on_stack);
    assert_left_alone(mapped, 4096);
    assert_left_alone(from_libc, 512);
    for (size_t i = 0; i < SUPPORT_COUNT(garbage); i++)
        assert_free_keeps_errno((void *)garbage[i]);
    free(from_libc);
    munmap(mapped, MIB);
}

static void api__usable_size_of_null__zero(void **state)
{
    (void)state;
    assert_int_equal(hak_malloc_usable_size(NULL), 0);
}

static void api__valloc_and_pvalloc__page_aligned_and_rounded(void **state)
{
    const size_t os_page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    (void)state;
    for (size_t bytes = 1; bytes <= 8 * MIB; bytes += bytes / 2 + 1) {
        size_t rounded_bytes = (bytes + os_page_bytes - 1) / os_page_bytes * os_page_bytes;
        char *page_aligned = hak_valloc(bytes), *rounded = hak_pvalloc(bytes);
        assert_non_null(page_aligned);
        assert_non_null(rounded);
        assert_int_equal((uintptr_t)page_aligned % os_page_bytes, 0);
        assert_int_equal((uintptr_t)rounded % os_page_bytes, 0);
        assert_true(hak_malloc_usable_size(page_aligned) >= bytes);
        assert_true(hak_malloc_usable_size(rounded) >= rounded_bytes);
        memset(rounded, 1, rounded_bytes);
        hak_free(page_aligned);
        hak_free(rounded);
    }
}

static void api__sized_frees__give_blocks_back(void **state)
{
    (void)state;
    hak_malloc_trim(0);
    size_t before_bytes = hak_mallinfo2().uordblks;
    for (size_t bytes = 16; bytes <= MIB; bytes *= 2) {
        for (unsigned i = 0; i < 16; i++) {
            hak_free_sized(hak_malloc(bytes), bytes);
            hak_free_sized(hak_realloc(hak_malloc(bytes), bytes * 3), bytes * 3);
            hak_free_aligned_sized(hak_aligned_alloc(4096, bytes), 4096, bytes);
            hak_cfree(hak_calloc(1, bytes));
        }
    }
    hak_free_sized(NULL, 0);
    hak_free_aligned_sized(NULL, 16, 100);
    hak_cfree(NULL);
    hak_malloc_trim(0);
    assert_int_equal(hak_mallinfo2().uordblks, before_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(api__zero_size__unique_pointers),
        cmocka_unit_test(api__absurd_size__null_and_enomem),
        cmocka_unit_test(api__overflowing_product__null_and_enomem),
        cmocka_unit_test(api__bad_alignment__einval),
        cmocka_unit_test(api__alignment_beyond_memory__null_and_enomem),
        cmocka_unit_test(api__failing_realloc__leaves_old_block_whole),
        cmocka_unit_test(api__free__keeps_errno),
        cmocka_unit_test(api__foreign_pointer__left_alone),
        cmocka_unit_test(api__usable_size_of_null__zero),
        cmocka_unit_test(api__valloc_and_pvalloc__page_aligned_and_rounded),
        cmocka_unit_test(api__sized_frees__give_blocks_back),
    };
    return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
