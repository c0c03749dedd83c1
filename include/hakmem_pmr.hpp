/*
 * hakmem_pmr: a std::pmr::memory_resource on hakmem.
 *
 * Purpose   containers of std::pmr on the hak_ names, whatever the program's malloc is:
 *           std::pmr::vector<int> numbers(hakmem::resource());
 * Threads   as hakmem.h: the one resource may be used by any thread at any time.
 * Errors    allocate() throws std::bad_alloc.
 */
#ifndef HAKMEM_PMR_HPP
#define HAKMEM_PMR_HPP

#include <cstddef>
#include <memory_resource>
#include <new>

#include "hakmem.h"

namespace hakmem {

class memory_resource final : public std::pmr::memory_resource {
    memory_resource() = default;
    friend std::pmr::memory_resource *resource() noexcept;

    void *do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        // Every block is aligned to 16 bytes.
        void *block = alignment <= 16 ? hak_malloc(bytes) : hak_memalign(alignment, bytes);
        if (block == nullptr) {
            throw std::bad_alloc();
        }
        return block;
    }

    void do_deallocate(void *block, std::size_t bytes, std::size_t alignment) override
    {
        if (alignment <= 16) {
            hak_free_sized(block, bytes);
        } else {
            hak_free_aligned_sized(block, alignment, bytes);
        }
    }

    // There is one; so this needs no type information (-fno-rtti).
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
        return this == &other;
    }
};

// The one resource; it is never destroyed, so that static objects may use it until the end.
inline std::pmr::memory_resource *resource() noexcept
{
    alignas(memory_resource) static unsigned char room[sizeof(memory_resource)];
    static std::pmr::memory_resource *const the_resource = ::new (room) memory_resource;
    return the_resource;
}

} // namespace hakmem

#endif
