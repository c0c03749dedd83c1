/*
 * What os_linux.c does where the kernel refuses, or has no huge pages: a call that cannot be served
 * says so, leaves memory as it was, and keeps errno.
 *
 * A directory of an ordinary file system stands for a mount without room: what is mapped from a
 * file of it has no memory behind it, as a hugetlbfs that is full, so populating fails.
 *
 * ctest: labels=quick,aarch64 timeout=60
 */
#include "segment/os.h"

#include "readable.h"
#include "support.h"

#include <sys/mman.h>

#define RANGE_BYTES (4 * HAK_MIB)
#define HUGE_BYTES (2 * HAK_MIB)

/* A committed range of two huge pages, filled. */
static char *range_new(void)
{
    char *start = hak_os_reserve(RANGE_BYTES, HUGE_BYTES);
    SUPPORT_REQUIRE(start != NULL && (uintptr_t)start % HUGE_BYTES == 0);
    SUPPORT_REQUIRE(hak_os_commit(start, RANGE_BYTES));
    memset(start, 'x', RANGE_BYTES);
    return start;
}

/* qemu-user 7.2 answers madvise by itself, mostly with yes. */
static void skip_under_qemu(void)
{
    if (surroundings_are_qemu())
        skip();
}

static void os__more_than_there_is__is_refused(void **state)
{
    (void)state;
    skip_under_qemu();
    errno = 77;
    assert_null(hak_os_reserve(SIZE_MAX - 4096, 8192)); /* the sum overflows */
    assert_null(hak_os_reserve((size_t)1 << 60, 4096));
    assert_false(hak_os_commit((void *)(uintptr_t)4096, 4096));
    assert_false(hak_os_purge((void *)(uintptr_t)4096, 4096));
    assert_int_equal(errno, 77);
    char *start = range_new();
    hak_os_unreserve(start, RANGE_BYTES);
    assert_false(hak_os_commit(start, 4096)); /* nothing is mapped any more */
    assert_int_equal(errno, 77);
}

static void os__move_from_nowhere__leaves_the_place_usable(void **state)
{
    (void)state;
    char *to = range_new();
    char *from = hak_os_reserve(HUGE_BYTES, HUGE_BYTES);
    assert_non_null(from);
    hak_os_unreserve(from, HUGE_BYTES);
    errno = 77;
    assert_int_equal(hak_os_move(from, to, HUGE_BYTES), HAK_OS_KEPT);
    assert_int_equal(errno, 77);
    assert_true(to[0] == 'x' || to[0] == 0); /* by kernel: left alone, or mapped again */
    to[HUGE_BYTES - 1] = 1;
    hak_os_unreserve(to, RANGE_BYTES);
}

/* Or it is not moved: an emulator may take the place for unmapped. */
static void os__move__leaves_a_place_that_the_kernel_knows(void **state)
{
    (void)state;
    char *from = range_new(), *to = range_new();
    errno = 77;
    enum hak_os_moved moved = hak_os_move(from, to, HUGE_BYTES);
    assert_true(moved == HAK_OS_MOVED || moved == HAK_OS_KEPT);
    assert_true(readable_is(from) && readable_is(from + HUGE_BYTES - 1));
    assert_int_equal(from[0], moved == HAK_OS_MOVED ? 0 : 'x');
    assert_int_equal(errno, 77);
    hak_os_unreserve(from, RANGE_BYTES);
    hak_os_unreserve(to, RANGE_BYTES);
}

static void os__mount_without_room__is_refused_and_the_range_is_zero(void **state)
{
    char directory[] = "/tmp/test_os_linux.XXXXXX";
    (void)state;
    skip_under_qemu();
    assert_non_null(mkdtemp(directory));
    char *start = range_new();
    const struct hak_os_pool pool = {HUGE_BYTES, directory, -1};
    errno = 77;
    assert_int_equal(hak_os_huge_map(start, HUGE_BYTES, &pool), HAK_OS_REFUSED);
    assert_true(support_is_zero(start, HUGE_BYTES));
    assert_true(start[HUGE_BYTES] == 'x');
    const struct hak_os_pool near = {HUGE_BYTES, directory, 0};
    assert_int_equal(hak_os_huge_map(start, HUGE_BYTES, &near), HAK_OS_REFUSED);
    const struct hak_os_pool nowhere = {HUGE_BYTES, directory, 1000000};
    assert_int_equal(hak_os_huge_map(start, HUGE_BYTES, &nowhere), HAK_OS_REFUSED);
    memset(start, 'y', HUGE_BYTES);
    assert_int_equal(rmdir(directory), 0);
    /* There is no such directory any more: the range stays as it is. */
    assert_int_equal(hak_os_huge_map(start, HUGE_BYTES, &pool), HAK_OS_REFUSED);
    assert_true(start[0] == 'y');
    assert_null(hak_os_huge_hold(HUGE_BYTES, &pool));
    assert_int_equal(errno, 77);
    hak_os_unreserve(start, RANGE_BYTES);
}

static void os__path_of_any_length__is_no_mount(void **state)
{
    char path[600];
    (void)state;
    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    const struct hak_os_pool pool = {HUGE_BYTES, path, -1};
    errno = 77;
    assert_null(hak_os_huge_hold(HUGE_BYTES, &pool));
    assert_string_equal(hak_os_huge_mount_fault(path), "cannot be looked at");
    assert_string_equal(hak_os_huge_mount_fault("/tmp"), "is no hugetlbfs");
    assert_int_equal(errno, 77);
    assert_true(hak_os_huge_allowed_bytes(&pool, 1) > 0); /* no quota */
}

/* Whatever the machine has: the figures make sense, and errno stays. */
static void os__figures_of_the_machine__make_sense(void **state)
{
    const struct hak_os_pool pools[] = {{HUGE_BYTES, NULL, -1}, {HAK_GIB, NULL, -1}};
    (void)state;
    errno = 77;
    for (size_t i = 0; i < SUPPORT_COUNT(pools); i++) {
        size_t free_bytes = hak_os_huge_free_bytes(&pools[i]);
        assert_true(free_bytes == SIZE_MAX || free_bytes % pools[i].page_bytes == 0);
        assert_true(hak_os_huge_allowed_bytes(&pools[i], 1) > 0 || free_bytes == 0);
    }
    struct hak_os_pool quota = pools[0];
    quota.mount = "/tmp"; /* a file system with a size: what is free of it */
    assert_true(hak_os_huge_allowed_bytes(&quota, 1) > 0);
    assert_true(hak_os_nodes() >= 1 && hak_os_node() >= 0);
    assert_true(hak_os_node() < (int)hak_os_nodes());
    assert_true(hak_os_memory_allowed_bytes() > HAK_MIB);
    assert_true(hak_os_huge_advised_bytes() % HUGE_BYTES == 0);
    uint64_t now_ms = hak_os_now_ms();
    assert_true(now_ms > 0 && hak_os_now_ms() >= now_ms);
    assert_int_equal(errno, 77);
}

static void look_at_wiped(void *start)
{
    SUPPORT_REQUIRE(support_is_zero(start, hak_os_page_bytes()));
}

/* Where that is refused, as by an emulator that only says yes, the caller goes another way. */
static void os__wipe_in_child__is_promised_only_where_it_is_done(void **state)
{
    (void)state;
    char *start = range_new();
    errno = 77;
    if (hak_os_wipe_in_child(start, hak_os_page_bytes())) {
        assert_int_equal(support_run_child(look_at_wiped, start).status, 0);
    }
    assert_true(errno == 77 && start[0] == 'x');
    hak_os_unreserve(start, RANGE_BYTES);
}

static void os__advice__never_harms(void **state)
{
    (void)state;
    skip_under_qemu();
    char *start = range_new();
    errno = 77;
    (void)hak_os_huge_advise(start, RANGE_BYTES); /* refused where the kernel has none */
    hak_os_huge_forbid(start, RANGE_BYTES);
    assert_true(hak_os_purge(start, RANGE_BYTES));
    if (hak_os_populate(start, HUGE_BYTES)) { /* Linux 5.14 */
        unsigned char resident = 0;
        assert_int_equal(mincore(start, hak_os_page_bytes(), &resident), 0);
        assert_true((resident & 1) != 0);
    }
    assert_true(support_is_zero(start, RANGE_BYTES));
    assert_int_equal(errno, 77);
    hak_os_unreserve(start, RANGE_BYTES);
}

static void exit_when_told(void *argument)
{
    const int *ends = argument;
    char byte;
    SUPPORT_REQUIRE(close(ends[1]) == 0);
    SUPPORT_REQUIRE(read(ends[0], &byte, 1) == 0);
}

/* As long as a child lives that has run no other program. Not known counts as shared. */
static void os__page_written_before_a_fork__is_shared_while_the_child_lives(void **state)
{
    int ends[2];
    int status = -1;
    (void)state;
    char *page = range_new();
    errno = 77;
    bool is_told = !hak_os_page_is_shared(page); /* /proc/self/pagemap may be closed to us */
    assert_int_equal(errno, 77);
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        support_child_begin(60);
        exit_when_told(ends);
        _exit(0);
    }
    assert_true(hak_os_page_is_shared(page));
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(hak_os_page_is_shared(page) != is_told);
    assert_int_equal(close(ends[0]), 0);
    hak_os_unreserve(page, RANGE_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(os__more_than_there_is__is_refused),
        cmocka_unit_test(os__move_from_nowhere__leaves_the_place_usable),
        cmocka_unit_test(os__move__leaves_a_place_that_the_kernel_knows),
        cmocka_unit_test(os__mount_without_room__is_refused_and_the_range_is_zero),
        cmocka_unit_test(os__path_of_any_length__is_no_mount),
        cmocka_unit_test(os__figures_of_the_machine__make_sense),
        cmocka_unit_test(os__wipe_in_child__is_promised_only_where_it_is_done),
        cmocka_unit_test(os__advice__never_harms),
        cmocka_unit_test(os__page_written_before_a_fork__is_shared_while_the_child_lives),
    };
    return cmocka_run_group_tests_name("os_linux", tests, NULL, NULL);
}
