/*
 * One byte is written behind a block where no other one was yet; then the places there are handed
 * out. A new block would not be zero.
 *
 * default: none
 * hardened: SIGABRT hakmem: write to a block after it was freed | SIGSEGV
 * hardened large: SIGSEGV
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);

    block[size + 700] = 'x';
    for (int i = 0; i < 1100; i++)
        hide(malloc(size));
    _Exit(flush());
}
