/*
 * trace_arena.h: blocks for dlsym, which may allocate while the recorder looks for the next malloc.
 *
 * Owner    the recorder. Blocks are never used again, and a free of one does nothing.
 * Threads  taken by the one that starts the recorder; asked about by any.
 */
#ifndef HAK_BENCH_TRACE_ARENA_H
#define HAK_BENCH_TRACE_ARENA_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ARENA_BYTES = 64 << 10, ARENA_ALIGN = 16 };

static _Alignas(ARENA_ALIGN) unsigned char arena[ARENA_BYTES];
static size_t arena_used_bytes; /* [starting thread] */

static inline bool arena_holds(const void *block)
{
    return (uintptr_t)block - (uintptr_t)arena < ARENA_BYTES;
}

/* The size stands in the 16 bytes before the block. */
static inline size_t arena_size(const void *block)
{
    return *(const size_t *)(const void *)((const unsigned char *)block - ARENA_ALIGN);
}

/* A block ends before the arena does: one of no bytes would not lie in it else. */
static inline void *arena_take(size_t bytes)
{
    size_t room_bytes = ARENA_BYTES - arena_used_bytes;
    if (room_bytes < 2 * ARENA_ALIGN || bytes > room_bytes - 2 * ARENA_ALIGN) {
        errno = ENOMEM;
        return NULL;
    }
    unsigned char *block = arena + arena_used_bytes + ARENA_ALIGN;
    *(size_t *)(void *)(block - ARENA_ALIGN) = bytes;
    arena_used_bytes += ARENA_ALIGN + ((bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1));
    return block;
}

#endif
