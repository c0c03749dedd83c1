/*
 * An array is deleted as if it were one object.
 *
 * default: none
 * hardened: SIGABRT hakmem: free with another size than the block was allocated with
 */
#include <cstdlib>
#include <new>

int main(int, char **argv)
{
    std::size_t size = std::strtoul(argv[1], nullptr, 10);
    void *block = new long[size];
    asm volatile("" : "+r"(block) : : "memory");
    delete static_cast<long *>(block);
    return 0;
}
