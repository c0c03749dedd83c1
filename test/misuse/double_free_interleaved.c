/*
 * A block is freed twice, with the free of another one between.
 *
 * default: SIGABRT hakmem: free of a block that is already free
 * hardened: SIGABRT hakmem: free of a block that is already free
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);
    char *other = block_of(size);
    free(block);
    free(other);
    free(hide(block));
    return flush();
}
