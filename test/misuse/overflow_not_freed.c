/*
 * One byte is written behind a block that is never freed.
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
    char *block = block_of(size);
    block[size] = 'x';
    return flush();
}
