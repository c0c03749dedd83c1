/*
 * bench_verify.h: blocks whose every byte is known, to show that an allocator keeps them apart.
 *
 * A block is filled with a stream of XXH3 hashes. The stream's key comes from the place that the
 * block has in the workload and from its generation, the count of blocks that its worker made; so
 * no two blocks look alike, and one that was handed out twice or written over is noticed.
 *
 * Owner: a mark belongs to who holds the block, and is handed on with it.
 * Errors: a byte that is not the expected one ends the process with a message and status 1.
 */
#ifndef HAK_BENCH_VERIFY_H
#define HAK_BENCH_VERIFY_H

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#define XXH_FORCE_MEMORY_ACCESS 1 /* the benches are built without built-ins: memcpy is a call */
#include <xxhash.h>

/* What a block was filled with. */
struct block_mark {
    uint64_t place, generation;
    size_t bytes;
};

/* The stream comes in pieces of one hash. */
static inline XXH128_hash_t mark_piece(uint64_t key, uint64_t idx)
{
    return XXH3_128bits_withSeed(&idx, sizeof idx, key);
}

static inline uint64_t mark_key(const struct block_mark *mark)
{
    uint64_t identity[2] = {mark->place, mark->generation};
    return XXH3_64bits(identity, sizeof identity);
}

static inline size_t mark_piece_bytes(const struct block_mark *mark, size_t at)
{
    size_t left = mark->bytes - at;
    return left < sizeof(XXH128_hash_t) ? left : sizeof(XXH128_hash_t);
}

static inline void mark_fill(const struct block_mark *mark, void *block)
{
    uint64_t key = mark_key(mark);
    for (size_t at = 0; at < mark->bytes; at += sizeof(XXH128_hash_t)) {
        XXH128_hash_t piece = mark_piece(key, at);
        memcpy((unsigned char *)block + at, &piece, mark_piece_bytes(mark, at));
    }
}

static inline void mark_check(const struct block_mark *mark, const void *block)
{
    uint64_t key = mark_key(mark);
    for (size_t at = 0; at < mark->bytes; at += sizeof(XXH128_hash_t)) {
        XXH128_hash_t piece = mark_piece(key, at);
        if (memcmp((const unsigned char *)block + at, &piece, mark_piece_bytes(mark, at)) == 0)
            continue;
        fprintf(stderr,
                "bench: block %p of %zu bytes, place %" PRIu64 ", generation %" PRIu64
                ": the bytes from %zu on are not what was written\n",
                block, mark->bytes, mark->place, mark->generation, at);
        _exit(1); /* other threads may be in the middle of anything */
    }
}

#endif
