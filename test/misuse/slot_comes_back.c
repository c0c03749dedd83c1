/*
 * A freed block is handed out again within 1000 allocations: exit 1.
 *
 * default: exit 1
 * hardened: none
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);
    free(block);
    for (unsigned times = 0; times < 1000; times++) {
        char *next = block_of(size);
        if (next == block)
            return 1;
        free(next);
    }
    return flush();
}
