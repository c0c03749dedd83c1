/*
 * libc_symbols: the malloc family under libc's names.
 *
 * Purpose   an alias costs no jump, but must stand in the file that defines what it names; so this
 *           file is malloc.c and api.c and info.c again, with aliases behind them. libhakmem.so and
 *           libhakmem.a are built of this one, the library of the prefixed names of those three.
 *           The __libc_ names and the fork hooks are what glibc's own static objects refer to: with
 *           them defined here, its allocator is not linked in.
 */
#include "front/api.c"
#include "front/malloc.c"
#include "front/observe/info.c"

#define HAK_ALIAS(name) __attribute__((alias(#name), visibility("default"), copy(name)))

void *malloc(size_t size) HAK_ALIAS(hak_malloc);
void free(void *block) HAK_ALIAS(hak_free);
void *calloc(size_t count, size_t size) HAK_ALIAS(hak_calloc);
void *realloc(void *block, size_t size) HAK_ALIAS(hak_realloc);
void *reallocarray(void *block, size_t count, size_t size) HAK_ALIAS(hak_reallocarray);
void *aligned_alloc(size_t alignment, size_t size) HAK_ALIAS(hak_aligned_alloc);
void *memalign(size_t alignment, size_t size) HAK_ALIAS(hak_memalign);
int posix_memalign(void **block, size_t alignment, size_t size) HAK_ALIAS(hak_posix_memalign);
void *valloc(size_t size) HAK_ALIAS(hak_valloc);
void *pvalloc(size_t size) HAK_ALIAS(hak_pvalloc);
size_t malloc_usable_size(void *block) __attribute__((alias("hak_malloc_usable_size")))
__attribute__((visibility("default")));
void free_sized(void *block, size_t size) HAK_ALIAS(hak_free_sized);
void free_aligned_sized(void *block, size_t alignment, size_t size)
    HAK_ALIAS(hak_free_aligned_sized);
void cfree(void *block) HAK_ALIAS(hak_cfree);
int malloc_trim(size_t pad_bytes) HAK_ALIAS(hak_malloc_trim);
int mallopt(int parameter, int value) HAK_ALIAS(hak_mallopt);
struct mallinfo mallinfo(void) HAK_ALIAS(hak_mallinfo);
struct mallinfo2 mallinfo2(void) HAK_ALIAS(hak_mallinfo2);
void malloc_stats(void) HAK_ALIAS(hak_malloc_stats);
int malloc_info(int options, FILE *stream) HAK_ALIAS(hak_malloc_info);

void *__libc_malloc(size_t size) HAK_ALIAS(hak_malloc);
void __libc_free(void *block) HAK_ALIAS(hak_free);
void *__libc_calloc(size_t count, size_t size) HAK_ALIAS(hak_calloc);
void *__libc_realloc(void *block, size_t size) HAK_ALIAS(hak_realloc);
void *__libc_memalign(size_t alignment, size_t size) HAK_ALIAS(hak_memalign);
void *__libc_valloc(size_t size) HAK_ALIAS(hak_valloc);
void *__libc_pvalloc(size_t size) HAK_ALIAS(hak_pvalloc);
int __posix_memalign(void **block, size_t alignment, size_t size) HAK_ALIAS(hak_posix_memalign);

/* glibc takes its allocator's locks around fork(); this one takes none there. */
static void fork_ignore(void)
{
}
HAK_HIDDEN void __malloc_fork_lock_parent(void) __attribute__((alias("fork_ignore")));
HAK_HIDDEN void __malloc_fork_unlock_parent(void) __attribute__((alias("fork_ignore")));
HAK_HIDDEN void __malloc_fork_unlock_child(void) __attribute__((alias("fork_ignore")));
