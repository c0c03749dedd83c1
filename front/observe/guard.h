/*
 * guard: pointers that are not ours (ExternalGuard in hakmem's history).
 *
 * Purpose   a block of another allocator, or of the dynamic linker before the library was loaded,
 *           comes to free(), realloc() or malloc_usable_size(). HAKMEM_GUARD says what becomes of
 *           it: it is left alone, passed on to libc if it may be libc's, or ends the program. Each
 *           is counted, in count.h; who is asked to report says where they came from.
 *           A hardened process stops at such a pointer itself (front/harden/).
 * Owner     the process. Places that such pointers come from are kept in a table, by the XXH3 of
 *           their return addresses; what does not fit is counted together.
 * Threads   any; no lock, no allocation here. libc's own functions may do both.
 */
#ifndef HAK_GUARD_H
#define HAK_GUARD_H

#include "hak_base.h"

/* What a caller wants with the pointer. In the order of count.h. */
enum hak_guard_call { HAK_GUARD_FREE, HAK_GUARD_REALLOC, HAK_GUARD_SIZE };

/* Values of HAKMEM_GUARD. */
enum { HAK_GUARD_LEAK, HAK_GUARD_FORWARD, HAK_GUARD_ABORT };

/* free(), realloc() and malloc_usable_size() of a foreign pointer. Tail calls, so that the one who
 * called those is the caller here. */
void hak_guard_foreign(void *block);
void *hak_guard_realloc(void *block, size_t size);
size_t hak_guard_size(void *block);

#endif
