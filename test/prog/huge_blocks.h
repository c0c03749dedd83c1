/*
 * huge_blocks: a heap of blocks of every tier whose contents are known.
 *
 * Used by the programs that test_huge.sh runs on huge pages. Knows libc only. A set belongs to one
 * thread at a time.
 */
#ifndef HUGE_BLOCKS_H
#define HUGE_BLOCKS_H

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HUGE_MIB ((size_t)1 << 20)
/* Of a large block, each kernel page is looked at. */
#define HUGE_STRIDE 509

enum { HUGE_BLOCKS_MAX = 200000, HUGE_SIZES = 8 };

struct huge_block {
    unsigned char *start;
    size_t bytes;
};

struct huge_blocks {
    struct huge_block *blocks; /* HUGE_BLOCKS_MAX, not on the heap */
    size_t count;
    size_t total_bytes;
    unsigned char stamp; /* of the first block; the next has one more */
};

static inline void huge_stop(const char *why)
{
    dprintf(STDERR_FILENO, "huge_blocks: %s\n", why);
    _exit(3);
}

/* The number behind `key` in a file of /proc; 0: it is not there. Allocates nothing. */
static inline unsigned long huge_kernel_figure(const char *path, const char *key)
{
    char text[8192];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0)
        (void)close(file);
    text[bytes > 0 ? bytes : 0] = '\0';
    const char *at = strstr(text, key);
    return at == NULL ? 0 : strtoul(at + strlen(key), NULL, 10);
}

/* Pages of the pool that this process has. */
static inline unsigned long huge_pooled_kib(void)
{
    return huge_kernel_figure("/proc/self/status", "HugetlbPages:");
}

static inline unsigned char huge_stamp(const struct huge_blocks *set, size_t i)
{
    return (unsigned char)(set->stamp + i);
}

/* Blocks of `mib` in all, each filled. */
static inline void huge_blocks_grow(struct huge_blocks *set, size_t mib)
{
    static const size_t sizes[HUGE_SIZES] = {24,    200,    1000,   3000,
                                             20000, 100000, 700000, 3 * HUGE_MIB};
    size_t goal = set->total_bytes + mib * HUGE_MIB;
    while (set->total_bytes < goal) {
        size_t i = set->count;
        size_t bytes = sizes[i % HUGE_SIZES];
        if (i == HUGE_BLOCKS_MAX)
            huge_stop("too many blocks");
        unsigned char *start = malloc(bytes);
        if (start == NULL)
            huge_stop("no block");
        memset(start, huge_stamp(set, i), bytes);
        set->blocks[i] = (struct huge_block){start, bytes};
        set->count = i + 1;
        set->total_bytes += bytes;
    }
}

/* Other contents for all blocks. */
static inline void huge_blocks_write(struct huge_blocks *set)
{
    set->stamp++;
    for (size_t i = 0; i < set->count; i++)
        memset(set->blocks[i].start, huge_stamp(set, i), set->blocks[i].bytes);
}

static inline void huge_blocks_check(const struct huge_blocks *set)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct huge_block *block = &set->blocks[i];
        size_t step = block->bytes < 4096 ? 1 : HUGE_STRIDE;
        for (size_t at = 0; at < block->bytes; at += step) {
            if (block->start[at] != huge_stamp(set, i))
                huge_stop("contents lost");
        }
    }
}

/* Large blocks grow by half, so that they move; what was in them must come along. */
static inline void huge_blocks_stretch(struct huge_blocks *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct huge_block *block = &set->blocks[i];
        if (block->bytes < HUGE_MIB)
            continue;
        size_t bytes = block->bytes + block->bytes / 2;
        unsigned char *start = realloc(block->start, bytes);
        if (start == NULL)
            huge_stop("no block");
        memset(start + block->bytes, huge_stamp(set, i), bytes - block->bytes);
        set->total_bytes += bytes - block->bytes;
        *block = (struct huge_block){start, bytes};
    }
}

static inline void huge_blocks_drop(struct huge_blocks *set)
{
    for (size_t i = 0; i < set->count; i++)
        free(set->blocks[i].start);
    set->count = 0;
    set->total_bytes = 0;
}

#endif
