/*
 * A freed block is written to, and the program ends by quick_exit.
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
    hide(block)[size / 3] = 'x';
    quick_exit(0);
}
