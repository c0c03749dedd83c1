/*
 * chance: which of many bytes is the next one that is drawn, and how likely a block has one.
 *
 * Purpose   the arithmetic of the profiler, without the mathematical library: programs need not
 * have that one loaded. Both functions are right to 1e-7 or better. Threads   any; a generator's
 * state is its caller's.
 */
#ifndef HAK_CHANCE_H
#define HAK_CHANCE_H

#include "front/harden/inside.h"

/* A number of the exponential distribution with mean 1: -ln of one between 0 and 1. That is `m`,
 * from 1 to 2, times a power of two; ln m is the series of (m - 1) / (m + 1). */
static inline double hak_chance_wait(uint64_t *state)
{
    uint64_t bits = hak_harden_random(state) | 1;
    int zeros = __builtin_clzll(bits);
    double m = (double)(bits << zeros) * 0x1p-63;
    double t = (m - 1) / (m + 1), t2 = t * t;
    double series = 1.0 / 5 + t2 * (1.0 / 7 + t2 * (1.0 / 9 + t2 * (1.0 / 11 + t2 / 13)));
    return (zeros + 1) * 0.693147180559945309 - 2 * t * (1 + t2 * (1.0 / 3 + t2 * series));
}

/* 1 - exp(-x), x > 0: by the series of a small part of x, which is then doubled. */
static inline double hak_chance_of(double x)
{
    int doublings = 0;
    while (x > 0x1p-10) {
        x /= 2;
        doublings++;
    }
    double y = x * (1 - x / 2 * (1 - x / 3));
    for (; doublings > 0; doublings--) {
        y *= 2 - y;
    }
    return y;
}

#endif
