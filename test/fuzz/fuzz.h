/*
 * What the fuzz targets share.
 *
 * Purpose   a target is a function over bytes, LLVMFuzzerTestOneInput, as libFuzzer calls it;
 *           where there is no libFuzzer, replay.c calls it with each file of the corpus. What must
 *           be so is said with FUZZ_REQUIRE, which ends the process.
 * Threads   as each target says.
 */
#ifndef HAKMEM_TEST_FUZZ_H
#define HAKMEM_TEST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define FUZZ_REQUIRE(condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static inline bool fuzz_holds(const unsigned char *from, size_t bytes, unsigned char stamp)
{
    return bytes == 0 || (from[0] == stamp && memcmp(from, from + 1, bytes - 1) == 0);
}

#endif
