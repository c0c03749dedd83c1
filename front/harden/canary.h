/*
 * canary: bytes that nobody but the allocator writes, and zeros that nobody writes.
 *
 * Purpose   what lies between the bytes that were asked for and the end of the slot holds a pattern
 *           that depends on a secret of the process and on the place.
 * Values    each byte is one of 16, with the bits 1??10??1: never zero, ASCII, 0xff, or one of the
 *           patterns that people write (0xaa, 0xcc, 0xdd, 0x99, 0xde 0xad, ...), so that an
 *           overflow by one such byte is always seen.
 * Threads   pure, but for the secret, which is set once at start.
 */
#ifndef HAK_CANARY_H
#define HAK_CANARY_H

#include <string.h>

#include "hak_base.h"

extern HAK_HIDDEN uint64_t hak_canary_secret; /* [const after init] */

/* The eight bytes that repeat in the place that starts at an address. */
static inline uint64_t hak_canary_of(const void *start)
{
    uint64_t mixed = ((uintptr_t)start ^ hak_canary_secret) * 0x9e3779b97f4a7c15;
    mixed ^= mixed >> 32;
    return (mixed & 0x6666666666666666) | 0x9191919191919191;
}

/* Of the word at an address, the bytes from there to the word's end. */
static inline uint64_t hak_canary_mask(const char *at)
{
    return ~(uint64_t)0 << (uintptr_t)at % 8 * 8;
}

/* Fills the bytes from `from` up to `to`, which is a multiple of 8. */
static inline void hak_canary_fill(char *from, const char *to, uint64_t canary)
{
    uint64_t mask = hak_canary_mask(from);
    from -= (uintptr_t)from % 8;
    for (; from < to; from += 8, mask = ~(uint64_t)0) {
        uint64_t word;
        memcpy(&word, from, 8);
        word = (word & ~mask) | (canary & mask);
        memcpy(from, &word, 8);
    }
}

/* Whether these bytes are as they were filled. */
static inline bool hak_canary_holds(const char *from, const char *to, uint64_t canary)
{
    uint64_t mask = hak_canary_mask(from);
    uint64_t changed = 0;
    from -= (uintptr_t)from % 8;
    for (; from < to; from += 8, mask = ~(uint64_t)0) {
        uint64_t word;
        memcpy(&word, from, 8);
        changed |= (word ^ canary) & mask;
    }
    return changed == 0;
}

/* The same for the last `bytes` before `to`, to 8, without a branch. What stands before them may be
 * somebody's, who writes there just now: read with them is what stands behind `to`, if `beyond`
 * says that it may be. */
static inline bool hak_canary_holds_last(const char *to, size_t bytes, uint64_t canary, bool beyond)
{
    uint64_t word;
    size_t count = bytes < 8 ? bytes : 8;
    if (!beyond) {
        return hak_canary_holds(to - count, to, canary);
    }
    size_t half = 32 - 4 * count; /* of the bits that are not looked at, which may be all */
    memcpy(&word, to - count, 8);
    word ^= canary >> half >> half;
    return word << half << half == 0;
}

/* 16 bytes that are looked at, or cleared, at once; a turn of a loop does several. */
typedef uint64_t hak_canary_lane __attribute__((vector_size(16), may_alias));
#define HAK_CANARY_LANES ((size_t)4)

/* From a multiple of 16 on. Looks at all without a branch: they are zero, but for the last time.
 * Whole turns: the last one looks at some lanes again, so how many there are costs one guess. */
static inline bool hak_canary_is_zero(const char *start, size_t bytes)
{
    const hak_canary_lane *at = (const void *)start;
    const hak_canary_lane *end = at + bytes / sizeof *at;
    hak_canary_lane even = {0, 0}, odd = {0, 0};
    if (HAK_LIKELY((size_t)(end - at) >= HAK_CANARY_LANES)) {
        const hak_canary_lane *last = end - HAK_CANARY_LANES;
        for (; at < last; at += HAK_CANARY_LANES) {
            even |= at[0];
            odd |= at[1];
            even |= at[2];
            odd |= at[3];
        }
        even |= last[0];
        odd |= last[1];
        even |= last[2];
        odd |= last[3];
        at = end;
    }
    for (; at != end; at++) {
        even |= at[0];
    }
    even |= odd;
    uint64_t any = even[0] | even[1];
    for (const char *last = (const char *)end; last != start + bytes; last++) {
        any |= (unsigned char)*last;
    }
    return any == 0;
}

/* Clears a multiple of 16 bytes from another one on, by whole turns as above. Not by memset: a
 * compiler that knows how many there are at most takes a string instruction, which is slow to
 * start. */
static inline void hak_canary_clear(char *start, size_t bytes)
{
    hak_canary_lane *at = (void *)start;
    hak_canary_lane *end = at + bytes / sizeof *at;
    const hak_canary_lane zero = {0, 0};
    if (HAK_LIKELY((size_t)(end - at) >= HAK_CANARY_LANES)) {
        hak_canary_lane *last = end - HAK_CANARY_LANES;
        for (; at < last; at += HAK_CANARY_LANES) {
            at[0] = at[1] = at[2] = at[3] = zero;
        }
        last[0] = last[1] = last[2] = last[3] = zero;
        return;
    }
    for (; at != end; at++) {
        at[0] = zero;
    }
}

/* ---- the same in the last 16 bytes of a slot, without a branch ---- */

#define HAK_CANARY_NEAR ((size_t)16)

struct hak_canary_words {
    uint64_t word[2];
};

/* The canary in the last `bytes` of 16, zero before them. */
static inline struct hak_canary_words hak_canary_near(size_t bytes, uint64_t canary)
{
    static const uint64_t ends[4] = {0, 0, ~(uint64_t)0, ~(uint64_t)0};
    struct hak_canary_words near;
    memcpy(&near, (const char *)ends + bytes, sizeof near);
    near.word[0] &= canary;
    near.word[1] &= canary;
    return near;
}

/* Whether the last `bytes` before `end` are the canary; with `zero`, and those before them zero. */
static inline bool hak_canary_near_holds(const char *end, size_t bytes, uint64_t canary, bool zero)
{
    struct hak_canary_words is;
    struct hak_canary_words mask = hak_canary_near(zero ? HAK_CANARY_NEAR : bytes, ~(uint64_t)0);
    struct hak_canary_words want = hak_canary_near(bytes, canary);
    memcpy(&is, end - sizeof is, sizeof is);
    return (((is.word[0] & mask.word[0]) ^ want.word[0]) |
            ((is.word[1] & mask.word[1]) ^ want.word[1])) == 0;
}

static inline void hak_canary_near_fill(char *end, size_t bytes, uint64_t canary)
{
    struct hak_canary_words near = hak_canary_near(bytes, canary);
    memcpy(end - sizeof near, &near, sizeof near);
}

#endif
