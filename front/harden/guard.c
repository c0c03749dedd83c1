/*
 * guard: counts pointers that are not ours.
 */
#include "front/harden/guard.h"

#include <stdatomic.h>

static _Atomic(uint64_t) foreign_count; /* [any, atomic] */

void hak_guard_foreign(const void *block)
{
    (void)block;
    /* relaxed: a figure. */
    (void)atomic_fetch_add_explicit(&foreign_count, 1, memory_order_relaxed);
}

uint64_t hak_guard_count(void)
{
    /* relaxed: a figure. */
    return atomic_load_explicit(&foreign_count, memory_order_relaxed);
}
