/*
 * A freed block is written to, and others come and go.
 *
 * default: none
 * hardened: SIGABRT hakmem: write to a block after it was freed
 * hardened large: SIGSEGV
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);
    free(block);
    hide(block)[size / 2] = 'x';
    go_on(size, 10000);
    return flush();
}
