/*
 * os on Linux: the only file of the library that calls the kernel for memory and time.
 *
 * System calls: mmap, munmap, mprotect, madvise, mremap, mincore, getrlimit (prlimit64), sysinfo,
 * write, membarrier, clock_nanosleep; clock_gettime through the vDSO. Nothing else but what abort()
 * does, for those who write seccomp filters.
 */
#include "segment/os.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

size_t hak_os_page_bytes(void)
{
    /* getpagesize() reads what the kernel put into the auxiliary vector: no system call. */
    return (size_t)getpagesize();
}

static void *map_none(size_t bytes)
{
    int saved = errno;
    void *start = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    errno = saved;
    return start == MAP_FAILED ? NULL : start;
}

static void unmap(void *start, size_t bytes)
{
    int saved = errno;
    if (bytes != 0) {
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

bool hak_os_commit(void *start, size_t bytes)
{
    int saved = errno;
    bool done = mprotect(start, bytes, PROT_READ | PROT_WRITE) == 0;
    errno = saved;
    return done;
}

bool hak_os_purge(void *start, size_t bytes)
{
    int saved = errno;
    bool done = madvise(start, bytes, MADV_DONTNEED) == 0;
    errno = saved;
    return done;
}

bool hak_os_renew(void *start, size_t bytes)
{
    int saved = errno;
    void *result = mmap(start, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    errno = saved;
    return result == start;
}

static bool is_mapped(void *start)
{
    unsigned char resident;
    return mincore(start, hak_os_page_bytes(), &resident) == 0 || errno != ENOMEM;
}

enum hak_os_moved hak_os_move(void *from, void *to, size_t bytes)
{
    int saved = errno;
    void *result = mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to);
    enum hak_os_moved moved = HAK_OS_MOVED;
    if (result != to) {
        moved = is_mapped(to) || hak_os_renew(to, bytes) ? HAK_OS_KEPT : HAK_OS_HOLE;
    }
    errno = saved;
    return moved;
}

uint64_t hak_os_now_ms(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC_COARSE, &now) != 0) {
        return 0;
    }
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
    bool done = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
    errno = saved;
    return done;
}

void hak_os_yield(void)
{
    int saved = errno;
    /* Not sched_yield(): a real-time thread would keep the CPU from the one it waits for. */
    (void)nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    errno = saved;
}

void hak_os_write_error(const char *text, size_t bytes)
{
    int saved = errno;
    while (bytes > 0) {
        ssize_t written = write(STDERR_FILENO, text, bytes);
        if (written <= 0) {
            break;
        }
        text += written;
        bytes -= (size_t)written;
    }
    errno = saved;
}

_Noreturn void hak_fatal(const char *message)
{
    char line[256];
    size_t bytes = hak_min(strlen(message), sizeof line - 1);
    memcpy(line, message, bytes);
    line[bytes++] = '\n';
    hak_os_write_error(line, bytes);
    abort();
}
