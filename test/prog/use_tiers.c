/*
 * Uses the malloc that it was started on, through the names of libc only.
 *
 * Every tier, every way to allocate, several threads that free each other's blocks. Says nothing
 * and ends with 0 if every block held its contents.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4
#define WINDOW_BLOCKS 32

struct block {
    unsigned char *start;
    size_t bytes;
    unsigned char stamp;
};

static struct block handed_on[THREADS][WINDOW_BLOCKS];

static void stop(const char *why, size_t bytes)
{
    fprintf(stderr, "use_tiers: %s (%zu bytes)\n", why, bytes);
    exit(1);
}

static void block_drop(struct block *block)
{
    if (block->start == NULL)
        return;
    for (size_t i = 0; i < block->bytes; i += i < 4096 ? 1 : 509) {
        if (block->start[i] != block->stamp)
            stop("contents lost", block->bytes);
    }
    free(block->start);
    block->start = NULL;
}

static void *take(size_t bytes, unsigned way)
{
    void *start = NULL;
    switch (way % 4) {
    case 0:
        return calloc(1, bytes);
    case 1:
        return posix_memalign(&start, 256, bytes) == 0 ? start : NULL;
    case 2:
        start = malloc(bytes / 2 + 1);
        return start == NULL ? NULL : realloc(start, bytes);
    default:
        return malloc(bytes);
    }
}

static void block_take(struct block *block, size_t bytes, unsigned way)
{
    block_drop(block);
    block->start = take(bytes, way);
    if (block->start == NULL)
        stop("no block", bytes);
    if ((uintptr_t)block->start % 16 != 0 || malloc_usable_size(block->start) < bytes)
        stop("not aligned, or too small", bytes);
    if (way % 4 == 0 && (block->start[0] != 0 || block->start[bytes - 1] != 0))
        stop("calloc is not zero", bytes);
    block->bytes = bytes;
    block->stamp = (unsigned char)(bytes + way);
    memset(block->start, block->stamp, bytes);
}

static void *walk_tiers(void *argument)
{
    struct block *window = argument;
    unsigned way = 0;
    for (size_t bytes = 1; bytes <= 70000; bytes += 1 + bytes / 100, way++)
        block_take(&window[way % WINDOW_BLOCKS], bytes, way);
    for (size_t bytes = 70000; bytes <= 5000000; bytes += bytes / 3, way++)
        block_take(&window[way % WINDOW_BLOCKS], bytes, way);
    for (unsigned i = 0; i < 20000; i++, way++)
        block_take(&window[way % WINDOW_BLOCKS], 1 + way * 37 % 3000, way);
    return NULL;
}

/* What each thread left is freed by this one. */
static void drop_all(void)
{
    for (unsigned i = 0; i < THREADS; i++) {
        for (unsigned k = 0; k < WINDOW_BLOCKS; k++)
            block_drop(&handed_on[i][k]);
    }
}

int main(void)
{
    pthread_t threads[THREADS];
    walk_tiers(handed_on[0]);
    drop_all();
    for (unsigned i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, walk_tiers, handed_on[i]) != 0)
            stop("no thread", 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    drop_all();
    malloc_trim(0);
    return 0;
}
