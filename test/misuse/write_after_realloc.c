/*
 * A block is written to where it was before realloc moved it.
 *
 * default: any
 * hardened: SIGABRT hakmem: write to a block after it was freed
 * hardened large: SIGSEGV
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);

    char *moved = hide(realloc(block, 20 * size));
    if (moved == block)
        return 99;
    hide(block)[1] = 'x';
    free(moved);
    return flush();
}
