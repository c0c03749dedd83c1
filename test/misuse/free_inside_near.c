/*
 * An address just behind the start of a block is freed.
 *
 * default: SIGABRT hakmem: free of a pointer inside a block
 * hardened: SIGABRT hakmem: free of a pointer inside a block
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);
    free(hide(block + 16));
    return flush();
}
