/*
 * Nothing wrong: blocks of every kind come and go.
 *
 * default: none
 * hardened: none
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *blocks[200];
    for (unsigned i = 0; i < 2000; i++) {
        char *block = hide(i % 3 == 0 ? calloc(1, size + i) : block_of(size + i));
        if (i >= 200)
            free(hide(blocks[i % 200]));
        blocks[i % 200] = hide(realloc(block, size + 2 * i));
        memset(blocks[i % 200], 'x', size + 2 * i);
    }
    return flush();
}
