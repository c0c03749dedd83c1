/*
 * An address inside a block is made larger.
 *
 * default: any
 * hardened: SIGABRT hakmem: realloc of a pointer inside a block
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);
    free(realloc(hide(block + 16), 4 * size));
    return flush();
}
