/*
 * callers: who called, without unwinding tables.
 *
 * Purpose   the return addresses of a call, innermost first, as far as frame pointers lead. Code
 *           that was compiled without them ends the walk; a word that only looks like a frame is
 *           told by what it returns to, which must be behind a call instruction.
 * Threads   any. Allocates nothing, takes no lock; memory is read only where that can be done.
 */
#ifndef HAK_CALLERS_H
#define HAK_CALLERS_H

#include "hak_base.h"

/* Writes up to `max` return addresses; returns how many. `frame` is __builtin_frame_address(0) of a
 * function: its own return address comes first. */
size_t hak_callers(const void *frame, uintptr_t *callers, size_t max);

#endif
