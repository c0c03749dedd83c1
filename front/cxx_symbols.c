/*
 * cxx_symbols: C++ operator new and delete, in C.
 *
 * Purpose   the two forms that all others of libstdc++ come down to, so that `new` is one call and
 *           not two. A program that replaces them must find its own behind the other 18 forms:
 *           harden/sized_symbols.c and libstdc++ see to that. Whoever wants all 20 in one file
 * links operators.cpp. What only libstdc++ can do (find the new-handler, throw std::bad_alloc) is
 * reached by weak references: a C program never needs it. Errors    as the C++ standard has it:
 * call the new-handler and try again as long as there is one, then throw.
 */
#include <stddef.h>

#include "hak_base.h"
#include "hakmem.h"

typedef void (*new_handler)(void);

/* std::get_new_handler() and std::__throw_bad_alloc(). */
extern new_handler _ZSt15get_new_handlerv(void) __attribute__((weak));
extern void _ZSt17__throw_bad_allocv(void) __attribute__((weak));

HAK_HIDDEN HAK_COLD void *hak_cxx_new_slow(size_t alignment, size_t size);
HAK_PUBLIC __attribute__((weak)) void *_Znwm(size_t size); /* operator new(std::size_t) */
HAK_PUBLIC __attribute__((weak)) void _ZdlPv(void *block); /* operator delete(void *) */
HAK_HIDDEN void *hak_cxx_new(size_t size) __attribute__((alias("_Znwm")));
HAK_HIDDEN void hak_cxx_delete(void *block) __attribute__((alias("_ZdlPv")));

void *hak_cxx_new_slow(size_t alignment, size_t size)
{
    new_handler handler;
    while (_ZSt15get_new_handlerv != NULL && (handler = _ZSt15get_new_handlerv()) != NULL) {
        handler();
        void *block = hak_memalign(alignment, size);
        if (block != NULL) {
            return block;
        }
    }
    if (_ZSt17__throw_bad_allocv != NULL) {
        _ZSt17__throw_bad_allocv();
    }
    hak_fatal("hakmem: operator new without memory and without libstdc++ to say so");
}

void *_Znwm(size_t size)
{
    void *block = hak_malloc(size);
    return HAK_LIKELY(block != NULL) ? block : hak_cxx_new_slow(1, size);
}

void _ZdlPv(void *block)
{
    hak_free(block);
}
