/*
 * An aligned array is deleted with another size than it has.
 *
 * default: none
 * hardened: SIGABRT hakmem: free with another size than the block was allocated with
 */
#include <cstdlib>
#include <new>

int main(int, char **argv)
{
    std::size_t size = std::strtoul(argv[1], nullptr, 10);
    void *block = ::operator new[](size, std::align_val_t(256));
    asm volatile("" : "+r"(block) : : "memory");
    ::operator delete[](block, size - 16, std::align_val_t(256));
    return 0;
}
