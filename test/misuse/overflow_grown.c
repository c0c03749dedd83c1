/*
 * One byte is written behind a block that was made larger.
 *
 * default: none
 * hardened: SIGABRT hakmem: write past the end of a block
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);

    block = hide(realloc(block, size + 3));
    block[size + 3] = '\xdd';
    free(block);
    return flush();
}
