/*
 * The size of a block is asked for by an address inside of it.
 *
 * default: any
 * hardened: SIGABRT hakmem: malloc_usable_size of a pointer inside a block
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);

    malloc_usable_size(hide(block + 16));
    return 0;
}
