/*
 * trace_next.h: the functions behind the recorder's, of libc or of an allocator preloaded behind.
 *
 * Owner    the recorder.
 * Threads  found by the one that starts, called by any after that.
 */
#ifndef HAK_BENCH_TRACE_NEXT_H
#define HAK_BENCH_TRACE_NEXT_H

#include <dlfcn.h>
#include <stddef.h>

#define NEXT_TABLE(X)                                                                              \
    X(void *, malloc, (size_t))                                                                    \
    X(void *, calloc, (size_t, size_t))                                                            \
    X(void *, realloc, (void *, size_t))                                                           \
    X(void, free, (void *))                                                                        \
    X(int, posix_memalign, (void **, size_t, size_t))                                              \
    X(void *, aligned_alloc, (size_t, size_t))                                                     \
    X(void *, memalign, (size_t, size_t))                                                          \
    X(void *, valloc, (size_t))                                                                    \
    X(void *, pvalloc, (size_t))                                                                   \
    X(void, free_sized, (void *, size_t))                                                          \
    X(void, free_aligned_sized, (void *, size_t, size_t))                                          \
    X(size_t, malloc_usable_size, (void *))                                                        \
    X(void, _exit, (int))                                                                          \
    X(int, execv, (const char *, char *const *))                                                   \
    X(int, execve, (const char *, char *const *, char *const *))                                   \
    X(int, execvp, (const char *, char *const *))                                                  \
    X(int, execvpe, (const char *, char *const *, char *const *))                                  \
    X(int, execveat, (int, const char *, char *const *, char *const *, int))                       \
    X(int, fexecve, (int, char *const *, char *const *))

#define NEXT_MEMBER(result, name, arguments) result(*name) arguments;
static struct {
    NEXT_TABLE(NEXT_MEMBER)
} next; /* [const after next_find] NULL: there is no such function behind */

/* dlsym may allocate: the recorder's own malloc then serves it from the arena. */
static inline void next_find(void)
{
#define NEXT_FIND(result, name, arguments) *(void **)&next.name = dlsym(RTLD_NEXT, #name);
    NEXT_TABLE(NEXT_FIND)
}

#endif
