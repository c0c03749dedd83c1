/*
 * The size behind a small number is asked for.
 *
 * default: none
 * hardened: SIGABRT hakmem: malloc_usable_size of a pointer that is no block
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    malloc_usable_size(hide((void *)(size_of(argv) % 2 + 1)));
    return 0;
}
