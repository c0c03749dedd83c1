/*
 * large: blocks above 64 KiB, in pages of their own.
 *
 * Purpose   a large block is a run of page slots, in one segment or over several. Its tag stands in
 *           its first page only. Freed runs keep their memory until the purge, so the same size
 *           again costs no fault.
 * Owner     nobody: any thread may free or resize it.
 * Threads   any; one at a time for one block, as for every block.
 */
#ifndef HAK_LARGE_H
#define HAK_LARGE_H

#include "hak_base.h"

/* A block of at least `bytes` at a multiple of `alignment` (a power of two, 64 KiB or more); NULL
 * when memory is out. */
void *hak_large_alloc(size_t bytes, size_t alignment);

/* Whether the arena could ever hold such a block. */
bool hak_large_fits(size_t bytes, size_t alignment);

/* Frees a large block. Stops the process if `block` is none: freed already, or inside of one. */
void hak_large_free(void *block);

/* Whether a large block has this address of the arena, from its first page on. */
bool hak_large_holds(const void *address);

/* What the user may use. */
size_t hak_large_bytes(const void *block);

/* Resizes in place; false if the neighbouring pages are taken. Shrinking gives pages back. */
bool hak_large_resize(void *block, size_t bytes);

/* Moves the block to a larger place, by page tables where that pays (mremap); NULL when memory is
 * out, and then the block is as it was. */
void *hak_large_move(void *block, size_t bytes);

/* Clears the first `bytes` of a new block, as far as its memory is not fresh; of a long one by
 * giving its memory back. */
void hak_large_clear(void *block, size_t bytes);

#endif
