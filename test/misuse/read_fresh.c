/*
 * A new block is read where another was: exit 1 if there is anything but zero.
 *
 * default: exit 1
 * hardened: none
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    for (unsigned times = 0; times < 5000; times++) {
        char *block = hide(malloc(size));
        if (block[0] != 0 || memcmp(block, block + 1, size - 1) != 0)
            return 1;
        memset(block, 'b', size);
        free(block);
    }
    return flush();
}
