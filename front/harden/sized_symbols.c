/*
 * sized_symbols: C++ operator delete with a size, so that a hardened process can check it.
 *
 * Purpose   libstdc++ drops the size. This form checks it if the block comes from our operator new,
 *           which is so if operator delete(void *) is ours too; and then calls that, whosever it
 *           is, as libstdc++ does. The forms for arrays and alignments stay libstdc++'s: of those,
 *           nobody here can tell whether the program replaced what they lead to.
 */
#include "front/harden/harden.h"
#include "hakmem.h"

/* cxx_symbols.c's; weak, for a program with its own links without that file. */
extern HAK_HIDDEN void hak_cxx_delete(void *block) __attribute__((weak));

HAK_PUBLIC void _ZdlPv(void *block);               /* operator delete(void *) */
HAK_PUBLIC void _ZdlPvm(void *block, size_t size); /* operator delete(void *, std::size_t) */

void _ZdlPvm(void *block, size_t size)
{
    if (_ZdlPv == hak_cxx_delete) {
        hak_harden_check_size(block, 1, size);
    }
    _ZdlPv(block);
}
