/*
 * A block is freed with another size than it has.
 *
 * default: none
 * hardened: SIGABRT hakmem: free with another size than the block was allocated with
 */
#include "misuse.h"

void free_sized(void *block, size_t size) __attribute__((weak));

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);
    free_sized(block, size + 1);
    return flush();
}
