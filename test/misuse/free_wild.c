/*
 * An address of the heap where nothing was ever allocated is freed.
 *
 * default: any
 * hardened: SIGABRT hakmem: free of a pointer that is no block
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);
    free(hide(block + ((size_t)1 << 30)));
    return flush();
}
