/*
 * A freed block is written to, and nothing happens after that.
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
    hide(block)[0] = 'x';
    return flush();
}
