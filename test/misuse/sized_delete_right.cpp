/*
 * Nothing wrong: blocks are deleted with the sizes that they have.
 *
 * default: none
 * hardened: none
 */
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

struct alignas(64) wide {
    char bytes[100];
};

int main(int, char **argv)
{
    std::size_t size = std::strtoul(argv[1], nullptr, 10);
    for (int i = 0; i < 100; i++) {
        const std::align_val_t to{64};
        ::operator delete(::operator new(size), size);
        ::operator delete[](::operator new[](size), size);
        ::operator delete(::operator new(size, to), size, to);
        ::operator delete[](::operator new[](size, to), size, to);
        ::operator delete[](::operator new[](size, to, std::nothrow), size, to);
        delete[] new std::string[5];
        delete new wide;
        delete[] new wide[3];
        delete[] new char[0];
        std::vector<std::string> words(std::size_t(i), std::string(size, 'x'));
        std::shared_ptr<wide> shared = std::make_shared<wide>();
    }
    return 0;
}
