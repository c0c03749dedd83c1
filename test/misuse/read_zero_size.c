/*
 * A block of no bytes is read.
 *
 * default: none
 * hardened: SIGSEGV
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    char *block = hide(malloc(size_of(argv) - size_of(argv)));
    return *(volatile char *)block == 1;
}
