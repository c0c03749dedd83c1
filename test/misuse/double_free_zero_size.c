/*
 * A block of no bytes is freed twice.
 *
 * default: SIGABRT hakmem: free of a block that is already free
 * hardened: SIGABRT hakmem: free of a block that is already free
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    char *block = hide(malloc(size_of(argv) - size_of(argv)));
    free(block);
    free(hide(block));
    return flush();
}
