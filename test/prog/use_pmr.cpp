// std::pmr containers on hakmem_pmr.hpp, and operator new of libhakmem-cxx.a, in a program whose malloc is
// libc's: which block is whose can be told then.
//
// Says nothing and ends with 0 if all is well, else with the number of what was not.
#include <hakmem_pmr.hpp>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <list>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace
{

void check(bool good, int number)
{
    if (!good)
        std::_Exit(number);
}

bool is_ours(const void *block)
{
    return hak_malloc_usable_size(block) != 0;
}

// Goes after main(), when other static objects are gone.
struct Late {
    std::pmr::vector<int> numbers{hakmem::resource()};
    ~Late() { check(numbers.size() == 1000 && numbers[999] == 999, 2); }
} late;

void use_alignments(std::pmr::memory_resource &resource)
{
    for (std::size_t alignment = 1; alignment <= 65536; alignment *= 2) {
        for (std::size_t bytes = 0; bytes < 3000000; bytes = bytes * 3 + 1) {
            void *block = resource.allocate(bytes, alignment);
            check(block != nullptr && (bytes == 0 || is_ours(block)), 3);
            check(hak_malloc_usable_size(block) >= bytes, 4);
            check(reinterpret_cast<std::uintptr_t>(block) % alignment == 0, 5);
            std::memset(block, 1, bytes);
            resource.deallocate(block, bytes, alignment);
        }
    }
}

bool refuses(std::size_t bytes, std::size_t alignment)
{
    try {
        hakmem::resource()->deallocate(hakmem::resource()->allocate(bytes, alignment), bytes, alignment);
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

void use_equality()
{
    const std::pmr::memory_resource &resource = *hakmem::resource();
    check(resource == *hakmem::resource() && resource.is_equal(*hakmem::resource()), 6);
    check(resource != *std::pmr::new_delete_resource(), 7);
    check(*std::pmr::null_memory_resource() != resource, 8);
}

void fill(std::pmr::map<int, std::pmr::string> &names, int count)
{
    for (int i = 0; i < count; i++)
        names.emplace(i, "a name that is too long for the small string, " + std::to_string(i));
}

// What one thread made, another frees; and pools on top of the resource.
void use_containers()
{
    std::pmr::map<int, std::pmr::string> names(hakmem::resource());
    std::thread([&] { fill(names, 5000); }).join();
    for (const auto &[key, name] : names)
        check(is_ours(name.data()) && name.get_allocator().resource() == hakmem::resource(), key < 0 ? 9 : 10);
    std::pmr::map<int, std::pmr::string> moved(std::move(names), hakmem::resource());
    check(moved.size() == 5000 && names.empty(), 11);
    std::pmr::synchronized_pool_resource pool(hakmem::resource());
    std::pmr::map<int, std::pmr::string> pooled(&pool);
    fill(pooled, 5000);
    std::pmr::monotonic_buffer_resource buffer(hakmem::resource());
    std::pmr::list<double> values(&buffer);
    for (int i = 0; i < 5000; i++)
        values.push_back(i);
    check(values.back() == 4999, 12);
}

std::size_t used_bytes()
{
    return hak_mallinfo2().uordblks;
}

} // namespace

int main()
{
    void *other = std::calloc(1, 100);
    // A hardened process ends at the question.
    check(other != nullptr && (std::getenv("HAKMEM_HARDEN") != nullptr || !is_ours(other)), 13);
    std::free(other);
    void *own = ::operator new(100);
    check(is_ours(own), 14);
    ::operator delete(own);

    use_alignments(*hakmem::resource());
    std::size_t before = used_bytes();
    for (int i = 0; i < 4; i++)
        use_alignments(*hakmem::resource());
    check(used_bytes() < before + (std::size_t(1) << 20), 15);
    check(refuses(PTRDIFF_MAX, 8) && refuses(PTRDIFF_MAX, 4096), 16);
    check(!refuses(1, 1), 17);
    use_equality();
    use_containers();
    for (int i = 0; i < 1000; i++)
        late.numbers.push_back(i);
    return 0;
}
