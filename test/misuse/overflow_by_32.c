/*
 * 32 bytes are written behind a block.
 *
 * default: none
 * hardened: SIGABRT hakmem: write past the end of a block
 * hardened large: SIGSEGV
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);
    memset(block + size, 'x', 32);
    free(block);
    return flush();
}
