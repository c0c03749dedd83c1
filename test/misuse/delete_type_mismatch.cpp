/*
 * An object is deleted as one of another type, which is larger.
 *
 * default: none
 * hardened: SIGABRT hakmem: free with another size than the block was allocated with
 */
#include <cstdlib>
#include <new>

struct small_one {
    char bytes[100];
};

struct large_one {
    char bytes[300];
};

int main(int, char **argv)
{
    std::size_t size = std::strtoul(argv[1], nullptr, 10);
    void *block = new small_one;
    asm volatile("" : "+r"(block) : : "memory");
    delete static_cast<large_one *>(block);
    return size == 0;
}
