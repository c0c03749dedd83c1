/*
 * An aligned block is freed with another size than it has.
 *
 * default: none
 * hardened: SIGABRT hakmem: free with another size than the block was allocated with
 */
#include "misuse.h"

void free_aligned_sized(void *block, size_t alignment, size_t size) __attribute__((weak));

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = (size_of(argv) + 63) / 64 * 64;
    char *block = hide(aligned_alloc(64, size));
    free_aligned_sized(block, 64, size - 1);
    return flush();
}
