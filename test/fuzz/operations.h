/*
 * operations: what the bytes of an input ask of the allocator.
 *
 * Purpose   decoding, apart from what is done. The first byte chooses options at start; then each
 *           6 bytes are an operation:
 *
 *               0   kind (bits 0-3), thread that does it (bits 4-5)
 *               1   slot of the table of blocks
 *               2   mantissa of the size, 16 bits, the lower byte first
 *               4   exponent of the size (bits 0-3): 0-7 shift right by 7-0, 8-15 left by 1-8, and
 *                   a count for what is done with several slots (bits 4-7)
 *               5   binary logarithm of the alignment, modulo 23
 *
 *           Every input means something, so no mutation is lost.
 * Threads   plain functions.
 */
#ifndef HAKMEM_TEST_FUZZ_OPERATIONS_H
#define HAKMEM_TEST_FUZZ_OPERATIONS_H

#include <stddef.h>
#include <stdint.h>

#define OPERATION_BYTES 6
#define OPERATION_THREADS 4
#define OPERATION_SLOTS 256

enum operation_kind {
    OP_MALLOC,
    OP_CALLOC,
    OP_REALLOC,
    OP_ALIGNED,
    OP_FREE,
    OP_USABLE,    /* all of it is written to */
    OP_CHECK,     /* contents of one block */
    OP_TRIM,      /* malloc_trim */
    OP_END,       /* the thread ends; its next operation starts another */
    OP_CLOCK,     /* time passes */
    OP_FAIL,      /* calls of the kernel fail, from the k-th on */
    OP_HEAL,      /* none fails */
    OP_MALLOC_UP, /* several slots */
    OP_FREE_UP,   /* several slots */
    OP_OTHER,     /* the other ways to allocate and to free */
    OP_VALIDATE,  /* everything */
};

struct operation {
    enum operation_kind kind;
    unsigned thread;
    size_t slot;
    size_t size;
    unsigned number; /* the size's mantissa */
    unsigned count;  /* 1 to 16 */
    unsigned alignment_log2;
};

static inline struct operation operation_decode(const uint8_t bytes[OPERATION_BYTES])
{
    unsigned mantissa = bytes[2] | (unsigned)bytes[3] << 8;
    unsigned exponent = bytes[4] & 15;
    return (struct operation){
        .kind = (enum operation_kind)(bytes[0] & 15),
        .thread = bytes[0] >> 4 & (OPERATION_THREADS - 1),
        .slot = bytes[1],
        .size = exponent < 8 ? mantissa >> (7 - exponent) : (size_t)mantissa << (exponent - 7),
        .number = mantissa,
        .count = 1 + (bytes[4] >> 4),
        .alignment_log2 = bytes[5] % 23,
    };
}

#endif
