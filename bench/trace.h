/*
 * trace.h: the file that holds what a program asked of its malloc, in one order.
 *
 * Purpose  written by record_malloc.c, read by trace_read.h; this header is all they share.
 * Threads  plain functions over the caller's memory.
 *
 * A trace is a file header and then chunks. The last chunk is an end chunk: one without events. A
 * program that allocates after the recorder saw its end adds chunks behind an end chunk, and then
 * another end chunk. A trace without an end chunk was cut, or its program was killed.
 *
 * Numbers of fixed width have the byte order of the machine that recorded; the file header says
 * which. Events are packed: a varint holds seven bits a byte, the lowest first, and the top bit of
 * each byte but the last is set. The head of an event is the varint `slot << 3 | kind`; then follow
 *
 *   free                       nothing
 *   malloc, calloc, realloc    the size in bytes, a varint; a calloc's is count times size
 *   aligned                    the size, then the binary logarithm of the alignment, a byte
 *   thread                     nothing; the events that follow are those of thread `slot`
 *
 * A slot stands for a live block: from its malloc, calloc or aligned to its free, then it is used
 * again. A realloc keeps its slot. A new slot is one more than all before, a new thread too, so
 * both are small: a malloc takes three or four bytes, a free two or three.
 *
 * Events stand in the order in which they happened, all threads together: sequence number n is the
 * n-th event of the file, from 0, `thread` events not counted. So each chunk can be used without
 * those behind it, and what a killed program leaves is a whole history up to its last chunk. Files
 * of each thread's own events were rejected: after a kill they end at different times.
 */
#ifndef HAK_BENCH_TRACE_H
#define HAK_BENCH_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

enum {
    TRACE_VERSION = 1,
    TRACE_BYTE_ORDER = 0x01020304,
    TRACE_PAYLOAD_BYTES = 1 << 16, /* at most, in a chunk */
    TRACE_VARINT_BYTES = 10,       /* at most */
    TRACE_EVENT_BYTES = 2 * TRACE_VARINT_BYTES + 1,
    TRACE_KIND_BITS = 3,
    TRACE_SIZE_BITS = 48, /* of a block: more than an address space holds */
};

#define TRACE_MAGIC "HAKTRACE"

enum trace_kind {
    TRACE_FREE,
    TRACE_MALLOC,
    TRACE_CALLOC,
    TRACE_REALLOC,
    TRACE_ALIGNED,
    TRACE_THREAD,
    TRACE_KINDS,
};

struct trace_file {
    char magic[8]; /* TRACE_MAGIC, without its zero */
    uint32_t byte_order;
    uint32_t version;
};

struct trace_chunk {
    uint64_t checksum; /* XXH3, 64 bits, of the rest of this header and the payload */
    uint64_t sequence; /* of the first event here: the number of events in all chunks before */
    uint32_t payload_bytes;
    uint32_t events; /* `thread` events not counted; 0: an end chunk, without payload */
    uint32_t thread; /* of the first event; 0 in an end chunk */
    uint32_t zero;
};

_Static_assert(sizeof(struct trace_file) == 16, "no padding in the file");
_Static_assert(sizeof(struct trace_chunk) == 32, "no padding in the file");

/* Writes `value` at `to`, which has room for TRACE_VARINT_BYTES; returns where it ends. */
static inline unsigned char *trace_varint_put(unsigned char *to, uint64_t value)
{
    while (value >= 0x80) {
        *to++ = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    *to++ = (unsigned char)value;
    return to;
}

/* Returns where the varint at `from` ends; NULL: not before `end`, or it is above 64 bits. */
static inline const unsigned char *trace_varint_get(const unsigned char *from,
                                                    const unsigned char *end, uint64_t *value)
{
    uint64_t sum = 0;
    for (unsigned shift = 0; from < end && shift < 64; shift += 7) {
        uint64_t bits = *from & 0x7f;
        if (bits << shift >> shift != bits)
            return NULL;
        sum |= bits << shift;
        if (*from++ < 0x80) {
            *value = sum;
            return from;
        }
    }
    return NULL;
}

/* `payload` lies right behind the header. */
static inline uint64_t trace_checksum(const struct trace_chunk *chunk)
{
    return XXH3_64bits(&chunk->sequence, sizeof *chunk - offsetof(struct trace_chunk, sequence) +
                                             chunk->payload_bytes);
}

#endif
