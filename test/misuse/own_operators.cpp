/*
 * Nothing wrong: the program has some operators of its own, whose blocks are larger than asked for.
 *
 * default: none
 * hardened: none
 */
#include <cstdlib>
#include <new>
#include <string>

#pragma GCC diagnostic ignored "-Wsized-deallocation" /* those with a size are missing */

static const std::size_t offset = 64;

void *operator new[](std::size_t size)
{
    return static_cast<char *>(std::malloc(size + offset)) + offset;
}

void operator delete[](void *block) noexcept
{
    if (block != nullptr)
        std::free(static_cast<char *>(block) - offset);
}

void *operator new(std::size_t size, std::align_val_t alignment)
{
    return std::aligned_alloc(std::size_t(alignment), 2 * size);
}

struct alignas(64) wide {
    char bytes[128];
    std::string word;
};

int main(int, char **argv)
{
    std::size_t size = std::strtoul(argv[1], nullptr, 10);
    for (int i = 0; i < 100; i++) {
        delete[] new std::string[7];
        delete[] new char[size];
        ::operator delete[](::operator new[](size), size);
        delete new wide;
        delete[] new wide[3];
        delete new std::string(size, 'x');
    }
    return 0;
}
