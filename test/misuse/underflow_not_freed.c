/*
 * Something is written in front of a block that is never freed.
 *
 * default: any
 * hardened: SIGABRT hakmem: write before the start of a block
 * hardened whole: SIGSEGV
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);

    block[-4] = 'x';
    return flush();
}
