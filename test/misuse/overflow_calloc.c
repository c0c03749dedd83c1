/*
 * Eight bytes are written behind a cleared block.
 *
 * default: none
 * hardened: SIGABRT hakmem: write past the end of a block
 * hardened large: SIGSEGV
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = hide(calloc(size, 1));
    memset(block + size, 0, 8);
    free(block);
    return flush();
}
