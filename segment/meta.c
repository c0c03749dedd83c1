/*
 * meta: a bump pointer over committed address space, and free lists a heap.
 */
#include "segment/meta.h"

#include <stdatomic.h>
#include <string.h>

#include "region/region.h"
#include "segment/os.h"

/* Commit in steps of this, or of what is in use already if that is more. */
#define META_STEP_BYTES (64 * HAK_KIB)

static struct {
    char *start;               /* [const after init] */
    size_t bytes;              /* [const after init] */
    _Atomic(size_t) used;      /* [any, atomic] only grows */
    _Atomic(size_t) committed; /* [any, atomic] only grows; used <= committed */
} meta;

void hak_meta_init(char *start, size_t bytes)
{
    meta.start = start;
    meta.bytes = bytes;
}

static bool meta_commit(size_t end)
{
    /* acquire: pairs with hak_counter_raise(); memory under `committed` is writable. */
    size_t have = atomic_load_explicit(&meta.committed, memory_order_acquire);
    if (end <= have) {
        return true;
    }
    size_t step = hak_max(META_STEP_BYTES, hak_os_page_bytes());
    size_t want = hak_align_up(hak_max(end, have + have / 2), step);
    want = hak_min(want, meta.bytes);
    if (!hak_os_commit(meta.start + have, want - have)) {
        return false;
    }
    hak_counter_raise(&meta.committed, want);
    return true;
}

void *hak_meta_new(size_t bytes, size_t alignment)
{
    /* relaxed: the CAS below decides; nothing is read through this value. */
    size_t old = atomic_load_explicit(&meta.used, memory_order_relaxed);
    for (;;) {
        size_t at = hak_align_up((uintptr_t)meta.start + old, alignment) - (uintptr_t)meta.start;
        if (at > meta.bytes || bytes > meta.bytes - at || !meta_commit(at + bytes)) {
            return NULL;
        }
        /* relaxed: the range is the winner's alone; it publishes what it makes of it. */
        if (atomic_compare_exchange_weak_explicit(&meta.used, &old, at + bytes,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return meta.start + at;
        }
    }
}

static unsigned size_idx(size_t bytes)
{
    size_t rounded = hak_power_of_two_up(hak_max(bytes, HAK_META_MIN_BYTES));
    return (unsigned)__builtin_ctzll(rounded / HAK_META_MIN_BYTES);
}

void *hak_meta_take(struct hak_meta_pool *pool, size_t bytes)
{
    unsigned idx = size_idx(bytes);
    HAK_ASSERT(idx < HAK_META_SIZES);
    void *record = pool->free[idx];
    if (record == NULL) {
        return hak_meta_new(HAK_META_MIN_BYTES << idx, HAK_META_MIN_BYTES);
    }
    pool->free[idx] = *(void **)record;
    memset(record, 0, HAK_META_MIN_BYTES << idx);
    return record;
}

void hak_meta_give(struct hak_meta_pool *pool, void *record, size_t bytes)
{
    unsigned idx = size_idx(bytes);
    *(void **)record = pool->free[idx];
    pool->free[idx] = record;
}

void hak_meta_even(struct hak_meta_pool *from, struct hak_meta_pool *to, size_t bytes)
{
    unsigned idx = size_idx(bytes);
    void *record = from->free[idx];
    if (record != NULL) {
        from->free[idx] = *(void **)record;
        hak_meta_give(to, record, bytes);
    }
}

size_t hak_meta_used_bytes(void)
{
    /* relaxed: a figure for reports. */
    return atomic_load_explicit(&meta.used, memory_order_relaxed);
}
