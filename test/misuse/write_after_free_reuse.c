/*
 * A freed block is written to; then blocks are allocated, none is freed.
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
    hide(block)[size - 1] = 'x';
    for (unsigned times = 0; times < 5000; times++)
        hide(malloc(size));
    _Exit(0);
}
