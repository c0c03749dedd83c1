/*
 * A shadow of who owns which page slot: proves that none is handed out twice and none is lost.
 *
 * Threads   any; an owner is a number that the test gives to each of its threads.
 */
#ifndef HAKMEM_TEST_SHADOW_H
#define HAKMEM_TEST_SHADOW_H

#include "segment/segment.h"

#include "support.h"

#include <stdatomic.h>

#define SHADOW_SEGMENTS 20000

static _Atomic(uint8_t) owners[SHADOW_SEGMENTS * HAK_SEGMENT_PAGES]; /* 0: nobody */

static inline void shadow_take(unsigned index, size_t page, size_t count)
{
    for (size_t i = page; i < page + count; i++) {
        uint8_t owner = atomic_exchange(&owners[i], (uint8_t)(index + 1));
        if (owner != 0)
            dprintf(STDERR_FILENO, "slot %zu was handed out twice\n", i);
        SUPPORT_REQUIRE(owner == 0);
    }
}

static inline void shadow_release(unsigned index, size_t page, size_t count, bool dirty)
{
    for (size_t i = page; i < page + count; i++)
        SUPPORT_REQUIRE(atomic_exchange(&owners[i], 0) == index + 1);
    hak_pages_release(page, count, dirty);
}

/* What the words say is what the shadow says. */
static inline void shadow_compare(void)
{
    for (size_t i = 0; i < hak_arena_end(); i++) {
        enum hak_pool pool;
        uint32_t taken = hak_segment_taken(i, &pool);
        for (size_t slot = 0; slot < HAK_SEGMENT_PAGES; slot++)
            SUPPORT_REQUIRE((atomic_load(&owners[i * HAK_SEGMENT_PAGES + slot]) != 0) ==
                            ((taken >> slot & 1) != 0));
    }
    SUPPORT_REQUIRE(hak_segment_is_valid());
}

struct run {
    size_t page, count;
    enum hak_pool pool;
};

/* A run's slots are in segments of its pool as long as it is held. */
static inline void run_check(const struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        enum hak_pool pool;
        (void)hak_segment_taken((run->page + i) / HAK_SEGMENT_PAGES, &pool);
        SUPPORT_REQUIRE(pool == run->pool);
    }
}

static inline void run_claim(struct run *run, unsigned index, uint64_t *seed)
{
    run->pool = (enum hak_pool)(HAK_POOL_TINY + support_random(seed) % 4);
    if (run->pool == HAK_POOL_LARGE && support_random(seed) % 4 == 0) {
        run->count = 1 + support_random(seed) % 200;
        run->page = hak_pages_claim_long(run->count, (size_t)1 << support_random(seed) % 3);
    } else {
        run->count = 1 + support_random(seed) % (support_random(seed) % 2 == 0 ? 4 : 32);
        run->page = hak_pages_claim(run->pool, run->count, 1);
    }
    if (run->page == HAK_NO_PAGE)
        run->count = 0;
    shadow_take(index, run->page, run->count);
    run_check(run);
}

#endif
