/*
 * One byte is written behind an aligned block.
 *
 * default: none
 * hardened: SIGABRT hakmem: write past the end of a block
 * hardened whole: SIGSEGV
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    void *block;
    if (posix_memalign(&block, 256, size) != 0)
        return 99;
    hide(block)[size] = 'x';
    free(block);
    return flush();
}
