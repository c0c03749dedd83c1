/*
 * Kernel pages of 4, 16 and 64 KiB: all that is asked of the kernel is in its pages, also in a
 * hardened process.
 *
 * ctest: labels=quick,aarch64 timeout=120 core=fake
 */
#include "front/harden/harden.h"
#include "segment/os.h"

#include "readable.h"
#include "scenario.h"
#include "workload.h"

static size_t sizes[] = {4 * KIB, 16 * KIB, 64 * KIB};

static void run_on_kernel(void *argument)
{
    static struct workload work;
    size_t os_page_bytes = *(const size_t *)argument;
    hak_fake_wake(os_page_bytes);
    workload_run(&work);
    workload_check();
    workload_free_all(&work);
    workload_check();
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
    SUPPORT_REQUIRE(workload_taken() == 0 && hak_dirty_bytes() == 0);
    for (unsigned call = 0; call < HAK_FAKE_ANY; call++)
        SUPPORT_REQUIRE(hak_fake_count((enum hak_fake_call)call) > 0); /* it came by all of them */
}

static void page_sizes__workload__asks_for_whole_kernel_pages(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
        scenario_run(run_on_kernel, &sizes[i]);
}

static void align_to_kernel_pages(void *argument)
{
    size_t os_page_bytes = *(const size_t *)argument;
    hak_fake_wake(os_page_bytes);
    for (size_t bytes = 0; bytes < 300 * KIB; bytes += 1 + bytes / 3) {
        char *live[3];
        for (size_t i = 0; i < SUPPORT_COUNT(live); i++) {
            live[i] = i % 2 == 0 ? hak_valloc(bytes) : hak_pvalloc(bytes);
            size_t whole = (bytes + os_page_bytes - 1) / os_page_bytes * os_page_bytes;
            size_t usable_bytes = i % 2 == 0 ? bytes : whole;
            SUPPORT_REQUIRE(live[i] != NULL && (uintptr_t)live[i] % os_page_bytes == 0);
            SUPPORT_REQUIRE(hak_malloc_usable_size(live[i]) >= usable_bytes);
            memset(live[i], 1, usable_bytes);
        }
        for (size_t i = 0; i < SUPPORT_COUNT(live); i++)
            hak_free(live[i]);
    }
    workload_check();
}

static void page_sizes__valloc_and_pvalloc__know_the_kernel_page(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
        scenario_run(align_to_kernel_pages, &sizes[i]);
}

static void run_hardened_on_kernel(void *argument)
{
    static struct workload work;
    size_t os_page_bytes = *(const size_t *)argument;
    SUPPORT_REQUIRE(setenv("HAKMEM_HARDEN", "1", 1) == 0);
    hak_fake_wake(os_page_bytes);
    workload_run(&work);
    SUPPORT_REQUIRE(hak_harden_is_on() && hak_segment_is_valid());
    workload_free_all(&work);
    SUPPORT_REQUIRE(hak_segment_is_valid() && hak_fake_mistakes() == 0);
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_HIDE) > 0);
}

static void page_sizes__hardened_workload__asks_for_whole_kernel_pages(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
        scenario_run(run_hardened_on_kernel, &sizes[i]);
}

/* A large block ends in the kernel page before the fence, and starts where its alignment says. */
static void stand_at_fences(void *argument)
{
    size_t os_page_bytes = *(const size_t *)argument;
    SUPPORT_REQUIRE(setenv("HAKMEM_HARDEN", "1", 1) == 0);
    hak_fake_wake(os_page_bytes);
    for (size_t bytes = 80 * KIB + 1; bytes < MIB; bytes += 7777) {
        for (size_t alignment = 16; alignment <= 256 * KIB; alignment *= 8) {
            char *block = support_hide(hak_aligned_alloc(alignment, bytes));
            uintptr_t end = hak_align_up((uintptr_t)block + bytes, os_page_bytes);
            SUPPORT_REQUIRE(block != NULL && (uintptr_t)block % alignment == 0);
            SUPPORT_REQUIRE(support_is_zero(block, bytes) && readable_is((char *)end - 1));
            SUPPORT_REQUIRE(!readable_is((char *)end));
            memset(block, 1, bytes);
            char *moved = support_hide(hak_realloc(block, bytes + 300 * KIB));
            end = hak_align_up((uintptr_t)moved + bytes + 300 * KIB, os_page_bytes);
            SUPPORT_REQUIRE(moved != NULL && !readable_is((char *)end));
            memset(moved, 2, bytes + 300 * KIB);
            hak_free(moved);
        }
    }
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
}

static void page_sizes__hardened_large_blocks__end_at_a_fence(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
        scenario_run(stand_at_fences, &sizes[i]);
}

/* The fake kernel itself: without that, the cases above would prove nothing. */
static void make_mistakes(void *unused)
{
    (void)unused;
    hak_fake_wake(16 * KIB);
    char *space = hak_os_reserve(MIB, 64 * KIB);
    SUPPORT_REQUIRE(space != NULL && hak_os_commit(space, MIB));
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
    hak_os_commit(space + 4096, 16 * KIB);
    hak_os_purge(space, 4096);
    hak_os_renew(space + 8192, 8192);
    SUPPORT_REQUIRE(hak_fake_mistakes() == 3);
    hak_os_purge(space + MIB - 16 * KIB, 32 * KIB);
    hak_os_move(space, space + 16 * KIB, 32 * KIB);
    SUPPORT_REQUIRE(hak_fake_mistakes() == 5);
    hak_os_unreserve(space, 16 * KIB);
    SUPPORT_REQUIRE(hak_fake_mistakes() == 6);
}

static void page_sizes__calls_off_the_kernel_page__are_mistakes(void **state)
{
    (void)state;
    scenario_run(make_mistakes, NULL);
}

static void move_what_moves_have_split(void *unused)
{
    (void)unused;
    hak_fake_wake(4 * KIB);
    char *space = hak_os_reserve(4 * MIB, 64 * KIB);
    char *first = space + MIB, *second = space + 2 * MIB;
    SUPPORT_REQUIRE(space != NULL && hak_os_commit(space, 4 * MIB));
    SUPPORT_REQUIRE(hak_os_move(space, first, 128 * KIB) == HAK_OS_MOVED);
    SUPPORT_REQUIRE(hak_os_move(first, second, 128 * KIB) == HAK_OS_MOVED);
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
    SUPPORT_REQUIRE(hak_os_move(second, space, 192 * KIB) == HAK_OS_KEPT);
    SUPPORT_REQUIRE(hak_fake_mistakes() == 1);
    SUPPORT_REQUIRE(hak_os_move(second, space, 128 * KIB) == HAK_OS_MOVED); /* where it was */
    SUPPORT_REQUIRE(hak_os_move(space, first, 192 * KIB) == HAK_OS_MOVED);
    SUPPORT_REQUIRE(hak_os_renew(first, 192 * KIB));
    SUPPORT_REQUIRE(hak_os_move(first, space, 256 * KIB) == HAK_OS_MOVED);
    SUPPORT_REQUIRE(hak_fake_mistakes() == 1);
}

static void page_sizes__moves_of_several_mappings__are_mistakes(void **state)
{
    (void)state;
    scenario_run(move_what_moves_have_split, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_sizes__workload__asks_for_whole_kernel_pages),
        cmocka_unit_test(page_sizes__valloc_and_pvalloc__know_the_kernel_page),
        cmocka_unit_test(page_sizes__hardened_workload__asks_for_whole_kernel_pages),
        cmocka_unit_test(page_sizes__hardened_large_blocks__end_at_a_fence),
        cmocka_unit_test(page_sizes__calls_off_the_kernel_page__are_mistakes),
        cmocka_unit_test(page_sizes__moves_of_several_mappings__are_mistakes),
    };
    return cmocka_run_group_tests_name("page_sizes", tests, NULL, NULL);
}
