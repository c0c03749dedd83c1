// A program that replaces just the two basic operators, with blocks that no malloc would take back,
// and that counts on a new-handler's exception to end in nullptr under nothrow.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <vector>

namespace {
std::size_t live;
constexpr std::size_t offset = 32;

void refuse()
{
    throw std::bad_alloc();
}
} // namespace

void *operator new(std::size_t size)
{
    if (size > PTRDIFF_MAX) {
        std::get_new_handler()();
    }
    char *block = static_cast<char *>(std::malloc(size + offset));
    ++live;
    return block + offset;
}

void operator delete(void *block) noexcept
{
    if (block != nullptr) {
        --live;
        std::free(static_cast<char *>(block) - offset);
    }
}

int main()
{
    {
        std::vector<int *> blocks;
        for (int i = 0; i < 1000; i++) {
            blocks.push_back(new int(i));
        }
        for (int *block : blocks) {
            delete block;
        }
        delete[] new long[100];
        delete new (std::nothrow) double;
    }
    std::set_new_handler(refuse);
    volatile std::size_t absurd = SIZE_MAX - 100;
    char *none = new (std::nothrow) char[absurd];
    if (live != 0 || none != nullptr) {
        std::printf("live %zu, none %p\n", live, static_cast<void *>(none));
        return 1;
    }
    return 0;
}
