/*
 * An address in the program is freed.
 *
 * default: none
 * hardened: SIGABRT hakmem: free of a pointer that is no block
 */
#include "misuse.h"

static _Alignas(16) char bytes[128];

int main(int argc, char **argv)
{
    (void)argc;
    free(hide(bytes + 32 + size_of(argv) % 2));
    return flush();
}
