/*
 * An array is deleted with another size than it has.
 *
 * default: none
 * hardened: SIGABRT hakmem: free with another size than the block was allocated with
 */
#include <cstdlib>
#include <new>

int main(int, char **argv)
{
    std::size_t size = std::strtoul(argv[1], nullptr, 10);
    void *block = ::operator new[](size);
    asm volatile("" : "+r"(block) : : "memory");
    ::operator delete[](block, size + 8);
    return 0;
}
