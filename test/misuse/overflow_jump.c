/*
 * One byte is written some bytes behind a block, not next to it.
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
    block[size + 4] = 'x';
    free(block);
    return flush();
}
