/*
 * cxx_symbols: the 20 forms of C++ operator new and delete, in C.
 *
 * Purpose   libstdc++'s own forms call malloc and free and would serve; these save that call, and
 *           give aligned forms the same way. Names are those of the Itanium C++ ABI on 64-bit
 *           targets. What only libstdc++ can do (find the new-handler, throw std::bad_alloc) is
 *           reached by weak references: a C program never needs it.
 * Errors    as the C++ standard has it: call the new-handler and try again as long as there is one,
 *           then throw; nothrow forms return NULL.
 */
#include <stddef.h>

#include "hak_base.h"
#include "hakmem.h"

typedef void (*new_handler)(void);

/* std::get_new_handler() and std::__throw_bad_alloc(). */
extern new_handler _ZSt15get_new_handlerv(void) __attribute__((weak));
extern void _ZSt17__throw_bad_allocv(void) __attribute__((weak));

/* A block, or NULL when there is no handler left to ask. */
static void *try_new(size_t size, size_t alignment)
{
    for (;;) {
        void *block = alignment <= 16 ? hak_malloc(size) : hak_memalign(alignment, size);
        if (HAK_LIKELY(block != NULL)) {
            return block;
        }
        new_handler handler = _ZSt15get_new_handlerv != NULL ? _ZSt15get_new_handlerv() : NULL;
        if (handler == NULL) {
            return NULL;
        }
        handler();
    }
}

static HAK_COLD void *new_slow(size_t size, size_t alignment)
{
    void *block = try_new(size, alignment);
    if (block == NULL) {
        if (_ZSt17__throw_bad_allocv != NULL) {
            _ZSt17__throw_bad_allocv();
        }
        hak_fatal("hakmem: operator new without memory and without libstdc++ to say so");
    }
    return block;
}

#define CXX_PUBLIC __attribute__((visibility("default")))
#define CXX_NEW(name)                                                                              \
    CXX_PUBLIC void *name(size_t size);                                                            \
    void *name(size_t size)                                                                        \
    {                                                                                              \
        void *block = hak_malloc(size);                                                            \
        return HAK_LIKELY(block != NULL) ? block : new_slow(size, 1);                              \
    }
#define CXX_NEW_NOTHROW(name)                                                                      \
    CXX_PUBLIC void *name(size_t size, const void *nothrow);                                       \
    void *name(size_t size, const void *nothrow)                                                   \
    {                                                                                              \
        (void)nothrow;                                                                             \
        return try_new(size, 1);                                                                   \
    }
#define CXX_NEW_ALIGNED(name)                                                                      \
    CXX_PUBLIC void *name(size_t size, size_t alignment);                                          \
    void *name(size_t size, size_t alignment)                                                      \
    {                                                                                              \
        return new_slow(size, alignment);                                                          \
    }
#define CXX_NEW_ALIGNED_NOTHROW(name)                                                              \
    CXX_PUBLIC void *name(size_t size, size_t alignment, const void *nothrow);                     \
    void *name(size_t size, size_t alignment, const void *nothrow)                                 \
    {                                                                                              \
        (void)nothrow;                                                                             \
        return try_new(size, alignment);                                                           \
    }
/* Whatever else a delete is told, the address says where the block goes. */
#define CXX_DELETE(name, ...)                                                                      \
    CXX_PUBLIC void name(void *block, ##__VA_ARGS__);                                              \
    void name(void *block, ##__VA_ARGS__)                                                          \
    {                                                                                              \
        hak_free(block);                                                                           \
    }

CXX_NEW(_Znwm)
CXX_NEW(_Znam)
CXX_NEW_NOTHROW(_ZnwmRKSt9nothrow_t)
CXX_NEW_NOTHROW(_ZnamRKSt9nothrow_t)
CXX_NEW_ALIGNED(_ZnwmSt11align_val_t)
CXX_NEW_ALIGNED(_ZnamSt11align_val_t)
CXX_NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t)
CXX_NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
CXX_DELETE(_ZdlPv)
CXX_DELETE(_ZdaPv)
CXX_DELETE(_ZdlPvm, size_t size)
CXX_DELETE(_ZdaPvm, size_t size)
CXX_DELETE(_ZdlPvRKSt9nothrow_t, const void *nothrow)
CXX_DELETE(_ZdaPvRKSt9nothrow_t, const void *nothrow)
CXX_DELETE(_ZdlPvSt11align_val_t, size_t alignment)
CXX_DELETE(_ZdaPvSt11align_val_t, size_t alignment)
CXX_DELETE(_ZdlPvmSt11align_val_t, size_t size, size_t alignment)
CXX_DELETE(_ZdaPvmSt11align_val_t, size_t size, size_t alignment)
CXX_DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, size_t alignment, const void *nothrow)
CXX_DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, size_t alignment, const void *nothrow)
#pragma GCC diagnostic pop
