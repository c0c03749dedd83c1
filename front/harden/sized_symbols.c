/*
 * sized_symbols: C++ operator delete with a size, so that a hardened process can check it.
 *
 * Purpose   libstdc++ drops the size. The four forms here check it if the block comes from our
 *           operator new, and then call the form without a size, whosever it is, as libstdc++ does.
 *           Whether the block does, they know by the forms that lead from new to delete, for arrays
 *           and alignments too: each of those is ours or the program's own. So ours stand here; all
 *           do what libstdc++'s do, but that an aligned block has just the size asked for.
 *           Weak, as libstdc++'s are: a program's own come first when it is linked statically, too.
 */
#include "front/harden/harden.h"
#include "hakmem.h"

/* cxx_symbols.c's. */
extern HAK_HIDDEN void *hak_cxx_new(size_t size);
extern HAK_HIDDEN void hak_cxx_delete(void *block);
extern HAK_HIDDEN void *hak_cxx_new_slow(size_t alignment, size_t size);

/* Names of the Itanium C++ ABI: n is new, d delete, w one object, a an array; m takes a size, the
 * rest an alignment. */
HAK_PUBLIC void *_Znwm(size_t size);
HAK_PUBLIC void _ZdlPv(void *block);

static void *new_array(size_t size)
{
    return _Znwm(size);
}

static void delete_array(void *block)
{
    _ZdlPv(block);
}

static void *new_aligned(size_t size, size_t alignment)
{
    void *block = hak_memalign(alignment, size);
    return HAK_LIKELY(block != NULL) ? block : hak_cxx_new_slow(alignment, size);
}

static void delete_aligned(void *block, size_t alignment)
{
    (void)alignment;
    hak_free(block);
}

#define OURS(name) __attribute__((weak, alias(#name), visibility("default")))

void *_Znam(size_t size) OURS(new_array);
void _ZdaPv(void *block) OURS(delete_array);
void *_ZnwmSt11align_val_t(size_t size, size_t alignment) OURS(new_aligned);
void _ZdlPvSt11align_val_t(void *block, size_t alignment) OURS(delete_aligned);

static void *new_aligned_array(size_t size, size_t alignment)
{
    return _ZnwmSt11align_val_t(size, alignment);
}

static void delete_aligned_array(void *block, size_t alignment)
{
    _ZdlPvSt11align_val_t(block, alignment);
}

void *_ZnamSt11align_val_t(size_t size, size_t alignment) OURS(new_aligned_array);
void _ZdaPvSt11align_val_t(void *block, size_t alignment) OURS(delete_aligned_array);

/* ---- with a size ---- */

static void delete_sized(void *block, size_t size)
{
    if (hak_harden_is_on() && _Znwm == hak_cxx_new && _ZdlPv == hak_cxx_delete) {
        hak_harden_check_size(block, 1, size);
    }
    _ZdlPv(block);
}

static void delete_array_sized(void *block, size_t size)
{
    if (hak_harden_is_on() && _Znam == new_array && _Znwm == hak_cxx_new &&
        _ZdaPv == delete_array && _ZdlPv == hak_cxx_delete) {
        hak_harden_check_size(block, 1, size);
    }
    _ZdaPv(block);
}

static void delete_aligned_sized(void *block, size_t size, size_t alignment)
{
    if (hak_harden_is_on() && _ZnwmSt11align_val_t == new_aligned &&
        _ZdlPvSt11align_val_t == delete_aligned) {
        hak_harden_check_size(block, alignment, size);
    }
    _ZdlPvSt11align_val_t(block, alignment);
}

static void delete_aligned_array_sized(void *block, size_t size, size_t alignment)
{
    if (hak_harden_is_on() && _ZnamSt11align_val_t == new_aligned_array &&
        _ZnwmSt11align_val_t == new_aligned && _ZdaPvSt11align_val_t == delete_aligned_array &&
        _ZdlPvSt11align_val_t == delete_aligned) {
        hak_harden_check_size(block, alignment, size);
    }
    _ZdaPvSt11align_val_t(block, alignment);
}

void _ZdlPvm(void *block, size_t size) OURS(delete_sized);
void _ZdaPvm(void *block, size_t size) OURS(delete_array_sized);
void _ZdlPvmSt11align_val_t(void *block, size_t size, size_t alignment) OURS(delete_aligned_sized);
void _ZdaPvmSt11align_val_t(void *block, size_t size, size_t alignment)
    OURS(delete_aligned_array_sized);
