/*
 * An array is deleted as one of another type, which is smaller.
 *
 * default: none
 * hardened: SIGABRT hakmem: free with another size than the block was allocated with
 */
#include <cstdlib>
#include <new>

struct small_one {
    char bytes[100];
    ~small_one() { asm volatile("" : : "r"(this) : "memory"); }
};

struct large_one {
    char bytes[300];
    ~large_one() { asm volatile("" : : "r"(this) : "memory"); }
};

int main(int, char **argv)
{
    std::size_t size = std::strtoul(argv[1], nullptr, 10);
    void *block = new large_one[size % 97 + 1];
    asm volatile("" : "+r"(block) : : "memory");
    delete[] static_cast<small_one *>(block);
    return 0;
}
