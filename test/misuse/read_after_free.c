/*
 * A freed block is read: exit 1 if there is anything but zero.
 *
 * default: exit 1
 * hardened: none
 * hardened large: SIGSEGV
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);
    free(block);
    for (size_t i = 0; i < size; i++)
        if (hide(block)[i] != 0)
            return 1;
    return flush();
}
