/*
 * operators: the 20 replaceable forms of C++ operator new and delete, over the hak_ names.
 *
 * Purpose   optional: libstdc++'s own forms come down to malloc and free, and would serve. A program
 *           that links libhakmem-cxx.a has all of them here, whatever its malloc is.
 * Errors    as the C++ standard has it: the throwing forms call the new-handler and try again as
 *           long as there is one, then throw std::bad_alloc; nothrow forms return nullptr.
 */
#include "hakmem.h"

#include <new>

namespace {

constexpr std::size_t plain = 16; // every block is aligned to that

void *allocate(std::size_t size, std::size_t alignment)
{
    for (;;) {
        void *block = alignment <= plain ? hak_malloc(size) : hak_memalign(alignment, size);
        if (block != nullptr) {
            return block;
        }
        std::new_handler handler = std::get_new_handler();
        if (handler == nullptr) {
            throw std::bad_alloc();
        }
        handler();
    }
}

void *allocate_nothrow(std::size_t size, std::size_t alignment) noexcept
{
    try {
        return allocate(size, alignment);
    } catch (...) {
        return nullptr;
    }
}

using alignment_t = std::align_val_t;
using nothrow_t = const std::nothrow_t &;

} // namespace

// clang-format off
void *operator new(std::size_t n) { return allocate(n, plain); }
void *operator new[](std::size_t n) { return allocate(n, plain); }
void *operator new(std::size_t n, nothrow_t) noexcept { return allocate_nothrow(n, plain); }
void *operator new[](std::size_t n, nothrow_t) noexcept { return allocate_nothrow(n, plain); }
void *operator new(std::size_t n, alignment_t to) { return allocate(n, std::size_t(to)); }
void *operator new[](std::size_t n, alignment_t to) { return allocate(n, std::size_t(to)); }
void *operator new(std::size_t n, alignment_t to, nothrow_t) noexcept { return allocate_nothrow(n, std::size_t(to)); }
void *operator new[](std::size_t n, alignment_t to, nothrow_t) noexcept { return allocate_nothrow(n, std::size_t(to)); }

void operator delete(void *p) noexcept { hak_free(p); }
void operator delete[](void *p) noexcept { hak_free(p); }
void operator delete(void *p, std::size_t n) noexcept { hak_free_sized(p, n); }
void operator delete[](void *p, std::size_t n) noexcept { hak_free_sized(p, n); }
void operator delete(void *p, nothrow_t) noexcept { hak_free(p); }
void operator delete[](void *p, nothrow_t) noexcept { hak_free(p); }
void operator delete(void *p, alignment_t) noexcept { hak_free(p); }
void operator delete[](void *p, alignment_t) noexcept { hak_free(p); }
void operator delete(void *p, std::size_t n, alignment_t to) noexcept { hak_free_aligned_sized(p, std::size_t(to), n); }
void operator delete[](void *p, std::size_t n, alignment_t to) noexcept { hak_free_aligned_sized(p, std::size_t(to), n); }
void operator delete(void *p, alignment_t, nothrow_t) noexcept { hak_free(p); }
void operator delete[](void *p, alignment_t, nothrow_t) noexcept { hak_free(p); }
// clang-format on
