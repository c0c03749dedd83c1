/*
 * hakmem: a header-less malloc for Linux.
 *
 * Purpose   the public interface under the `hak_` prefix. libhakmem.so also exports the
 *           plain C names, so that LD_PRELOAD or linking puts a whole program on it.
 * Threads   every function may be called from any thread at any time, and in the child
 *           of a fork. None is async-signal-safe.
 * Errors    functions that return a block return NULL and set errno to ENOMEM when the
 *           size is above PTRDIFF_MAX, a product overflows, or memory is out. Freeing
 *           never changes errno.
 * Alignment every block is aligned to 16 bytes at least.
 */
#ifndef HAKMEM_H
#define HAKMEM_H

#include <malloc.h> /* struct mallinfo, struct mallinfo2 */
#include <stddef.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HAK_PUBLIC __attribute__((visibility("default")))
#define HAK_ALLOC_SIZE(...) __attribute__((malloc, alloc_size(__VA_ARGS__), warn_unused_result))

/* A block of at least `size` bytes; zero gives a block of its own that holds nothing. */
HAK_PUBLIC void *hak_malloc(size_t size) HAK_ALLOC_SIZE(1);

/* A block of `count` times `size` bytes, all zero. */
HAK_PUBLIC void *hak_calloc(size_t count, size_t size) HAK_ALLOC_SIZE(1, 2);

/*
 * Resizes a block and keeps its first bytes. Within hak_malloc_usable_size() it never
 * moves. On failure the old block stays whole. NULL allocates; size zero counts
 * as one.
 */
HAK_PUBLIC void *hak_realloc(void *block, size_t size)
    __attribute__((alloc_size(2), warn_unused_result));

/* hak_realloc() to `count` times `size` bytes, with the product checked (OpenBSD). */
HAK_PUBLIC void *hak_reallocarray(void *block, size_t count, size_t size)
    __attribute__((alloc_size(2, 3), warn_unused_result));

/* Gives a block back. NULL is nothing. A pointer that is not ours is counted and, unless
 * HAKMEM_GUARD says otherwise, left alone. */
HAK_PUBLIC void hak_free(void *block);

/* C23 forms. The block's own address decides where it goes; sizes are hints. */
HAK_PUBLIC void hak_free_sized(void *block, size_t size);
HAK_PUBLIC void hak_free_aligned_sized(void *block, size_t alignment, size_t size);

/* The free() of SunOS, which old programs still import. */
HAK_PUBLIC void hak_cfree(void *block);

/*
 * Aligned blocks. `alignment` is a power of two, in bytes. hak_posix_memalign() returns
 * EINVAL for an alignment that is not, or is no multiple of sizeof(void *); the other two
 * return NULL and set errno to EINVAL.
 */
HAK_PUBLIC void *hak_aligned_alloc(size_t alignment, size_t size) HAK_ALLOC_SIZE(2);
HAK_PUBLIC void *hak_memalign(size_t alignment, size_t size) HAK_ALLOC_SIZE(2);
HAK_PUBLIC int hak_posix_memalign(void **block, size_t alignment, size_t size)
    __attribute__((warn_unused_result));

/* Blocks aligned to the kernel's page; hak_pvalloc() also rounds the size up to it. */
HAK_PUBLIC void *hak_valloc(size_t size) HAK_ALLOC_SIZE(1);
HAK_PUBLIC void *hak_pvalloc(size_t size) __attribute__((malloc, warn_unused_result));

/* Bytes that the caller may use in a live block, at least those asked for; 0 for NULL. */
HAK_PUBLIC size_t hak_malloc_usable_size(const void *block);

/*
 * Gives free memory back to the system now: the calling thread's caches, what ended
 * threads left, and free pages. Other threads are asked to do so at their next slow path.
 * `pad_bytes` is kept for compatibility. Returns 1 when memory was given back, else 0.
 */
HAK_PUBLIC int hak_malloc_trim(size_t pad_bytes);

/* Totals of the whole process, in bytes; see mallinfo(3). */
HAK_PUBLIC struct mallinfo hak_mallinfo(void);
HAK_PUBLIC struct mallinfo2 hak_mallinfo2(void);

/*
 * All figures of the process, as one JSON object or in Prometheus' text format; what each means is
 * in design/statistics.md, and in the second form's own text. `write` is called with pieces of the
 * text, in order, and gets `to` with each. Nothing is allocated, and nothing held while it runs.
 * For 16 KiB of stack.
 */
typedef void hak_stats_writer(void *to, const char *text, size_t bytes);
HAK_PUBLIC void hak_stats_json(hak_stats_writer *write, void *to);
HAK_PUBLIC void hak_stats_prometheus(hak_stats_writer *write, void *to);

/* Writes these figures to standard error, or the totals and sizes as XML to `stream` (`options` is
 * 0, else it returns EINVAL). */
HAK_PUBLIC void hak_malloc_stats(void);
HAK_PUBLIC int hak_malloc_info(int options, FILE *stream);

/* Where a block comes from. */
enum hak_tier { HAK_TIER_TINY = 1, HAK_TIER_SMALLMID, HAK_TIER_MID, HAK_TIER_LARGE };

/* A live block, as hak_heap_visit() tells of it. */
struct hak_block {
    void *address;
    size_t bytes;      /* that the program may use: hak_malloc_usable_size() */
    size_t slot_bytes; /* that it takes: its size class, or whole pages */
    enum hak_tier tier;
    int is_own;        /* 1: it belongs to the calling thread's heap */
    const void *owner; /* names the heap that it belongs to; NULL: none, as for large blocks */
};

/* Returns 0 to go on, anything else to end the visit. */
typedef int hak_visitor(const struct hak_block *block, void *context);

enum hak_visit {
    HAK_VISIT_ALL,     /* every heap was visited */
    HAK_VISIT_PART,    /* heaps whose threads never left the allocator meanwhile were not */
    HAK_VISIT_STOPPED, /* by the visitor */
    HAK_VISIT_NO_MEMORY,
};

/*
 * Calls `visit` for live blocks, in no order.
 * Of the calling thread's heap, and of large blocks, that is every block that is live, each once;
 * but for one that another thread has freed and not handed back yet (128 KiB a thread at most).
 * Of other threads' heaps it is every block that lives throughout the call. Blocks that they
 * allocate or free meanwhile may be told of or not; so may those that they keep at hand, unused,
 * for their next allocations. If pages pass from heap to heap meanwhile, a block may be told
 * of twice or not at all. In a hardened process every heap is one, and no block is told of that
 * was freed before the call.
 * `visit` holds nothing and may take its time. It must not allocate or free by this library:
 * nothing breaks if it does, but of those blocks, and others of their size, the visit may tell
 * wrongly.
 */
HAK_PUBLIC enum hak_visit hak_heap_visit(hak_visitor *visit, void *context);

/* Accepts every parameter of mallopt(3) and returns 1; none has a meaning here. */
HAK_PUBLIC int hak_mallopt(int parameter, int value);

/*
 * Gives all heaps a policy: a route and a capacity a class of sizes, as `HAKMEM_POLICY` does at
 * start; hakmem-options(7) says how it is written. It takes the place of the one before as a
 * whole, and each thread obeys from its next slow path on. Returns 0; EINVAL when the text cannot
 * be obeyed, ENOMEM when memory is out or there were more than 4096 different policies. Then
 * `fault`, if `fault_bytes` is not 0, says what is wrong, and the policy stays. A hardened process
 * has none: what is set there has no effect.
 */
HAK_PUBLIC int hak_policy_set(const char *text, char *fault, size_t fault_bytes);

/* Writes the policy as a text for hak_policy_set() into at most `bytes` bytes, as snprintf() does;
 * returns how long it is. */
HAK_PUBLIC size_t hak_policy_get(char *text, size_t bytes);

/*
 * The same of what the learner has come to, which it has done if it is on, and not if it observes
 * only (`HAKMEM_LEARNER`): a line for each class of sizes that it has judged, with what it saw
 * behind a `#`. A class that should be as by default is a remark as a whole, so the text as it is
 * may be kept and set as a policy. Writes nothing and returns 0 while the learner is off. Not for
 * signal handlers.
 */
HAK_PUBLIC size_t hak_policy_learnt(char *text, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
