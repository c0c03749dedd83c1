/*
 * hak_base: the few words that every layer shares.
 *
 * Purpose   compiler hints, checks that stay in release builds, arithmetic on powers of two.
 * Threads   everything here is pure, except hak_fatal(), which any thread may call.
 */
#ifndef HAK_BASE_H
#define HAK_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HAK_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define HAK_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* The bytes before `at`, to HAK_CALL_BYTES, end with a call: of a fixed place, or through a
 * register or memory. Where instructions have one length there is nothing to find out. */
#define HAK_CALL_BYTES 8
#if defined(__x86_64__)
#define HAK_ENDS_CALL(at)                                                                          \
    ((at)[-5] == 0xe8 || ((at)[-2] == 0xff && ((at)[-1] & 0x38) == 0x10) ||                        \
     ((at)[-3] == 0xff && ((at)[-2] & 0x38) == 0x10) ||                                            \
     ((at)[-4] == 0xff && ((at)[-3] & 0x38) == 0x10) ||                                            \
     ((at)[-6] == 0xff && ((at)[-5] & 0x38) == 0x10) ||                                            \
     ((at)[-7] == 0xff && ((at)[-6] & 0x38) == 0x10))
#else
#define HAK_ENDS_CALL(at) ((void)(at), true)
#endif

/* The frame pointer, by the numbers of the psABI's DWARF part. */
#if defined(__x86_64__)
#define HAK_FRAME_REGISTER 6
#elif defined(__aarch64__)
#define HAK_FRAME_REGISTER 29
#endif

/* Keeps a value where the function returns it, or gcc 12 moves it there in the end. */
#if defined(__x86_64__)
#define HAK_TO_RETURN(value) __asm__("" : "+a"(value))
#else
#define HAK_TO_RETURN(value) ((void)(value))
#endif

/* Writes what stands there, in one instruction: where the kernel has mapped nothing yet, it gives
 * memory, and not first its page of zeros. Nobody else writes there. */
#if defined(__x86_64__)
#define HAK_REWRITE(word) __asm__ volatile("orq $0, %0" : "+m"(word))
#else
#define HAK_REWRITE(word) ((void)(word))
#endif

#define HAK_NOINLINE __attribute__((noinline))
#define HAK_INLINED inline __attribute__((always_inline))
#define HAK_COLD __attribute__((cold, noinline))
#define HAK_HIDDEN __attribute__((visibility("hidden")))

/* The unit that two cores do not want to share. */
#define HAK_CACHE_LINE 64
#define HAK_CACHE_ALIGNED _Alignas(HAK_CACHE_LINE)

#define HAK_KIB ((size_t)1024)
#define HAK_MIB (HAK_KIB * 1024)
#define HAK_GIB (HAK_MIB * 1024)

/* Writes `message` and a newline to standard error in one call, then aborts. Allocates nothing. */
_Noreturn void hak_fatal(const char *message);

/* A check that stays in release builds; for slow paths only. */
#define HAK_CHECK(condition, message) (HAK_LIKELY(condition) ? (void)0 : hak_fatal(message))

#ifdef HAK_DEBUG
#define HAK_ASSERT(condition) HAK_CHECK(condition, "hakmem: assertion failed: " #condition)
#else
#define HAK_ASSERT(condition) ((void)sizeof(condition))
#endif

/* How many bits are set. In line: without -mpopcnt the builtin is a call into libgcc. The sums of
 * pairs, nibbles and bytes (Warren, Hacker's Delight, 5-1). */
static inline uint32_t hak_popcount(uint64_t bits)
{
    bits -= bits >> 1 & 0x5555555555555555;
    bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
    bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return (uint32_t)(bits * 0x0101010101010101 >> 56);
}

/* `alignment` is a power of two here and below. The sum must not overflow. */
static inline size_t hak_align_up(size_t value, size_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

static inline size_t hak_align_down(size_t value, size_t alignment)
{
    return value & ~(alignment - 1);
}

static inline bool hak_is_power_of_two(size_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static inline size_t hak_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t hak_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The smallest power of two that is not below `value`, for 1 <= value <= 2^63. */
static inline size_t hak_power_of_two_up(size_t value)
{
    return value <= 1 ? 1 : (size_t)1 << (64 - __builtin_clzll(value - 1));
}

#endif
