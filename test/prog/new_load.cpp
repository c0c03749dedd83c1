// Uses operator new and delete in all their forms: recorded by test_trace.sh.
//
// Each size is 333 more than a multiple of 1024, which libc and libstdc++ ask for nowhere, so that
// these calls can be told from theirs. Says nothing and ends with 0 if all is well.
#include <cstdlib>
#include <new>
#include <sys/resource.h>

namespace
{

void *spare;

void give_spare()
{
    std::set_new_handler(nullptr);
    ::operator delete(spare);
    spare = nullptr;
}

void use_forms(std::size_t bytes)
{
    const std::align_val_t wide{1024};
    ::operator delete(::operator new(bytes));
    ::operator delete(::operator new(bytes), bytes);
    ::operator delete[](::operator new[](bytes));
    ::operator delete[](::operator new[](bytes), bytes);
    ::operator delete(::operator new(bytes, std::nothrow), std::nothrow);
    ::operator delete[](::operator new[](bytes, std::nothrow), std::nothrow);
    ::operator delete(::operator new(bytes, wide), wide);
    ::operator delete[](::operator new[](bytes, wide), bytes, wide);
}

// Far more than there is. The handler is called, gives back what it holds, and then there is none.
bool throws_without_memory()
{
    spare = ::operator new(333 + 7 * 1024);
    std::set_new_handler(give_spare);
    try {
        ::operator delete(::operator new(static_cast<std::size_t>(1) << 60));
    } catch (const std::bad_alloc &) {
        return spare == nullptr;
    }
    return false;
}

void lift_limit()
{
    rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_AS, &limit);
    std::set_new_handler(nullptr);
}

// The handler makes room, and the second try succeeds; there is a limit no more.
void succeeds_at_second_try()
{
    const std::size_t large = static_cast<std::size_t>(1) << 30;
    rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = large / 2;
    setrlimit(RLIMIT_AS, &limit);
    std::set_new_handler(lift_limit);
    ::operator delete(::operator new(large + 333));
}

} // namespace

int main()
{
    for (std::size_t i = 0; i < 1000; i++)
        use_forms(333 + i % 40 * 1024);
    succeeds_at_second_try();
    return throws_without_memory() ? EXIT_SUCCESS : EXIT_FAILURE;
}
