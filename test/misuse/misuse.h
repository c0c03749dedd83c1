/*
 * What the misuse programs share. Each gets the size of its block as an argument, does one thing
 * wrong, and says in its head how it ends by itself and in a hardened process, for small, medium
 * and large blocks, or one of whole pages. test/test_misuse_programs.sh reads that:
 *
 *     MODE [SIZE]: none | exit N | SIGNAL [MESSAGE] | any
 */
#ifndef HAKMEM_TEST_MISUSE_H
#define HAKMEM_TEST_MISUSE_H

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* Hides where a pointer came from, so that the compiler does not see the misuse. */
static inline char *hide(void *pointer)
{
    __asm__ volatile("" : "+r"(pointer) : : "memory");
    return pointer;
}

static inline size_t size_of(char **argv)
{
    return strtoul(argv[1], NULL, 10);
}

static inline char *block_of(size_t size)
{
    char *block = hide(malloc(size));
    if (block == NULL)
        _Exit(99);
    memset(block, 'b', size);
    return hide(block);
}

/* Blocks of that size come and go. */
static inline void go_on(size_t size, unsigned times)
{
    while (times-- > 0)
        free(block_of(size));
}

/* What was freed reaches its page. */
static inline int flush(void)
{
    malloc_trim(0);
    return 0;
}

#endif
