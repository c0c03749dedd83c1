/*
 * What os_linux.c does on systems that the tests do not run on: on kernels before 5.14, with a pool
 * of huge pages, without free descriptors, without a standard error.
 *
 * The old kernel is a filter (seccomp) that answers as it did. The pool is this program's own
 * mmap(), which gives ordinary pages to who asks for huge ones.
 *
 * ctest: labels=quick timeout=60
 */
#include "segment/os.h"

#include "support.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#define CANNOT_FILTER 77
#define HUGE_BYTES (2 * HAK_MIB)
#define RANGE_BYTES (2 * HUGE_BYTES)

/* ---- what stands in for the system ---------------------------------------------------------- */

static enum { AS_ASKED, HUGE_IS_ORDINARY, RENEWAL_REFUSED } mmap_mode;

#if !SUPPORT_SHADOWED
void *mmap(void *start, size_t bytes, int protection, int flags, int file, off_t offset)
{
    if (mmap_mode == HUGE_IS_ORDINARY)
        flags &= (int)~(MAP_HUGETLB | (unsigned)MAP_HUGE_MASK << MAP_HUGE_SHIFT);
    if (mmap_mode == RENEWAL_REFUSED && (flags & MAP_FIXED) != 0 && file < 0) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, start, bytes, protection, flags, file, offset);
}
#endif

/* No MADV_POPULATE_WRITE, and no file system with O_TMPFILE. */
static void kernel_grow_old(void)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_POPULATE_WRITE, 4, 3),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 2, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
    };
    const struct sock_fprog filter = {SUPPORT_COUNT(steps), steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        _exit(CANNOT_FILTER);
}

static void judge(const struct support_end *end)
{
    if (WIFEXITED(end->status) && WEXITSTATUS(end->status) == CANNOT_FILTER)
        skip();
    if (end->status != 0)
        fail_msg("a child ended with status %#x; it wrote: %s", (unsigned)end->status, end->text);
}

static void run(void (*body)(void *), void *argument)
{
    if (SUPPORT_SHADOWED)
        skip();
    struct support_end end = support_run_child(body, argument);
    judge(&end);
}

/* The child leaves nothing in it, whether it could do its work or not. */
static void run_in_directory(void (*body)(void *))
{
    char directory[] = "/tmp/test_os_elsewhere.XXXXXX";
    if (SUPPORT_SHADOWED)
        skip();
    assert_non_null(mkdtemp(directory));
    struct support_end end = support_run_child(body, directory);
    int removed = rmdir(directory);
    judge(&end);
    assert_int_equal(removed, 0);
}

/* A range of two huge pages, filled; errno is 77 from here on. */
static char *range_new(void)
{
    char *start = hak_os_reserve(RANGE_BYTES, HUGE_BYTES);
    SUPPORT_REQUIRE(start != NULL && hak_os_commit(start, RANGE_BYTES));
    memset(start, 'x', RANGE_BYTES);
    errno = 77;
    return start;
}

static bool is_resident(const char *page)
{
    unsigned char resident = 0;
    SUPPORT_REQUIRE(mincore((void *)(uintptr_t)page, 1, &resident) == 0);
    return (resident & 1) != 0;
}

/* ---- huge pages ----------------------------------------------------------------------------- */

/* `old`: on such a kernel. */
static void map_from_pool(void *old)
{
    const struct hak_os_pool pool = {HUGE_BYTES, NULL, -1};
    char *start = range_new();
    if (old != NULL)
        kernel_grow_old();
    mmap_mode = HUGE_IS_ORDINARY;
    SUPPORT_REQUIRE(hak_os_huge_map(start, RANGE_BYTES, &pool) == HAK_OS_BACKED);
    SUPPORT_REQUIRE(is_resident(start) && is_resident(start + HUGE_BYTES));
    SUPPORT_REQUIRE(support_is_zero(start, RANGE_BYTES) && errno == 77);
    SUPPORT_REQUIRE(old == NULL || !hak_os_populate(start, HUGE_BYTES));
}

static void os__pool_with_room__pages_are_there(void **state)
{
    (void)state;
    run(map_from_pool, NULL);
}

static void os__kernel_without_populate__pages_are_there_too(void **state)
{
    static char old;
    (void)state;
    run(map_from_pool, &old);
}

/* Files of an ordinary directory have no memory behind them, as on a mount that is full. */
static void map_from_directory(void *directory)
{
    const struct hak_os_pool pool = {HUGE_BYTES, directory, -1};
    char *start = range_new();
    kernel_grow_old();
    SUPPORT_REQUIRE(hak_os_huge_map(start, HUGE_BYTES, &pool) == HAK_OS_REFUSED);
    SUPPORT_REQUIRE(support_is_zero(start, HUGE_BYTES) && start[HUGE_BYTES] == 'x');
    void *held = hak_os_huge_hold(HUGE_BYTES, &pool);
    SUPPORT_REQUIRE(held != NULL && errno == 77);
    hak_os_unreserve(held, HUGE_BYTES);
    /* The name is somebody else's: what he has stays. */
    char name[64];
    (void)snprintf(name, sizeof name, "%s/hakmem.tmp", (const char *)directory);
    int file = open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
    SUPPORT_REQUIRE(file >= 0); /* no file was left */
    errno = 77;
    SUPPORT_REQUIRE(hak_os_huge_hold(HUGE_BYTES, &pool) == NULL && errno == 77);
    SUPPORT_REQUIRE(unlink(name) == 0);
}

static void os__mount_without_nameless_files__leaves_none(void **state)
{
    (void)state;
    run_in_directory(map_from_directory);
}

static void lose_place(void *directory)
{
    const struct hak_os_pool pool = {HUGE_BYTES, directory, -1};
    char *start = range_new();
    mmap_mode = RENEWAL_REFUSED;
    SUPPORT_REQUIRE(hak_os_huge_map(start, HUGE_BYTES, &pool) == HAK_OS_LOST);
    SUPPORT_REQUIRE(start[HUGE_BYTES] == 'x' && errno == 77);
}

static void os__range_that_cannot_be_renewed__is_lost_and_said_so(void **state)
{
    (void)state;
    run_in_directory(lose_place);
}

/* ---- files ---------------------------------------------------------------------------------- */

static void ask_without_descriptors(void *unused)
{
    const struct hak_os_pool pool = {HUGE_BYTES, NULL, -1};
    struct rlimit files;
    (void)unused;
    char *start = range_new();
    SUPPORT_REQUIRE(getrlimit(RLIMIT_NOFILE, &files) == 0);
    const struct rlimit none = {0, files.rlim_max};
    SUPPORT_REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    SUPPORT_REQUIRE(hak_os_page_is_shared(start)); /* as far as is known */
    SUPPORT_REQUIRE(hak_os_huge_free_bytes(&pool) == SIZE_MAX);
    SUPPORT_REQUIRE(hak_os_huge_allowed_bytes(&pool, 1) == SIZE_MAX);
    SUPPORT_REQUIRE(hak_os_memory_allowed_bytes() == SIZE_MAX);
    SUPPORT_REQUIRE(hak_os_huge_advised_bytes() == 0 && hak_os_nodes() == 1);
    SUPPORT_REQUIRE(hak_os_share("/tmp/test_os_elsewhere.live", 4096) == NULL);
    SUPPORT_REQUIRE(errno == 77);
    SUPPORT_REQUIRE(setrlimit(RLIMIT_NOFILE, &files) == 0);
}

static void os__no_descriptor_is_free__nothing_is_known(void **state)
{
    (void)state;
    run(ask_without_descriptors, NULL);
}

/* Nothing of what was begun is left. */
static void os__no_room_for_a_shared_file__leaves_none(void **state)
{
    char directory[] = "/tmp/test_os_elsewhere.XXXXXX", path[64];
    (void)state;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/live", directory);
    errno = 77;
    assert_null(hak_os_share(path, (size_t)1 << 62));
    assert_int_equal(errno, 77);
    assert_int_equal(rmdir(directory), 0);
}

static void write_to_nobody(void *unused)
{
    (void)unused;
    SUPPORT_REQUIRE(close(STDERR_FILENO) == 0);
    errno = 77;
    hak_os_write_error("nobody reads this\n", 18);
    SUPPORT_REQUIRE(errno == 77);
}

static void os__standard_error_is_closed__goes_on(void **state)
{
    (void)state;
    run(write_to_nobody, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(os__pool_with_room__pages_are_there),
        cmocka_unit_test(os__kernel_without_populate__pages_are_there_too),
        cmocka_unit_test(os__mount_without_nameless_files__leaves_none),
        cmocka_unit_test(os__range_that_cannot_be_renewed__is_lost_and_said_so),
        cmocka_unit_test(os__no_descriptor_is_free__nothing_is_known),
        cmocka_unit_test(os__no_room_for_a_shared_file__leaves_none),
        cmocka_unit_test(os__standard_error_is_closed__goes_on),
    };
    return cmocka_run_group_tests_name("os_elsewhere", tests, NULL, NULL);
}
