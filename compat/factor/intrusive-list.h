/*
 * Factor: a list through the free blocks takes the place of the array of pointers.
 * Replaces front/bin.h.
 * An experiment of design/0013; remove by 2027-06-30, when its answer is old.
 */
#ifndef HAK_BIN_H
#define HAK_BIN_H

#include "segment/page.h"

/* The link is the first word of a block in the bin. */
struct hak_bin {
    void *first;    /* [owner] the block that the next malloc returns, or NULL */
    uint32_t count; /* [owner] blocks in the list */
    uint32_t limit; /* [owner] of `count` */
    void *oldest;   /* [owner] a list that was cut off, to be given back; else NULL */
    void *unused;   /* the size of the bin is part of the fast path */
};

static inline void **hak_bin_link(void *block)
{
    return block;
}

#define HAK_BIN_VIEW .bin_top = HAK_VIEW_FIELD(hak_bin, count)

static inline size_t hak_bin_count(const struct hak_bin *bin)
{
    return bin->count;
}

static inline void hak_bin_pop(struct hak_bin *bin)
{
    bin->first = *hak_bin_link(bin->first);
    bin->count--;
}

static inline bool hak_bin_is_full(const struct hak_bin *bin)
{
    return bin->limit == bin->count;
}

static inline void hak_bin_push(struct hak_bin *bin, void *block)
{
    *hak_bin_link(block) = bin->first;
    bin->first = block;
    bin->count++;
}

static inline bool hak_bin_resize(struct hak_bin *bin, struct hak_meta_pool *meta, size_t old,
                                  size_t capacity)
{
    (void)meta;
    (void)old;
    bin->limit = (uint32_t)capacity;
    return true;
}

#define HAK_BIN_PLACES 64

/* Links blocks of a page, the lowest foremost. */
static inline void hak_bin_take(struct hak_bin *bin, struct hak_page *page, size_t count)
{
    void *places[HAK_BIN_PLACES];
    void **tail = &bin->first;
    void *behind = bin->first;
    bin->count += (uint32_t)count;
    while (count > 0) {
        size_t part = hak_min(count, HAK_BIN_PLACES);
        hak_page_take(page, places + part - 1, (uint32_t)part);
        for (size_t i = part; i-- > 0; tail = hak_bin_link(places[i])) {
            *tail = places[i];
        }
        count -= part;
    }
    *tail = behind;
}

/* Cuts the list at the first call. */
static inline size_t hak_bin_oldest(struct hak_bin *bin, size_t count, void *places[HAK_BIN_PLACES],
                                    void ***blocks)
{
    if (bin->oldest == NULL) {
        void **link = &bin->first;
        for (size_t left = bin->count - count; left > 0; left--) {
            link = hak_bin_link(*link);
        }
        bin->oldest = *link;
        *link = NULL;
    }
    size_t taken = 0;
    for (; taken < HAK_BIN_PLACES && bin->oldest != NULL; taken++) {
        places[taken] = bin->oldest;
        bin->oldest = *hak_bin_link(bin->oldest);
    }
    *blocks = places;
    return taken;
}

/* None that anybody could look at in an array. */
static inline size_t hak_bin_newest(const struct hak_bin *bin, size_t count, void *const **blocks)
{
    (void)bin;
    (void)count;
    *blocks = NULL;
    return 0;
}

static inline void hak_bin_drop(struct hak_bin *bin, size_t count)
{
    bin->count -= (uint32_t)count;
}

/* No profile: HAK_LAYOUT_PROFILES is false. */
static inline void hak_bin_split(struct hak_bin *bin, struct hak_bin *frees, size_t count)
{
    (void)bin;
    (void)frees;
    (void)count;
}

static inline size_t hak_bin_join(struct hak_bin *bin, struct hak_bin *frees)
{
    (void)bin;
    (void)frees;
    return 0;
}

static inline void *hak_bin_at(const struct hak_bin *bin, size_t i)
{
    void *block = bin->first;
    for (size_t newer = bin->count - 1 - i; newer > 0; newer--) {
        block = *hak_bin_link(block);
    }
    return block;
}

static inline bool hak_bin_is_sound(const struct hak_bin *bin, size_t capacity)
{
    return bin->limit == capacity && bin->count <= bin->limit && bin->oldest == NULL &&
           (bin->first == NULL) == (bin->count == 0);
}

#endif
