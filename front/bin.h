/*
 * bin: the blocks of one size class that a thread has at hand, in a magazine.
 *
 * Purpose   a magazine is an array of pointers, so what stands in it is neither read nor written.
 *           It is a stack: malloc takes the block that came last, and what goes back to the pages
 *           are the oldest ones.
 * Owner     one heap. The capacity is its shelf's to know.
 * Threads   the owner's alone.
 */
#ifndef HAK_BIN_H
#define HAK_BIN_H

#include <string.h>

#include "segment/page.h"

/*
 * base[0] is NULL and the blocks lie in base[1] .. top[0].
 * Invariant: first == *top; base <= top <= limit.
 * An unused bin has first == NULL and top == limit, so that both paths leave at once.
 */
struct hak_bin {
    void *first;  /* [owner] the block that the next malloc returns, or NULL */
    void **top;   /* [owner] where that block stands in the magazine */
    void **limit; /* [owner] top of a full magazine */
    void **base;  /* [owner] */
};

/* How many blocks there are, for readers outside of the process (include/hak_view.h). */
#define HAK_BIN_VIEW                                                                               \
    .bin_top = HAK_VIEW_FIELD(hak_bin, top), .bin_base = HAK_VIEW_FIELD(hak_bin, base),            \
    .bin_block_bytes = sizeof(void *)

static inline size_t hak_bin_count(const struct hak_bin *bin)
{
    return (size_t)(bin->top - bin->base);
}

static inline void hak_bin_set_count(struct hak_bin *bin, size_t count)
{
    bin->top = bin->base + count;
    bin->first = *bin->top;
}

/* Takes the first block off, which is not NULL. The one below it is loaded for the next call:
 * nobody waits for that load. */
static inline void hak_bin_pop(struct hak_bin *bin)
{
    void **top = bin->top;
    bin->first = top[-1];
    bin->top = top - 1;
}

static inline bool hak_bin_is_full(const struct hak_bin *bin)
{
    return bin->limit == bin->top;
}

/* Puts a block on top. There is room. */
static inline void hak_bin_push(struct hak_bin *bin, void *block)
{
    void **top = bin->top;
    top[1] = block;
    bin->top = top + 1;
    bin->first = block;
}

/* Makes room for `capacity` blocks in place of `old`, which is 0 at first. False: no memory. */
static inline bool hak_bin_resize(struct hak_bin *bin, struct hak_meta_pool *meta, size_t old,
                                  size_t capacity)
{
    size_t count = hak_bin_count(bin);
    HAK_ASSERT(count <= capacity);
    void **base = hak_meta_take(meta, (capacity + 1) * sizeof(void *));
    if (base == NULL) {
        return false;
    }
    if (old != 0) {
        memcpy(base, bin->base, (count + 1) * sizeof(void *));
        hak_meta_give(meta, bin->base, (old + 1) * sizeof(void *));
    }
    bin->base = base;
    bin->limit = base + capacity;
    hak_bin_set_count(bin, count);
    return true;
}

/* Puts the `count` lowest free blocks of a page on top, the lowest uppermost. There is room. */
static inline void hak_bin_take(struct hak_bin *bin, struct hak_page *page, size_t count)
{
    size_t have = hak_bin_count(bin);
    hak_page_take(page, bin->base + have + count, (uint32_t)count);
    hak_bin_set_count(bin, have + count);
}

/* Blocks that hak_bin_oldest() wants a place for. */
#define HAK_BIN_PLACES 1

/* The oldest of `count` blocks that are to go, one at least; returns how many. They lie in the
 * array that is returned through `blocks`, and are in the bin until they are dropped. */
static inline size_t hak_bin_oldest(struct hak_bin *bin, size_t count, void *places[HAK_BIN_PLACES],
                                    void ***blocks)
{
    (void)places;
    *blocks = bin->base + 1;
    return count;
}

/* How many blocks stay when the `count` oldest have gone, and where they lie. */
static inline size_t hak_bin_newest(const struct hak_bin *bin, size_t count, void *const **blocks)
{
    size_t left = hak_bin_count(bin) - count;
    *blocks = left != 0 ? bin->base + 1 + count : NULL;
    return left;
}

static inline void hak_bin_drop(struct hak_bin *bin, size_t count)
{
    size_t left = hak_bin_count(bin) - count;
    memmove(bin->base + 1, bin->base + 1 + count, left * sizeof(void *));
    hak_bin_set_count(bin, left);
}

/*
 * In a profiled process, two bins share a magazine: mallocs take the `count` oldest blocks, from
 * the bin, and frees go on top of the others, to `frees`. So it is known how often malloc was
 * called when they are joined again:
 *
 *     base                    frees.base               frees.top         limit
 *       | blocks | taken since then | blocks, and freed since then |  room |
 */
static inline void hak_bin_split(struct hak_bin *bin, struct hak_bin *frees, size_t count)
{
    if (bin->base == NULL) {
        return; /* there is no magazine: both are full, and empty */
    }
    *frees = *bin;
    hak_bin_set_count(bin, count);
    frees->base = bin->top;
}

/* Returns how many blocks malloc has taken. Of what was not split, none. */
static inline size_t hak_bin_join(struct hak_bin *bin, struct hak_bin *frees)
{
    if (frees->base == NULL) {
        return 0;
    }
    size_t taken = (size_t)(frees->base - bin->top);
    size_t freed = hak_bin_count(frees);
    memmove(bin->top + 1, frees->base + 1, freed * sizeof(void *));
    hak_bin_set_count(bin, hak_bin_count(bin) + freed);
    *frees = (struct hak_bin){NULL, NULL, NULL, NULL};
    return taken;
}

/* For the walker: the i-th oldest block; and whether the bin's fields agree with its capacity. */
static inline void *hak_bin_at(const struct hak_bin *bin, size_t i)
{
    return bin->base[i + 1];
}

static inline bool hak_bin_is_sound(const struct hak_bin *bin, size_t capacity)
{
    if (capacity == 0) {
        return bin->first == NULL && bin->top == bin->limit;
    }
    return bin->limit == bin->base + capacity && bin->top >= bin->base && bin->top <= bin->limit &&
           bin->first == *bin->top && *bin->base == NULL;
}

#endif
