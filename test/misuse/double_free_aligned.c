/*
 * An aligned block is freed twice.
 *
 * default: SIGABRT hakmem: free of a block that is already free
 * hardened: SIGABRT hakmem: free of a block that is already free
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    void *block;
    if (posix_memalign(&block, 256, size_of(argv)) != 0)
        return 99;
    free(block);
    free(hide(block));
    return flush();
}
