/*
 * hakmem_inline: malloc and free in line, for sizes that are known when the program is compiled.
 *
 * Purpose   for programs that link libhakmem.a. A hit becomes a dozen instructions in the place of
 *           the call, and the compiler sees through them. They work on the same magazines as the
 *           calls, so blocks go both ways: what came by hak_malloc() may be freed here, and what
 *           came from here by hak_free(). Whatever is no hit is left to a call: sizes that are not
 *           known or above 1024 bytes, an empty or a full magazine, blocks of other threads, sized
 *           frees in a profiled process, any in a hardened one.
 * Linking   this header knows how the library lies in memory, so it goes with one form of it only:
 *           it names functions with the number of that form, which libhakmem.a defines. A library
 *           of another form does not link, nor does libhakmem.so or the header mode: the linker
 *           misses hak_inline_abi_1_*. With HAKMEM_INLINE_OFF defined, everything here is a call
 *           and any hakmem will do.
 * Threads   as hakmem.h: any thread at any time, no signal handlers.
 */
#ifndef HAKMEM_INLINE_H
#define HAKMEM_INLINE_H

#include <stddef.h>
#include <stdint.h>

#include "hakmem.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what the library looks like; front/inline.c proves it ---- */

#define HAK_INLINE_MAX ((size_t)1024) /* the largest size whose bin is known by arithmetic */
#define HAK_INLINE_BINS 97
#define HAK_INLINE_PAGE_SHIFT 16

struct hak_inline_bin {
    void *first; /* what malloc returns, or NULL; == *top */
    void **top;
    void **limit; /* top of a full magazine */
    void **base;
};

struct hak_inline_heap {
    struct hak_inline_bin
        bins[HAK_INLINE_BINS]; /* of sizes to 16, 32 ... 1024 from the second on */
    uintptr_t arena_base;
    size_t arena_pages;
    uintptr_t *tags; /* a page: the address of the bin that serves its blocks */
};

/* The calling thread's heap. In a program, not in a library, its place is known to the linker. */
#if defined(__PIC__) && !defined(__PIE__)
#define HAK_INLINE_TLS __attribute__((tls_model("initial-exec")))
#else
#define HAK_INLINE_TLS __attribute__((tls_model("local-exec")))
#endif
extern __thread struct hak_inline_heap *hak_inline_self __asm__("hak_heap_self") HAK_INLINE_TLS;

/* What is no hit: hak_malloc(), hak_free() and hak_free_sized() by names of this form. */
void *hak_inline_abi_1_malloc(size_t size);
void hak_inline_abi_1_free(void *block);
void hak_inline_abi_1_free_sized(void *block, size_t size);

/* ---- parts ---- */

#define HAK_INLINE static inline __attribute__((always_inline, unused))
#define HAK_INLINE_LIKELY(condition) __builtin_expect(!!(condition), 1)

#ifdef HAKMEM_INLINE_OFF
#define HAK_INLINE_KNOWN(size) 0
#define HAK_INLINE_ON 0
#else
#define HAK_INLINE_KNOWN(size) (__builtin_constant_p(size) && (size) <= HAK_INLINE_MAX)
#define HAK_INLINE_ON 1
#endif

HAK_INLINE struct hak_inline_bin *hak_inline_bin_of(size_t size)
{
    return &hak_inline_self->bins[(size + 15) / 16];
}

/* The tag of a block's page; 0, which is no bin, for what is foreign. */
HAK_INLINE uintptr_t hak_inline_tag_of(const struct hak_inline_heap *heap, const void *block)
{
    uintptr_t page = ((uintptr_t)block - heap->arena_base) >> HAK_INLINE_PAGE_SHIFT;
    /* relaxed: who frees a block got it after its page's tag was set. */
    return HAK_INLINE_LIKELY(page < heap->arena_pages)
               ? __atomic_load_n(&heap->tags[page], __ATOMIC_RELAXED)
               : 0;
}

/* False: the magazine is full. */
HAK_INLINE int hak_inline_push(struct hak_inline_bin *bin, void *block)
{
    void **top = bin->top;
    if (!HAK_INLINE_LIKELY(top != bin->limit)) {
        return 0;
    }
    top[1] = block;
    bin->top = top + 1;
    bin->first = block;
    return 1;
}

/* ---- malloc and free ---- */

/* hak_malloc(); in line if `size` is a constant. */
__attribute__((alloc_size(1), warn_unused_result)) HAK_INLINE void *hak_inline_malloc(size_t size)
{
    if (!HAK_INLINE_KNOWN(size)) {
        return hak_malloc(size);
    }
    struct hak_inline_bin *bin = hak_inline_bin_of(size);
    void *block = bin->first;
    if (!HAK_INLINE_LIKELY(block != NULL)) {
        return hak_inline_abi_1_malloc(size);
    }
    void **top = bin->top - 1;
    bin->first = *top;
    /* As a call would, this keeps accesses in an earlier life of the block before the new one. It
     * stands between the stores, or gcc 12 joins them by way of a slower SSE register. */
    __asm__ volatile("" : "+r"(block) : : "memory");
    bin->top = top;
    return block;
}

/* hak_free(). */
HAK_INLINE void hak_inline_free(void *block)
{
    if (!HAK_INLINE_ON) {
        hak_free(block);
        return;
    }
    struct hak_inline_heap *heap = hak_inline_self;
    uintptr_t tag = hak_inline_tag_of(heap, block);
    if (!HAK_INLINE_LIKELY((tag ^ (uintptr_t)heap) < sizeof heap->bins) ||
        !hak_inline_push((struct hak_inline_bin *)tag, block)) {
        hak_inline_abi_1_free(block);
    }
}

/* hak_free_sized(). If `size` is a constant, the bin is known before the page's tag says the same.
 */
HAK_INLINE void hak_inline_free_sized(void *block, size_t size)
{
    if (!HAK_INLINE_KNOWN(size)) {
        hak_free_sized(block, size);
        return;
    }
    struct hak_inline_bin *bin = hak_inline_bin_of(size);
    if (!HAK_INLINE_LIKELY(hak_inline_tag_of(hak_inline_self, block) == (uintptr_t)bin) ||
        !hak_inline_push(bin, block)) {
        hak_inline_abi_1_free_sized(block, size);
    }
}

#ifdef __cplusplus
}
#endif

#endif
