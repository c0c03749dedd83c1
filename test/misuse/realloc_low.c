/*
 * A small number is made larger.
 *
 * default: any
 * hardened: SIGABRT hakmem: realloc of a pointer that is no block
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    free(realloc(hide((void *)1), size_of(argv)));
    return flush();
}
