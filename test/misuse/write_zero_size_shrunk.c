/*
 * A block is made as small as can be, and written to.
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

    block = hide(realloc(block, 0));
    if (block == NULL)
        return 99;
    *block = 'x';
    free(block);
    return flush();
}
