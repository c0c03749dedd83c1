/*
 * A small number is freed, as of a variable that was never set.
 *
 * default: none
 * hardened: SIGABRT hakmem: free of a pointer that is no block
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    free(hide((void *)(size_of(argv) % 7 + 1)));
    return flush();
}
