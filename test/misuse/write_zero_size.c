/*
 * Something is written to a block of no bytes.
 *
 * default: none
 * hardened: SIGSEGV
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    char *block = hide(calloc(0, size_of(argv)));
    *block = 'x';
    free(block);
    return flush();
}
