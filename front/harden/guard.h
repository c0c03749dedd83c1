/*
 * guard: pointers that are not ours (ExternalGuard in hakmem's history).
 *
 * Purpose   a block of another allocator, or of the dynamic linker before the library was loaded,
 *           comes to our free(): it is left alone and counted.
 * Threads   any.
 */
#ifndef HAK_GUARD_H
#define HAK_GUARD_H

#include "hak_base.h"

/* Leaves a foreign pointer alone. */
void hak_guard_foreign(const void *block);

/* How many there were. */
uint64_t hak_guard_count(void);

#endif
