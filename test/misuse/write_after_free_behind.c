/*
 * Behind the bytes of a freed block something is written.
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
    hide(block)[size] = 'x';
    return flush();
}
