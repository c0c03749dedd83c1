/*
 * Memory that the kernel gave is freed.
 *
 * default: none
 * hardened: SIGABRT hakmem: free of a pointer that is no block
 */
#include <sys/mman.h>

#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    char *pages =
        mmap(NULL, size_of(argv), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    free(hide(pages));
    return flush();
}
