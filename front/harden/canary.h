/*
 * canary: bytes that nobody but the allocator writes, and zeros that nobody writes.
 *
 * Purpose   what lies between the bytes that were asked for and the end of the slot holds a pattern
 *           that depends on a secret of the process and on the place.
 * Values    each byte is one of 16, with the bits 1?01???1: never zero, ASCII, 0xff, or one of the
 *           patterns that people write (0xaa, 0xcc, 0xde 0xad, ...), so that an overflow by one
 *           such byte is always seen.
 * Threads   pure, but for the secret, which is set once at start.
 */
#ifndef HAK_CANARY_H
#define HAK_CANARY_H

#include <string.h>

#include "hak_base.h"

extern HAK_HIDDEN uint64_t hak_canary_secret; /* [const after init] */

/* The pattern of the place that starts at an address, eight bytes of it. */
static inline uint64_t hak_canary_of(const void *start)
{
    uint64_t mixed = ((uintptr_t)start ^ hak_canary_secret) * 0x9e3779b97f4a7c15;
    mixed ^= mixed >> 32;
    return (mixed & 0x4e4e4e4e4e4e4e4e) | 0x9191919191919191;
}

/* The byte of a pattern that stands at an address. */
static inline uint8_t hak_canary_byte(uint64_t canary, const uint8_t *at)
{
    return (uint8_t)(canary >> ((uintptr_t)at % 8 * 8));
}

/* Fills the bytes from `from` up to `to`, which is a multiple of 8. */
static inline void hak_canary_fill(void *from, const void *to, uint64_t canary)
{
    uint8_t *at = from;
    for (; (uintptr_t)at % 8 != 0 && at < (const uint8_t *)to; at++) {
        *at = hak_canary_byte(canary, at);
    }
    for (; at < (const uint8_t *)to; at += 8) {
        memcpy(at, &canary, 8);
    }
}

/* Whether these bytes are as they were filled. */
static inline bool hak_canary_holds(const void *from, const void *to, uint64_t canary)
{
    const uint8_t *at = from;
    for (; (uintptr_t)at % 8 != 0 && at < (const uint8_t *)to; at++) {
        if (*at != hak_canary_byte(canary, at)) {
            return false;
        }
    }
    for (; at < (const uint8_t *)to; at += 8) {
        if (memcmp(at, &canary, 8) != 0) {
            return false;
        }
    }
    return true;
}

static inline bool hak_canary_is_zero(const void *start, size_t bytes)
{
    const char *at = start;
    return bytes == 0 || (at[0] == 0 && memcmp(at, at + 1, bytes - 1) == 0);
}

#endif
