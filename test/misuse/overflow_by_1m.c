/*
 * A megabyte is written behind a block.
 *
 * default: any
 * hardened: SIGSEGV
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);
    memset(block + size, 'x', (size_t)1 << 20);
    free(block);
    return flush();
}
