/*
 * os: everything that hakmem asks of the kernel.
 *
 * Purpose   one narrow door. os_linux.c stands behind it in the library, os_fake.c in tests
 *           that let the k-th call fail or pretend another kernel page size.
 * Threads   any.
 * Errors    a call that cannot be served returns false or NULL and leaves memory as it was.
 *           No call changes errno.
 */
#ifndef HAK_OS_H
#define HAK_OS_H

#include "hak_base.h"

/* Bytes of a kernel page: 4, 16 or 64 KiB. Asked of the kernel once. */
size_t hak_os_page_bytes(void);

/* Address space without memory (PROT_NONE), zero when committed later. NULL if there is none.
 * `alignment` is a power of two. Counts against RLIMIT_AS, not against overcommit. */
void *hak_os_reserve(size_t bytes, size_t alignment);

/* Gives a whole reservation back, as hak_os_reserve() returned it. */
void hak_os_unreserve(void *start, size_t bytes);

/* Makes reserved memory readable and writable. Idempotent, so racing threads may help each other.
 * `start` and `bytes` are multiples of the kernel's page. */
bool hak_os_commit(void *start, size_t bytes);

/* Takes all access to committed memory away until it is committed again; its contents stay. */
bool hak_os_hide(void *start, size_t bytes);

/* Gives the memory back and keeps the range: it reads as zero afterwards (MADV_DONTNEED).
 * False: nothing is known of the contents. */
bool hak_os_purge(void *start, size_t bytes);

/* Has the kernel clear the range in every child of a fork (MADV_WIPEONFORK, Linux 4.14). */
bool hak_os_wipe_in_child(void *start, size_t bytes);

/* Maps new zero memory over the range; what was there goes back. Lets mappings merge again that
 * hak_os_move() had split. */
bool hak_os_renew(void *start, size_t bytes);

enum hak_os_moved {
    HAK_OS_KEPT,  /* nothing was moved, both ranges are as before or read as zero at `to` */
    HAK_OS_MOVED, /* `from` reads as zero now */
    HAK_OS_HOLE,  /* nothing was moved, and `to` is not mapped any more */
};

/* Moves the pages at `from` to the committed range `to` without copying; `from` stays mapped
 * (MREMAP_DONTUNMAP, Linux 5.7). `from` must be one mapping: of several, Linux 6.17 moves some
 * before it fails. Up to Linux 6.16 the kernel unmaps `to` before it looks at `from`; it is mapped
 * again then, and where not even that can be had, the range is a hole. */
enum hak_os_moved hak_os_move(void *from, void *to, size_t bytes);

/* ---- huge pages ---- */

/* Where pages of the pool (hugetlb) come from. */
struct hak_os_pool {
    size_t page_bytes; /* 2 MiB or 1 GiB: what ranges are multiples of */
    const char *mount; /* a hugetlbfs with pages of that size; NULL: none is needed */
    int node;          /* of memory; -1: any */
};

enum hak_os_backing {
    HAK_OS_BACKED,  /* every page is there: no touch can fail; it reads as zero */
    HAK_OS_REFUSED, /* ordinary memory is there, committed and zero, or what was before */
    HAK_OS_LOST,    /* the range may not be mapped any more */
};

/* Maps pages of the pool over the range and populates them. What the kernel would answer a touch
 * with SIGBUS for (cgroup, cpuset, a full mount, no page on the node) is HAK_OS_REFUSED here. */
enum hak_os_backing hak_os_huge_map(void *start, size_t bytes, const struct hak_os_pool *pool);

/* Reserves pages of the pool without using them, as room for copies after a fork; NULL: there are
 * not so many. hak_os_unreserve() gives them back. */
void *hak_os_huge_hold(size_t bytes, const struct hak_os_pool *pool);

/* Bytes of the pool that are free and that nobody reserved. SIZE_MAX: not known. */
size_t hak_os_huge_free_bytes(const struct hak_os_pool *pool);

/* What cgroups and a mount's quota allow beyond what is in use, if each page counts as so many
 * against a limit of reservations; far above any size: all. Of cgroups, those that are mounted
 * where they usually are. */
size_t hak_os_huge_allowed_bytes(const struct hak_os_pool *pool, size_t reservations);

/* Whether another process maps this page, which was written before a fork and not after it; true
 * where the kernel does not tell. */
bool hak_os_page_is_shared(const void *page);

/* NULL if huge pages of 2 MiB can be had from that directory; else what is wrong with it. */
const char *hak_os_huge_mount_fault(const char *mount);

/* Asks for transparent huge pages in the range; and how many bytes of the process have them. */
bool hak_os_huge_advise(void *start, size_t bytes);
size_t hak_os_huge_advised_bytes(void);

/* Has the kernel put memory behind a committed range now, not at the first touch. */
bool hak_os_populate(void *start, size_t bytes);

/* Keeps transparent huge pages out of the range, where the system would give them unasked. */
void hak_os_huge_forbid(void *start, size_t bytes);

/* How many nodes of memory there are, and that of the CPU this thread runs on. */
unsigned hak_os_nodes(void);
int hak_os_node(void);

/* Milliseconds of a clock that never runs back; some milliseconds coarse, and cheap. */
uint64_t hak_os_now_ms(void);

/* Physical memory in bytes; the limit on address space; and what cgroups, where they are usually
 * mounted, let all their processes use together. SIZE_MAX when there is no such limit. */
size_t hak_os_physical_bytes(void);
size_t hak_os_address_limit_bytes(void);
size_t hak_os_memory_allowed_bytes(void);

/* Asks for the barriers below. At start: in a process of many threads the kernel waits until each
 * CPU has been through its scheduler, seconds on a busy machine. A child of a fork inherits it. */
void hak_os_barrier_prepare(void);

/* A full memory barrier on every CPU that runs a thread of this process (membarrier(2),
 * Linux 4.14): what this thread wrote before it, they see after it, and the other way round. False:
 * none was made, the kernel or a sandbox refuses. */
bool hak_os_barrier_all(void);

/* Lets other threads run for some microseconds, of lower priority too. */
void hak_os_yield(void);

/* What a file says, and a byte of zero behind it; returns its bytes without that. `capacity`: it is
 * longer than fits, and cut. SIZE_MAX: it cannot be read, and the text is empty. */
size_t hak_os_file_read(const char *path, char *text, size_t capacity);

/* A new file of that size, all zero, that this process and others can map; only its user may. What
 * has that name already goes, if it may. NULL if there can be none; later writes cannot fail. */
void *hak_os_share(const char *path, size_t bytes);

/* What is at an address: 8 bytes that can be read now, something else that is mapped, or nothing.
 */
enum hak_os_place { HAK_OS_NOTHING, HAK_OS_MAPPED, HAK_OS_READABLE };
enum hak_os_place hak_os_look(const void *address);

/* Writes to standard error. */
void hak_os_write_error(const char *text, size_t bytes);

#endif
