/*
 * The blocks of a workload, and requests whose answers are looked at.
 *
 * Purpose   requests may be answered with NULL and ENOMEM while calls of the kernel fail, and
 * nothing else may go wrong. Every block is filled, and verified whenever it moves and before it is
 *           freed.
 * Threads   one at a time.
 */
#ifndef HAKMEM_TEST_WORKLOAD_BLOCKS_H
#define HAKMEM_TEST_WORKLOAD_BLOCKS_H

#include "support.h"

#define WORKLOAD_BLOCKS 384

struct workload_block {
    char *start;
    size_t bytes;
    uint64_t key;
};

struct workload {
    struct workload_block blocks[WORKLOAD_BLOCKS];
    bool may_fail;
    size_t refused; /* requests answered with NULL */
    uint64_t keys;
};

/* The first bytes, one word in 16 KiB, and the last byte. */
static inline void workload_fill(struct workload_block *block, uint64_t key)
{
    block->key = key;
    support_fill(block->start, block->bytes < 256 ? block->bytes : 256, key);
    for (size_t at = 16 * KIB; at + 8 <= block->bytes; at += 16 * KIB)
        support_fill(block->start + at, 8, key + at);
    block->start[block->bytes - 1] ^= 0x55;
}

/* The part of it that is left in `bytes`. */
static inline void workload_verify(const struct workload_block *block, size_t bytes)
{
    bool whole = bytes >= block->bytes;
    size_t last = whole ? block->bytes - 1 : bytes;
    size_t head = last < 256 ? last : 256;
    char expected[256];
    support_fill(expected, block->bytes < 256 ? block->bytes : 256, block->key);
    SUPPORT_REQUIRE(memcmp(block->start, expected, head) == 0);
    for (size_t at = 16 * KIB; at + 8 <= last; at += 16 * KIB)
        SUPPORT_REQUIRE(support_holds(block->start + at, 8, block->key + at));
}

/* A request was answered: it was served, or refused as it should be. */
static inline bool workload_answer(struct workload *work, const void *answer)
{
    if (answer == NULL) {
        SUPPORT_REQUIRE(work->may_fail && errno == ENOMEM);
        work->refused++;
    }
    return answer != NULL;
}

static inline void workload_put(struct workload *work, size_t i, void *answer, size_t bytes)
{
    struct workload_block *block = &work->blocks[i];
    SUPPORT_REQUIRE(block->start == NULL);
    if (workload_answer(work, answer)) {
        SUPPORT_REQUIRE(hak_malloc_usable_size(answer) >= bytes);
        *block = (struct workload_block){.start = answer, .bytes = bytes};
        workload_fill(block, ++work->keys);
    }
}

static inline void workload_free(struct workload *work, size_t i)
{
    struct workload_block *block = &work->blocks[i];
    if (block->start != NULL) {
        workload_verify(block, block->bytes);
        errno = 77;
        hak_free(block->start);
        SUPPORT_REQUIRE(errno == 77);
    }
    block->start = NULL;
}

static inline void workload_malloc(struct workload *work, size_t i, size_t bytes)
{
    errno = 0;
    workload_put(work, i, hak_malloc(bytes), bytes);
}

static inline void workload_calloc(struct workload *work, size_t i, size_t bytes)
{
    errno = 0;
    char *answer = hak_calloc(1, bytes);
    SUPPORT_REQUIRE(answer == NULL || support_is_zero(answer, bytes));
    workload_put(work, i, answer, bytes);
}

static inline void workload_align(struct workload *work, size_t i, size_t alignment, size_t bytes)
{
    void *answer = NULL;
    int error = hak_posix_memalign(&answer, alignment, bytes);
    SUPPORT_REQUIRE(error == (answer == NULL ? ENOMEM : 0) && (size_t)answer % alignment == 0);
    errno = error;
    workload_put(work, i, answer, bytes);
}

static inline void workload_realloc(struct workload *work, size_t i, size_t bytes)
{
    struct workload_block *block = &work->blocks[i];
    if (block->start == NULL)
        return;
    errno = 0;
    char *answer = hak_realloc(block->start, bytes);
    if (workload_answer(work, answer)) {
        block->start = answer;
        workload_verify(block, bytes);
        block->bytes = bytes;
        workload_fill(block, ++work->keys);
    } else {
        workload_verify(block, block->bytes); /* the old one is whole */
    }
}

#endif
