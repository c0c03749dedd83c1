/*
 * The address of a variable is freed.
 *
 * default: none
 * hardened: SIGABRT hakmem: free of a pointer that is no block
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    int variable = (int)size_of(argv);
    free(hide(&variable));
    return flush();
}
