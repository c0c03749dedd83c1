/*
 * Bytes behind a block of whole pages are read.
 *
 * default: any
 * hardened: none
 * hardened large: SIGSEGV
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);

    return ((volatile char *)block)[size + 16] == 1;
}
