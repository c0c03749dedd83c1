/*
 * Something is written to an aligned block of no bytes.
 *
 * default: none
 * hardened: SIGSEGV
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    void *block;
    if (posix_memalign(&block, 64, 0 * size_of(argv)) != 0)
        return 99;
    *hide(block) = 'x';
    free(block);
    return flush();
}
