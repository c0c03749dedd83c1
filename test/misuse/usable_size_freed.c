/*
 * The size of a freed block is asked for.
 *
 * default: any
 * hardened: SIGABRT hakmem: malloc_usable_size of a block that is already free
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);
    free(block);
    malloc_usable_size(hide(block));
    return flush();
}
