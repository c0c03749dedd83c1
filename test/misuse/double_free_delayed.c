/*
 * A block is freed again after many others have come and gone.
 *
 * default: SIGABRT hakmem: free of a block that is already free
 * hardened: SIGABRT hakmem: free of a block that is already free
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);
    char *keeper = block_of(size);
    free(block);
    go_on(size, 500);
    free(hide(block));
    free(keeper);
    return flush();
}
