/*
 * hardened: what the oracle of operations knows of a hardened process beyond every other.
 *
 * Purpose   a block reads as zero when it is handed out, and its usable size is what was asked for.
 *           A freed one is zero or cannot be touched from then on, and no block is handed out where
 *           it lay before it has rested, unless memory may run out: then the allocator may break
 *           every rest. In the end nothing lives, and all that was left behind is as it was left.
 * Threads   one at a time works.
 */
#ifndef HAKMEM_TEST_FUZZ_HARDENED_H
#define HAKMEM_TEST_FUZZ_HARDENED_H

#include <errno.h>
#include <unistd.h>

#include "hakmem.h"
#include "segment/large.h"

#include "../pens.h"
#include "fuzz.h"

/* Freed large blocks may keep this share of the arena. */
#define HARDENED_SHARE 8
#define RESTING_MAX ((size_t)2048)
#define CHUNK_BYTES ((size_t)4096)
#define CHUNK_STEP ((size_t)16 << 10)

struct resting {
    const unsigned char *start;
    size_t bytes;
    bool large;
    uint64_t takes;    /* of its kind, when it was freed */
    size_t runs_bytes; /* of large blocks that were freed before it */
};

/* [who works] */
static struct {
    bool on; /* [const after start] */
    bool may_run_out;
    uint64_t takes[2]; /* slots, large blocks */
    size_t runs_bytes; /* of all large blocks that were freed */
    size_t freed;      /* the ring's next place is this, modulo its length */
    int copies[2];     /* a pipe; 0: none yet */
    struct resting ring[RESTING_MAX];
} hardened;

/* Rests are as long as they are promised from here on, or not any more. */
static void hardened_may_run_out(bool may)
{
    hardened.may_run_out = may;
    memset(hardened.ring, 0, sizeof hardened.ring);
}

static bool hardened_is_large(const void *block)
{
    return hak_region_tag(hak_region_page_idx(block)) == HAK_TAG_LARGE;
}

/* Whether up to a chunk of memory is zero or cannot be read: the kernel reads it. */
static bool chunk_is_gone(const unsigned char *start, size_t bytes)
{
    unsigned char copy[CHUNK_BYTES];
    if (hardened.copies[1] == 0)
        FUZZ_REQUIRE(pipe(hardened.copies) == 0);
    ssize_t written = write(hardened.copies[1], start, bytes);
    if (written < 0)
        return errno == EFAULT;
    FUZZ_REQUIRE(read(hardened.copies[0], copy, (size_t)written) == written);
    return fuzz_holds(copy, (size_t)written, 0);
}

/* The same of a block; of a long one in steps, and at its end. */
static bool block_is_gone(const unsigned char *start, size_t bytes)
{
    size_t step = bytes <= CHUNK_STEP ? CHUNK_BYTES : CHUNK_STEP;
    for (size_t at = 0; at < bytes; at += step) {
        const unsigned char *from = start + at;
        size_t in_page = CHUNK_BYTES - (uintptr_t)from % CHUNK_BYTES;
        size_t whole = hak_min(CHUNK_BYTES, bytes - at);
        if (!chunk_is_gone(from, hak_min(whole, in_page)) ||
            (whole > in_page && !chunk_is_gone(from + in_page, whole - in_page)))
            return false;
    }
    return true;
}

static bool rests(const struct resting *block)
{
    size_t share_bytes = hak_arena.max_segments * HAK_SEGMENT_BYTES / HARDENED_SHARE;
    uint64_t takes = hardened.takes[block->large] - block->takes;
    return block->start != NULL && takes < HAK_REST_TAKES &&
           (!block->large || hardened.runs_bytes - block->runs_bytes <= share_bytes);
}

/* A block was handed out, or resized: the bytes from `kept` on are new. */
static void hardened_took(const unsigned char *start, size_t kept, size_t bytes)
{
    if (!hardened.on)
        return;
    FUZZ_REQUIRE(hak_malloc_usable_size(start) == bytes);
    if (bytes - kept <= CHUNK_STEP)
        FUZZ_REQUIRE(fuzz_holds(start + kept, bytes - kept, 0));
    for (size_t at = kept; at < bytes; at += CHUNK_STEP)
        FUZZ_REQUIRE(start[at] == 0 && start[bytes - 1] == 0);
    for (size_t i = 0; i < RESTING_MAX; i++) {
        const struct resting *old = &hardened.ring[i];
        FUZZ_REQUIRE(!rests(old) || start + hak_max(bytes, 1) <= old->start ||
                     old->start + hak_max(old->bytes, 1) <= start);
    }
    hardened.takes[hardened_is_large(start)]++;
}

/* Before a block is freed: what is known only as long as it lives. */
static struct resting hardened_frees(const unsigned char *start, size_t bytes)
{
    struct resting block = {start, bytes, hardened.on && hardened_is_large(start), 0, 0};
    block.takes = hardened.takes[block.large];
    block.runs_bytes = hardened.runs_bytes;
    hardened.runs_bytes += block.large ? hak_large_bytes(start) : 0;
    return block;
}

/* After it was. */
static void hardened_freed(const struct resting *block)
{
    if (!hardened.on)
        return;
    FUZZ_REQUIRE(block_is_gone(block->start, block->bytes));
    if (!hardened.may_run_out)
        hardened.ring[hardened.freed++ % RESTING_MAX] = *block;
}

/* Every page of slots; returns how many blocks live in them. `all`: every byte too. */
static size_t hardened_check(bool all)
{
    size_t live = 0;
    FUZZ_REQUIRE(pens_are_valid());
    for (size_t i = 0; hardened.on && i < RESTING_MAX; i++) {
        const struct resting *block = &hardened.ring[i];
        FUZZ_REQUIRE(!rests(block) || block_is_gone(block->start, block->bytes));
    }
    for (size_t page_idx = 0; hardened.on && page_idx < hak_region_pages(); page_idx++) {
        uintptr_t tag = hak_region_tag(page_idx);
        struct hak_page *page = hak_page_at(page_idx);
        if (tag == HAK_TAG_LARGE) {
            hak_fence_check(page_idx);
        } else if (hak_slots_own(tag)) {
            live += hak_notes_of(page)->live;
            if (all)
                hak_slots_check(page, tag);
            page_idx += page->span_pages - 1;
        }
    }
    return live;
}

#endif
