// Uses every form of operator new and delete on the malloc that it was started on.
//
// Says nothing and ends with 0 if all is well, else with the number of what was not.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <thread>
#include <vector>

namespace
{

struct alignas(256) Wide {
    char bytes[512];
};

int handler_calls;

void give_up_at_third_call()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

void check(bool good, int number)
{
    if (!good)
        std::_Exit(number);
}

void *write_to(void *block, std::size_t bytes, std::size_t alignment)
{
    check(block != nullptr, 2);
    check(reinterpret_cast<std::uintptr_t>(block) % alignment == 0, 3);
    std::memset(block, 1, bytes);
    return block;
}

void use_forms(std::size_t bytes)
{
    const std::align_val_t wide{1024};
    ::operator delete(write_to(::operator new(bytes), bytes, 16));
    ::operator delete(write_to(::operator new(bytes), bytes, 16), bytes);
    ::operator delete[](write_to(::operator new[](bytes), bytes, 16));
    ::operator delete[](write_to(::operator new[](bytes), bytes, 16), bytes);
    ::operator delete(write_to(::operator new(bytes, std::nothrow), bytes, 16), std::nothrow);
    ::operator delete[](write_to(::operator new[](bytes, std::nothrow), bytes, 16), std::nothrow);
    ::operator delete(write_to(::operator new(bytes, wide), bytes, 1024), wide);
    ::operator delete(write_to(::operator new(bytes, wide), bytes, 1024), bytes, wide);
    ::operator delete[](write_to(::operator new[](bytes, wide), bytes, 1024), wide);
    ::operator delete[](write_to(::operator new[](bytes, wide), bytes, 1024), bytes, wide);
    ::operator delete(write_to(::operator new(bytes, wide, std::nothrow), bytes, 1024), wide,
                      std::nothrow);
    ::operator delete[](write_to(::operator new[](bytes, wide, std::nothrow), bytes, 1024), wide,
                        std::nothrow);
}

template <typename Allocate> bool throws_bad_alloc(Allocate allocate)
{
    try {
        ::operator delete(allocate());
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

void use_absurd_sizes()
{
    volatile std::size_t absurd = PTRDIFF_MAX;
    const std::align_val_t wide{4096};
    check(throws_bad_alloc([&] { return ::operator new(absurd); }), 10);
    check(throws_bad_alloc([&] { return ::operator new[](absurd); }), 11);
    check(throws_bad_alloc([&] { return ::operator new(absurd, wide); }), 12);
    check(throws_bad_alloc([&] { return ::operator new[](absurd, wide); }), 13);
    check(::operator new(absurd, std::nothrow) == nullptr, 14);
    check(::operator new[](absurd, std::nothrow) == nullptr, 15);
    check(::operator new(absurd, wide, std::nothrow) == nullptr, 16);
    check(::operator new[](absurd, wide, std::nothrow) == nullptr, 17);
    std::set_new_handler(give_up_at_third_call);
    check(throws_bad_alloc([&] { return ::operator new(absurd); }), 18);
    check(handler_calls == 3, 19);
}

// The nothrow forms ask the new-handler, too, and answer nullptr when it throws.
void use_throwing_handler()
{
    volatile std::size_t absurd = PTRDIFF_MAX;
    const std::align_val_t wide{4096};
    handler_calls = 0;
    std::set_new_handler([] {
        ++handler_calls;
        throw std::bad_alloc();
    });
    check(::operator new(absurd, std::nothrow) == nullptr, 30);
    check(::operator new[](absurd, std::nothrow) == nullptr, 31);
    check(::operator new(absurd, wide, std::nothrow) == nullptr, 32);
    check(::operator new[](absurd, wide, std::nothrow) == nullptr, 33);
    check(throws_bad_alloc([&] { return ::operator new[](absurd, wide); }), 34);
    check(handler_calls == 5, 35);
    std::set_new_handler(nullptr);
    volatile std::size_t absurd_alignment = std::size_t(1) << 62;
    check(::operator new(16, std::align_val_t{absurd_alignment}, std::nothrow) == nullptr, 36);
}

void *reserve;

void give_reserve()
{
    ::operator delete(reserve);
    reserve = nullptr;
    std::set_new_handler(nullptr);
}

// Under HAKMEM_LIMIT=64M: two such blocks are too much, and a handler that frees one makes room.
void use_handler_that_makes_room()
{
    const std::size_t most = std::size_t(40) << 20;
    const std::align_val_t wide{4096};
    if (std::getenv("HAKMEM_LIMIT") == nullptr)
        return;
    for (bool aligned : {false, true}) {
        reserve = ::operator new(most);
        std::set_new_handler(give_reserve);
        void *block = aligned ? ::operator new(most, wide) : ::operator new(most);
        check(block != nullptr && reserve == nullptr, 40);
        aligned ? ::operator delete(block, wide) : ::operator delete(block);
    }
}

void use_containers()
{
    std::vector<std::string> words;
    for (int i = 0; i < 20000; i++)
        words.push_back(std::string(static_cast<std::size_t>(i % 200), 'x') + std::to_string(i));
    for (int i = 0; i < 20000; i++)
        check(words[static_cast<std::size_t>(i)].size() >= static_cast<std::size_t>(i % 200), 20);
    delete[] new Wide[7];
    delete new Wide;
}

} // namespace

int main()
{
    for (std::size_t bytes = 1; bytes < 3000000; bytes = bytes * 3 + 1)
        use_forms(bytes);
    ::operator delete(::operator new(0));
    ::operator delete(nullptr);
    ::operator delete[](nullptr);
    use_absurd_sizes();
    use_throwing_handler();
    use_handler_that_makes_room();
    std::thread(use_containers).join();
    use_containers();
    return 0;
}
