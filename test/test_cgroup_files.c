/*
 * What os_linux.c reads of cgroups: /proc/self/cgroup and the files of the groups, of version 1, of
 * version 2 and of both beside each other. They are made here and mounted in place of the system's,
 * in a namespace of the child's own; where that may not be done, the test is skipped.
 *
 * ctest: labels=quick timeout=60
 */
#include "segment/os.h"

#include "support.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define CANNOT_MOUNT 77
#define FILES_MAX 6
#define GROUPS "/sys/fs/cgroup"
#define ALL SIZE_MAX

struct row {
    const char *name;
    const char *lines; /* of /proc/self/cgroup; NULL: it cannot be read */
    struct {
        const char *path; /* below GROUPS; with a slash at its end: a directory */
        const char *text;
    } files[FILES_MAX];
    size_t memory_bytes; /* that are allowed */
    size_t huge_bytes;   /* that are left, if a page counts as two against reservations */
};

#define MEMORY_2(group) group "/memory.max"
#define MEMORY_1(group) "/memory" group "/memory.limit_in_bytes"
#define HUGE_2(group, what) group "/hugetlb.2MB." what
#define HUGE_1(group, what) "/hugetlb" group "/hugetlb.2MB." what

static const struct row rows[] = {
    {"no limits at all", "", {{NULL, NULL}}, ALL, ALL},
    {"no such file", NULL, {{MEMORY_2(""), "1048576"}}, ALL, ALL},
    {"a line of neither", "3:cpu:/a\n2:pids:/b\n", {{MEMORY_2("/a"), "1048576"}}, ALL, ALL},

    {"2", "0::/a/b\n", {{MEMORY_2("/a/b"), "5000000\n"}}, 5000000, ALL},
    {"2, of a container", "0::/\n", {{MEMORY_2(""), "5000000\n"}}, 5000000, ALL},
    {"2, without a line end", "0::/a", {{MEMORY_2("/a"), "5000000"}}, 5000000, ALL},
    {"2, the inner is less",
     "0::/a/b\n",
     {{MEMORY_2("/a/b"), "3000000\n"}, {MEMORY_2("/a"), "4000000\n"}, {MEMORY_2(""), "max\n"}},
     3000000,
     ALL},
    {"2, the outer is less",
     "0::/a/b\n",
     {{MEMORY_2("/a/b"), "4000000\n"}, {MEMORY_2("/a"), "3000000\n"}, {MEMORY_2("/c"), "1\n"}},
     3000000,
     ALL},
    {"2, the one between is least",
     "0::/a/bb/c\n",
     {{MEMORY_2("/a/bb/c"), "max\n"}, {MEMORY_2("/a/bb"), "2\n"}, {MEMORY_2("/a"), "4\n"}},
     2,
     ALL},
    {"2, a name that begins alike", "0::/ab\n", {{MEMORY_2("/a"), "1\n"}}, ALL, ALL},
    {"2, max", "0::/a\n", {{MEMORY_2("/a"), "max\n"}}, ALL, ALL},
    {"2, nothing", "0::/a\n", {{MEMORY_2("/a"), "0\n"}}, 0, ALL},
    {"2, empty", "0::/a\n", {{MEMORY_2("/a"), ""}}, ALL, ALL},
    {"2, no number", "0::/a\n", {{MEMORY_2("/a"), "many\n"}}, ALL, ALL},
    {"2, more than a number", "0::/a\n", {{MEMORY_2("/a"), "99999999999999999999999\n"}}, ALL, ALL},
    {"2, cannot be read", "0::/a\n", {{MEMORY_2("/a") "/", NULL}}, ALL, ALL},
    {"2, cannot be read, but the outer can",
     "0::/a/b\n",
     {{MEMORY_2("/a/b") "/", NULL}, {MEMORY_2("/a"), "7000000\n"}},
     7000000,
     ALL},

    {"1", "4:memory:/x/y\n", {{MEMORY_1("/x/y"), "5000000\n"}}, 5000000, ALL},
    {"1, not the first line",
     "9:pids:/p\n4:memory:/x\n3:cpu:/c\n",
     {{MEMORY_1("/x"), "5000000\n"}, {MEMORY_1("/p"), "1\n"}, {MEMORY_1("/c"), "1\n"}},
     5000000,
     ALL},
    {"1, the outer is less",
     "4:memory:/x/y\n",
     {{MEMORY_1("/x/y"), "9223372036854771712\n"}, {MEMORY_1("/x"), "3000000\n"}},
     3000000,
     ALL},
    {"1, of a container that does not see its group",
     "4:memory:/elsewhere/x\n",
     {{MEMORY_1(""), "3000000\n"}},
     3000000,
     ALL},
    {"1, no limit",
     "4:memory:/x\n",
     {{MEMORY_1("/x"), "9223372036854771712\n"}},
     9223372036854771712u,
     ALL},
    {"1, cannot be read", "4:memory:/x\n", {{MEMORY_1("/x") "/", NULL}}, ALL, ALL},

    {"both, memory in 1",
     "4:memory:/x\n0::/z\n",
     {{MEMORY_1("/x"), "4000000\n"}, {"/unified" MEMORY_2("/z"), "1\n"}, {MEMORY_2("/z"), "1\n"}},
     4000000,
     ALL},
    {"both, memory in 2",
     "5:cpu:/x\n0::/z\n",
     {{MEMORY_1("/x"), "1\n"}, {"/unified" MEMORY_2("/z"), "4000000\n"}},
     4000000,
     ALL},

    {"2, huge pages",
     "0::/a\n",
     {{HUGE_2("/a", "max"), "12582912\n"}, {HUGE_2("/a", "current"), "4194304\n"}},
     ALL,
     8388608},
    {"2, huge pages, all used",
     "0::/a\n",
     {{HUGE_2("/a", "max"), "4194304\n"}, {HUGE_2("/a", "current"), "6291456\n"}},
     ALL,
     0},
    {"2, huge pages, the outer has less left",
     "0::/a/b\n",
     {{HUGE_2("/a/b", "max"), "12582912\n"},
      {HUGE_2("/a/b", "current"), "4194304\n"},
      {HUGE_2("/a", "max"), "20971520\n"},
      {HUGE_2("/a", "current"), "18874368\n"}},
     ALL,
     2097152},
    {"2, reservations of huge pages count twice",
     "0::/a\n",
     {{HUGE_2("/a", "max"), "max\n"},
      {HUGE_2("/a", "rsvd.max"), "12582912\n"},
      {HUGE_2("/a", "rsvd.current"), "4194304\n"}},
     ALL,
     4194304},
    {"2, huge pages, no limit",
     "0::/a\n",
     {{HUGE_2("/a", "max"), "max\n"}, {HUGE_2("/a", "current"), "4194304\n"}},
     ALL,
     ALL},
    {"2, huge pages, nobody says how many are used",
     "0::/a\n",
     {{HUGE_2("/a", "max"), "12582912\n"}},
     ALL,
     ALL},
    {"1, huge pages, memory in 2",
     "3:hugetlb:/h\n0::/a\n",
     {{HUGE_1("/h", "limit_in_bytes"), "6291456\n"},
      {HUGE_1("/h", "usage_in_bytes"), "2097152\n"},
      {HUGE_2("/a", "max"), "0\n"},
      {"/unified" MEMORY_2("/a"), "5000000\n"}},
     5000000,
     4194304},
};

/* ---- mounts --------------------------------------------------------------------------------- */

static void file_write(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    SUPPORT_REQUIRE(file >= 0);
    SUPPORT_REQUIRE(write(file, text, strlen(text)) == (ssize_t)strlen(text));
    close(file);
}

/* Makes every directory that a path names before its last slash. */
static void folders_make(const char *path)
{
    char folder[256];
    SUPPORT_REQUIRE(strlen(path) < sizeof folder);
    for (const char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(at - path), path);
        SUPPORT_REQUIRE(mkdir(folder, 0755) == 0 || errno == EEXIST);
    }
}

/* A namespace of mounts, in which `lines` is /proc/self/cgroup. */
static bool begin(const char *lines)
{
    file_write(lines, "");
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", GROUPS, "tmpfs", 0, NULL) == 0 &&
           mount(lines, "/proc/self/cgroup", NULL, MS_BIND, NULL) == 0;
}

static void row_make(const struct row *row, const char *lines)
{
    SUPPORT_REQUIRE(mount("none", GROUPS, "tmpfs", 0, NULL) == 0);
    for (size_t i = 0; i < FILES_MAX && row->files[i].path != NULL; i++) {
        char path[256];
        snprintf(path, sizeof path, GROUPS "%s", row->files[i].path);
        folders_make(path);
        if (row->files[i].text != NULL)
            file_write(path, row->files[i].text);
    }
    if (row->lines != NULL)
        file_write(lines, row->lines);
    else
        SUPPORT_REQUIRE(mount(GROUPS, "/proc/self", NULL, MS_BIND, NULL) == 0);
}

static void row_check(const struct row *row)
{
    const struct hak_os_pool pool = {2 * MIB, NULL, -1};
    errno = 77;
    size_t memory_bytes = hak_os_memory_allowed_bytes();
    size_t huge_bytes = hak_os_huge_allowed_bytes(&pool, 2);
    SUPPORT_REQUIRE(errno == 77);
    /* No limit of reservations is as many as there can be, divided. */
    if (huge_bytes == SIZE_MAX / 2)
        huge_bytes = ALL;
    if (memory_bytes != row->memory_bytes || huge_bytes != row->huge_bytes) {
        dprintf(STDERR_FILENO, "%s: %zu bytes of memory, %zu of huge pages\n", row->name,
                memory_bytes, huge_bytes);
        _exit(1);
    }
}

static void rows_check(void *unused)
{
    char lines[] = "/tmp/test_cgroup_files.XXXXXX";
    int file = mkstemp(lines);
    (void)unused;
    SUPPORT_REQUIRE(file >= 0 && close(file) == 0);
    if (!begin(lines)) {
        unlink(lines);
        _exit(CANNOT_MOUNT);
    }
    for (size_t i = 0; i < SUPPORT_COUNT(rows); i++) {
        row_make(&rows[i], lines);
        row_check(&rows[i]);
        if (rows[i].lines == NULL)
            SUPPORT_REQUIRE(umount("/proc/self") == 0);
    }
    unlink(lines);
}

static void cgroup__files_of_every_kind__tell_what_is_allowed(void **state)
{
    (void)state;
    struct support_end end = support_run_child(rows_check, NULL);
    if (WIFEXITED(end.status) && WEXITSTATUS(end.status) == CANNOT_MOUNT)
        skip();
    if (end.status != 0)
        fail_msg("status %#x: %s", (unsigned)end.status, end.text);
    print_message("%zu trees of files\n", SUPPORT_COUNT(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cgroup__files_of_every_kind__tell_what_is_allowed),
    };
    return cmocka_run_group_tests_name("cgroup_files", tests, NULL, NULL);
}
