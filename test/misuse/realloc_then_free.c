/*
 * A block that realloc has moved is freed.
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
    char *keeper = block_of(size);
    char *moved = hide(realloc(block, 20 * size));
    if (moved != block)
        free(hide(block));
    free(keeper);
    return flush();
}
