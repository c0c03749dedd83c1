/*
 * A freed block is made smaller.
 *
 * default: any
 * hardened: SIGABRT hakmem: realloc of a block that is already free
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);

    free(block);
    free(realloc(hide(block), size / 2));
    return flush();
}
