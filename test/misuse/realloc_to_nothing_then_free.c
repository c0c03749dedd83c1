/*
 * A block is freed that realloc has made into one of no bytes.
 *
 * default: any
 * hardened: SIGABRT hakmem: free of a block that is already free
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);

    hide(realloc(block, 0));
    free(hide(block));
    return flush();
}
