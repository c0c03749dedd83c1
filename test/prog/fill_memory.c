/*
 * fill_memory MIB [BYTES]: takes blocks, of BYTES or of many sizes, and writes to them, until there
 * are as many MiB or one is refused.
 *
 * Prints "done" or "refused", how many KiB it had, and how many the process has resident. At a
 * refusal errno must be ENOMEM, every block must have kept its contents, and, of many sizes, after
 * half of them were freed there must be room again; else it says what is wrong and ends with 1.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS_MAX 200000
#define STEP 4096

static struct {
    unsigned char *start;
    size_t bytes;
} blocks[BLOCKS_MAX];
static size_t block_count;
static size_t had_bytes;
static size_t block_bytes; /* 0: of many sizes */

static _Noreturn void stop(const char *why)
{
    fprintf(stderr, "fill_memory: %s after %zu bytes\n", why, had_bytes);
    exit(1);
}

/* Many sizes are from a few bytes to some MiB. */
static size_t size_of(size_t i)
{
    if (block_bytes != 0)
        return block_bytes;
    return ((size_t)40 + i * 2654435761u % 1000) << (i % 16 == 0 ? 11 : i % 5);
}

static unsigned char *take(size_t bytes, unsigned char stamp)
{
    errno = 0;
    unsigned char *start = malloc(bytes);
    if (start == NULL && errno != ENOMEM)
        stop("refused, but errno is not ENOMEM");
    for (size_t at = 0; start != NULL && at < bytes; at += STEP)
        start[at] = stamp;
    return start;
}

static int fill(size_t most_bytes)
{
    while (had_bytes < most_bytes && block_count < BLOCKS_MAX) {
        size_t bytes = size_of(block_count);
        unsigned char *start = take(bytes, (unsigned char)block_count);
        if (start == NULL)
            return 0;
        blocks[block_count].start = start;
        blocks[block_count++].bytes = bytes;
        had_bytes += bytes;
    }
    return 1;
}

static void check(void)
{
    for (size_t i = 0; i < block_count; i++) {
        for (size_t at = 0; blocks[i].start != NULL && at < blocks[i].bytes; at += STEP) {
            if (blocks[i].start[at] != (unsigned char)i)
                stop("contents lost");
        }
    }
}

static void free_half_and_take_again(void)
{
    size_t freed_bytes = 0;
    for (size_t i = 0; i < block_count; i += 2) {
        free(blocks[i].start);
        blocks[i].start = NULL;
        freed_bytes += blocks[i].bytes;
    }
    for (size_t i = 0; i < block_count / 4; i++) { /* of the sizes that have just become free */
        blocks[2 * i].start = take(blocks[2 * i].bytes, (unsigned char)(2 * i));
        if (blocks[2 * i].start == NULL)
            stop("no room although half was freed");
    }
    check();
}

static unsigned long resident_kib(void)
{
    unsigned long total_pages = 0;
    unsigned long pages = 0;
    char text[128];
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fgets(text, sizeof text, file) == NULL ||
        sscanf(text, "%lu %lu", &total_pages, &pages) != 2)
        stop("no /proc/self/statm");
    fclose(file);
    return pages * 4;
}

int main(int count, char **arguments)
{
    static char output[256]; /* stdout takes no block */
    size_t most_bytes = count >= 2 ? strtoul(arguments[1], NULL, 10) << 20 : 0;
    block_bytes = count >= 3 ? strtoul(arguments[2], NULL, 10) : 0;
    (void)setvbuf(stdout, output, _IOFBF, sizeof output);
    unsigned char *reserve = malloc(65536); /* for stdio */
    if (most_bytes == 0 || reserve == NULL)
        return 2;
    int done = fill(most_bytes);
    free(reserve);
    unsigned long resident = resident_kib();
    check();
    if (!done && block_bytes == 0)
        free_half_and_take_again();
    printf("%s %zu %lu\n", done ? "done" : "refused", had_bytes >> 10, resident);
    return 0;
}
