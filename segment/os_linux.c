/*
 * os on Linux: the only file of the library that calls the kernel for memory and time.
 *
 * System calls: mmap, munmap, mprotect, madvise, mremap, mincore, getrlimit (prlimit64), sysinfo,
 * write, membarrier, nanosleep, rt_sigprocmask; clock_gettime through the vDSO; with huge pages
 * also openat, read, pread64, close, unlink, statfs; with HAKMEM_LIVE openat, fallocate, close,
 * unlink. Nothing else but what abort() does, for those who write seccomp filters. Those whose
 * functions in libc are cancellation points are made by number: malloc is none.
 */
#include "segment/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "segment/count.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

size_t hak_os_page_bytes(void)
{
    return (size_t)getpagesize(); /* from the auxiliary vector: no system call */
}

static void *map_none(size_t bytes)
{
    int saved = errno;
    hak_count(HAK_COUNT_MMAP);
    void *start = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    errno = saved;
    return start == MAP_FAILED ? NULL : start;
}

static void unmap(void *start, size_t bytes)
{
    int saved = errno;
    if (bytes != 0) {
        hak_count(HAK_COUNT_MUNMAP);
        (void)munmap(start, bytes);
    }
    errno = saved;
}

void *hak_os_reserve(size_t bytes, size_t alignment)
{
    if (alignment > SIZE_MAX - bytes) {
        return NULL;
    }
    char *start = map_none(bytes + alignment);
    if (start == NULL) {
        return NULL;
    }
    /* The slack on both sides goes back: RLIMIT_AS counts it. */
    size_t head_bytes = hak_align_up((uintptr_t)start, alignment) - (uintptr_t)start;
    unmap(start, head_bytes);
    unmap(start + head_bytes + bytes, alignment - head_bytes);
    return start + head_bytes;
}

void hak_os_unreserve(void *start, size_t bytes)
{
    unmap(start, bytes);
}

static bool protect(void *start, size_t bytes, int access)
{
    int saved = errno;
    hak_count(HAK_COUNT_MPROTECT);
    bool done = mprotect(start, bytes, access) == 0;
    errno = saved;
    return done;
}

bool hak_os_commit(void *start, size_t bytes)
{
    return protect(start, bytes, PROT_READ | PROT_WRITE);
}

bool hak_os_hide(void *start, size_t bytes)
{
    return protect(start, bytes, PROT_NONE);
}

static bool advise(void *start, size_t bytes, int advice)
{
    int saved = errno;
    hak_count(HAK_COUNT_MADVISE);
    bool done = madvise(start, bytes, advice) == 0;
    errno = saved;
    return done;
}

/* qemu-user says yes to any advice, clears no page in a child, and takes the place that
 * MREMAP_DONTUNMAP left for unmapped. Asked once, of a page that is mapped. */
static bool is_emulated(void *page)
{
    static _Atomic(int) answer; /* 0: not asked yet; 1: no; 2: yes */
    /* relaxed: every thread that asks gets the same answer. */
    int known = atomic_load_explicit(&answer, memory_order_relaxed);
    if (known == 0) {
        known = advise(page, hak_os_page_bytes(), -1) ? 2 : 1;
        atomic_store_explicit(&answer, known, memory_order_relaxed); /* relaxed: as above */
    }
    return known == 2;
}

bool hak_os_purge(void *start, size_t bytes)
{
    return advise(start, bytes, MADV_DONTNEED);
}

bool hak_os_wipe_in_child(void *start, size_t bytes)
{
    return !is_emulated(start) && advise(start, bytes, MADV_WIPEONFORK);
}

bool hak_os_renew(void *start, size_t bytes)
{
    int saved = errno;
    hak_count(HAK_COUNT_MMAP);
    void *result = mmap(start, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    errno = saved;
    return result == start;
}

enum hak_os_place hak_os_look(const void *address)
{
    unsigned char resident;
    int saved = errno;
    void *start = (void *)hak_align_down((uintptr_t)address, hak_os_page_bytes());
    errno = 0;
    /* There is no way -1 to change the mask: EINVAL, but EFAULT if the new one cannot be read. */
    (void)syscall(SYS_rt_sigprocmask, -1, address, NULL, sizeof(uint64_t));
    enum hak_os_place place = errno == EINVAL ? HAK_OS_READABLE : HAK_OS_MAPPED;
    if (place == HAK_OS_MAPPED && mincore(start, 1, &resident) != 0 && errno == ENOMEM) {
        place = HAK_OS_NOTHING;
    }
    errno = saved;
    return place;
}

enum hak_os_moved hak_os_move(void *from, void *to, size_t bytes)
{
    if (is_emulated(to)) {
        return HAK_OS_KEPT;
    }
    int saved = errno;
    hak_count(HAK_COUNT_MREMAP);
    void *result = mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to);
    errno = saved;
    if (result == to) {
        return HAK_OS_MOVED;
    }
    bool mapped = hak_os_look(to) != HAK_OS_NOTHING || hak_os_renew(to, bytes);
    return mapped ? HAK_OS_KEPT : HAK_OS_HOLE;
}

/* ---- huge pages ---- */

#define NO_FILE (-1)
#define PATH_BYTES ((size_t)512)
#define NODES_MAX 1024
#define MPOL_BIND 2 /* linux/mempolicy.h, which not every system has */

static int file_open(const char *path, int flags)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600);
}

static void file_close(int file)
{
    if (file >= 0) {
        (void)syscall(SYS_close, file);
    }
}

/* A file without a name in a hugetlbfs. No descriptor is kept: programs close those they do not
 * know. */
static int huge_file_open(const char *mount)
{
    int file = file_open(mount, O_TMPFILE | O_RDWR);
    if (file >= 0) {
        return file;
    }
    /* Before Linux 5.13. Who finds the name taken tries again with the next segment. */
    static const char name[] = "/hakmem.tmp";
    char path[256];
    size_t bytes = strlen(mount);
    if (bytes + sizeof name > sizeof path) {
        return NO_FILE;
    }
    memcpy(path, mount, bytes);
    memcpy(path + bytes, name, sizeof name);
    file = file_open(path, O_CREAT | O_EXCL | O_RDWR);
    if (file >= 0) {
        (void)unlink(path);
    }
    return file;
}

static void *huge_mmap(void *start, size_t bytes, int flags, const struct hak_os_pool *pool)
{
    int file = NO_FILE;
    if (pool->mount != NULL) {
        file = huge_file_open(pool->mount);
        if (file < 0) {
            return MAP_FAILED;
        }
    } else {
        /* The size is named: the default may be another. */
        flags |= MAP_ANONYMOUS | MAP_HUGETLB | __builtin_ctzll(pool->page_bytes) << MAP_HUGE_SHIFT;
    }
    hak_count(HAK_COUNT_MMAP);
    void *result = mmap(start, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | flags, file, 0);
    file_close(file);
    return result;
}

/* Before the first touch: only then does it decide. */
static bool node_bind(void *start, size_t bytes, int node)
{
    unsigned long mask[NODES_MAX / 64] = {0};
    if (node < 0 || node >= NODES_MAX) {
        return node < 0;
    }
    mask[node / 64] = 1UL << node % 64;
    return syscall(SYS_mbind, start, bytes, MPOL_BIND, mask, (unsigned long)NODES_MAX, 0UL) == 0;
}

/* Before Linux 5.14: the kernel itself writes a zero to each page, and an error is no signal. */
static bool populate_by_read(char *start, size_t bytes, size_t page_bytes)
{
    int zero = file_open("/dev/zero", O_RDONLY);
    bool done = zero >= 0;
    for (size_t at = 0; done && at < bytes; at += page_bytes) {
        done = syscall(SYS_read, zero, start + at, (size_t)1) == 1;
    }
    file_close(zero);
    return done;
}

static bool populate(void *start, size_t bytes, size_t page_bytes)
{
    hak_count(HAK_COUNT_MADVISE);
    return madvise(start, bytes, MADV_POPULATE_WRITE) == 0 ||
           (errno == EINVAL && populate_by_read(start, bytes, page_bytes));
}

enum hak_os_backing hak_os_huge_map(void *start, size_t bytes, const struct hak_os_pool *pool)
{
    int saved = errno;
    enum hak_os_backing backing = HAK_OS_REFUSED;
    /* Asked for elsewhere first: a refusal then leaves the range alone on every kernel. */
    void *probe = huge_mmap(NULL, bytes, 0, pool);
    if (probe != MAP_FAILED) {
        unmap(probe, bytes);
        if (huge_mmap(start, bytes, MAP_FIXED, pool) == start &&
            node_bind(start, bytes, pool->node) && populate(start, bytes, pool->page_bytes)) {
            backing = HAK_OS_BACKED;
        } else if (!hak_os_renew(start, bytes)) {
            backing = HAK_OS_LOST;
        }
    }
    errno = saved;
    return backing;
}

void *hak_os_huge_hold(size_t bytes, const struct hak_os_pool *pool)
{
    int saved = errno;
    void *start = huge_mmap(NULL, bytes, 0, pool);
    errno = saved;
    return start == MAP_FAILED ? NULL : start;
}

size_t hak_os_file_read(const char *path, char *text, size_t capacity)
{
    int saved = errno;
    int file = file_open(path, O_RDONLY);
    size_t bytes = 0;
    ssize_t more = file < 0 ? -1 : 0;
    while (file >= 0 && bytes < capacity &&
           (more = syscall(SYS_read, file, text + bytes, capacity - bytes)) > 0) {
        bytes += (size_t)more;
    }
    file_close(file);
    errno = saved;
    text[more < 0 ? 0 : hak_min(bytes, capacity - 1)] = '\0';
    return more < 0 ? SIZE_MAX : bytes;
}

/* The number behind `key` in a small file; SIZE_MAX: it is not there. */
static size_t file_number(const char *path, const char *key)
{
    char text[2048];
    int saved = errno;
    (void)hak_os_file_read(path, text, sizeof text);
    const char *at = strstr(text, key);
    char *end = NULL;
    unsigned long long number = at == NULL ? 0 : strtoull(at + strlen(key), &end, 10);
    bool known = at != NULL && end != at + strlen(key);
    errno = saved;
    return known ? (size_t)number : SIZE_MAX;
}

size_t hak_os_huge_free_bytes(const struct hak_os_pool *pool)
{
#define POOL_FILE(kib, name) "/sys/kernel/mm/hugepages/hugepages-" kib "kB/" name
#define POOL_FILES(kib)                                                                            \
    {                                                                                              \
        POOL_FILE(kib, "free_hugepages"), POOL_FILE(kib, "resv_hugepages")                         \
    }
    static const char *const files[2][2] = {POOL_FILES("2048"), POOL_FILES("1048576")};
    bool large = pool->page_bytes != 2 * HAK_MIB;
    size_t free_pages = file_number(files[large][0], "");
    size_t reserved_pages = file_number(files[large][1], "");
    if (free_pages == SIZE_MAX || reserved_pages == SIZE_MAX) {
        return SIZE_MAX;
    }
    return (free_pages - hak_min(free_pages, reserved_pages)) * pool->page_bytes;
}

/* Puts `head` and `tail` into a path, the first `head_bytes` of `head` only. */
static void path_join(char path[PATH_BYTES], const char *head, size_t head_bytes, const char *tail)
{
    size_t tail_bytes = strlen(tail);
    path[0] = '\0';
    if (head_bytes + tail_bytes < PATH_BYTES) {
        memcpy(path, head, head_bytes);
        memcpy(path + head_bytes, tail, tail_bytes + 1);
    }
}

/* How far the number in a file of a group is below the limit that stands in another; without that
 * file, the limit. */
static size_t group_left_bytes(const char *group, size_t group_bytes, const char *const names[2])
{
    char path[PATH_BYTES];
    path_join(path, group, group_bytes, names[0]);
    size_t limit = file_number(path, "");
    if (limit == SIZE_MAX || names[1] == NULL) {
        return limit;
    }
    path_join(path, group, group_bytes, names[1]);
    size_t usage = file_number(path, "");
    return usage == SIZE_MAX ? SIZE_MAX : limit - hak_min(limit, usage);
}

/* What the cgroup at `below` in the hierarchy at `top`, and those above it, still allow. */
static size_t groups_left_bytes(const char *top, const char *below, const char *const names[2])
{
    char group[PATH_BYTES] = {0};
    size_t left = SIZE_MAX;
    path_join(group, top, strlen(top), strcmp(below, "/") == 0 ? "" : below);
    for (size_t bytes = strlen(group); bytes >= strlen(top);) {
        left = hak_min(left, group_left_bytes(group, bytes, names));
        do {
            bytes--;
        } while (bytes > strlen(top) && group[bytes] != '/');
    }
    return left;
}

/* A limit of cgroups: where version 1 has it, and its files there and in version 2. */
struct group_limit {
    const char *line, *top;
    const char *old_names[2], *names[2];
};

/* By /proc/self/cgroup, whose line of version 1 tells that version 2 does not have this limit. */
static size_t cgroup_left_bytes(const struct group_limit *kind)
{
    const char *const *names = kind->names;
    char text[4 * PATH_BYTES];
    (void)hak_os_file_read("/proc/self/cgroup", text, sizeof text);
    char *old = strstr(text, kind->line);
    char *below = old != NULL ? old + strlen(kind->line) : strstr(text, "0::");
    if (below == NULL) {
        return SIZE_MAX;
    }
    below[strcspn(below, "\n")] = '\0';
    if (old != NULL) {
        return groups_left_bytes(kind->top, below, kind->old_names);
    }
    below += strlen("0::");
    return hak_min(groups_left_bytes("/sys/fs/cgroup", below, names),
                   groups_left_bytes("/sys/fs/cgroup/unified", below, names));
}

static size_t mount_left_bytes(const char *mount)
{
    struct statfs system;
    if (statfs(mount, &system) != 0 || system.f_blocks == 0) {
        return SIZE_MAX; /* no quota */
    }
    return (size_t)system.f_bfree * (size_t)system.f_bsize;
}

size_t hak_os_huge_allowed_bytes(const struct hak_os_pool *pool, size_t reservations)
{
#define HUGE_LIMIT(size)                                                                           \
    {                                                                                              \
        ":hugetlb:", "/sys/fs/cgroup/hugetlb",                                                     \
            {"/hugetlb." size ".limit_in_bytes", "/hugetlb." size ".usage_in_bytes"},              \
        {                                                                                          \
            "/hugetlb." size ".max", "/hugetlb." size ".current"                                   \
        }                                                                                          \
    }
    /* What is used, and what is reserved. */
    static const struct group_limit limits[2][2] = {{HUGE_LIMIT("2MB"), HUGE_LIMIT("2MB.rsvd")},
                                                    {HUGE_LIMIT("1GB"), HUGE_LIMIT("1GB.rsvd")}};
    int saved = errno;
    bool large = pool->page_bytes != 2 * HAK_MIB;
    size_t left = pool->mount == NULL ? SIZE_MAX : mount_left_bytes(pool->mount);
    for (size_t i = 0; i < 2; i++) {
        left = hak_min(left, cgroup_left_bytes(&limits[large][i]) / (i == 0 ? 1 : reservations));
    }
    errno = saved;
    return left;
}

size_t hak_os_memory_allowed_bytes(void)
{
    static const struct group_limit limit = {
        ":memory:", "/sys/fs/cgroup/memory", {"/memory.limit_in_bytes"}, {"/memory.max"}};
    int saved = errno;
    size_t bytes = cgroup_left_bytes(&limit);
    errno = saved;
    return bytes;
}

bool hak_os_page_is_shared(const void *page)
{
    const uint64_t present = (uint64_t)1 << 63;
    const uint64_t exclusive = (uint64_t)1 << 56;
    uint64_t entry = 0;
    int saved = errno;
    int file = file_open("/proc/self/pagemap", O_RDONLY);
    off_t at = (off_t)((uintptr_t)page / hak_os_page_bytes() * sizeof entry);
    if (file < 0 || syscall(SYS_pread64, file, &entry, sizeof entry, at) != sizeof entry) {
        entry = 0;
    }
    file_close(file);
    errno = saved;
    return (entry & (present | exclusive)) != (present | exclusive);
}

size_t hak_os_huge_advised_bytes(void)
{
    size_t kib = file_number("/proc/self/smaps_rollup", "AnonHugePages:");
    return kib == SIZE_MAX ? 0 : kib * HAK_KIB; /* the kernel may not tell */
}

bool hak_os_populate(void *start, size_t bytes)
{
    return advise(start, bytes, MADV_POPULATE_WRITE);
}

void hak_os_huge_forbid(void *start, size_t bytes)
{
    (void)advise(start, bytes, MADV_NOHUGEPAGE); /* refused where the kernel has none */
}

/* The list reads "0" or "0-3"; of one with gaps only the first run is used. */
unsigned hak_os_nodes(void)
{
    size_t first = file_number("/sys/devices/system/node/online", "");
    size_t last = file_number("/sys/devices/system/node/online", "-");
    return first == 0 && last != SIZE_MAX && last < NODES_MAX ? (unsigned)last + 1 : 1;
}

int hak_os_node(void)
{
    unsigned node;
    return getcpu(NULL, &node) == 0 ? (int)node : -1;
}

const char *hak_os_huge_mount_fault(const char *mount)
{
    struct statfs system;
    int saved = errno;
    const char *fault = NULL;
    if (statfs(mount, &system) != 0) {
        fault = "cannot be looked at";
    } else if (system.f_type != HUGETLBFS_MAGIC) {
        fault = "is no hugetlbfs";
    } else if ((size_t)system.f_bsize != 2 * HAK_MIB) {
        fault = "has pages of another size than 2 MiB";
    } else {
        int file = huge_file_open(mount);
        fault = file < 0 ? "cannot be written to" : NULL;
        file_close(file);
    }
    errno = saved;
    return fault;
}

bool hak_os_huge_advise(void *start, size_t bytes)
{
    return advise(start, bytes, MADV_HUGEPAGE);
}

uint64_t hak_os_now_ms(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

size_t hak_os_physical_bytes(void)
{
    struct sysinfo info;
    int saved = errno;
    bool known = sysinfo(&info) == 0;
    errno = saved;
    return known ? (size_t)info.totalram * info.mem_unit : 16 * HAK_GIB;
}

size_t hak_os_address_limit_bytes(void)
{
    struct rlimit limit;
    int saved = errno;
    bool known = getrlimit(RLIMIT_AS, &limit) == 0;
    errno = saved;
    return known && limit.rlim_cur != RLIM_INFINITY ? (size_t)limit.rlim_cur : SIZE_MAX;
}

void hak_os_barrier_prepare(void)
{
    int saved = errno;
    (void)syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
    errno = saved;
}

bool hak_os_barrier_all(void)
{
    int saved = errno;
    hak_count(HAK_COUNT_MEMBARRIER);
    bool done = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
    errno = saved;
    return done;
}

void hak_os_yield(void)
{
    int saved = errno;
    /* Not sched_yield(): a real-time thread would keep the CPU from the one it waits for. */
    hak_count(HAK_COUNT_NANOSLEEP);
    (void)syscall(SYS_nanosleep, &(struct timespec){.tv_nsec = 20000}, NULL);
    errno = saved;
}

void *hak_os_share(const char *path, size_t bytes)
{
    int saved = errno;
    void *start = MAP_FAILED;
    (void)unlink(path);
    int file = file_open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW);
    /* Not ftruncate(): where the file system is full, a write would be a SIGBUS. */
    if (file >= 0 && syscall(SYS_fallocate, file, 0, 0L, bytes) == 0) {
        hak_count(HAK_COUNT_MMAP);
        start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    if (file >= 0 && start == MAP_FAILED) {
        (void)unlink(path);
    }
    file_close(file);
    errno = saved;
    return start == MAP_FAILED ? NULL : start;
}

void hak_os_write_error(const char *text, size_t bytes)
{
    int saved = errno;
    while (bytes > 0) {
        ssize_t written = (ssize_t)syscall(SYS_write, STDERR_FILENO, text, bytes);
        if (written <= 0) {
            break;
        }
        text += written;
        bytes -= (size_t)written;
    }
    errno = saved;
}
