/*
 * null_malloc.c: libnullmalloc.so, an allocator that does next to nothing.
 *
 * malloc takes the next bytes of a static array, free forgets them. Preloaded under bench_bulk it
 * shows what the loop and the PLT cost; its own few instructions are counted from its disassembly.
 * One thread only, and a run may allocate ARENA_BYTES in all: for measuring, not for use.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 64 << 20, ARENA_ALIGN = 16 };

static _Alignas(ARENA_ALIGN) unsigned char arena[ARENA_BYTES];
static size_t arena_used_bytes; /* [the one thread] <= ARENA_BYTES */

__attribute__((visibility("default"))) void *malloc(size_t bytes)
{
    size_t at = arena_used_bytes;
    arena_used_bytes = at + ((bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1));
    if (__builtin_expect(arena_used_bytes > ARENA_BYTES, 0))
        __builtin_trap();
    return arena + at;
}

__attribute__((visibility("default"))) void free(void *block)
{
    (void)block;
}

/* The array is never used twice, so a block is zero as it comes. */
__attribute__((visibility("default"))) void *calloc(size_t count, size_t bytes)
{
    return malloc(count * bytes);
}

/* Old sizes are not kept: copies up to the end of what was handed out, which covers the old block.
 */
__attribute__((visibility("default"))) void *realloc(void *block, size_t bytes)
{
    unsigned char *end = arena + arena_used_bytes;
    void *moved = malloc(bytes);
    if (block == NULL)
        return moved;
    size_t old_bytes = (size_t)(end - (unsigned char *)block);
    return memcpy(moved, block, old_bytes < bytes ? old_bytes : bytes);
}
