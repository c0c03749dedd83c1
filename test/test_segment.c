/*
 * Page slots of segments: who gets which, and that nobody gets one twice.
 *
 * ctest: labels=quick,aarch64 timeout=120 core=fake
 */
#include "segment/purge.h"
#include "segment/segment.h"

#include "scenario.h"

#include <stdatomic.h>

#define MODEL_SEGMENTS 80
#define ALL_SLOTS UINT32_MAX

/* ---- a model: slow, plain and by one thread ------------------------------------------------- */

static struct {
    uint32_t taken, dirty;
    enum hak_pool pool;
} model[MODEL_SEGMENTS];
static size_t model_end;

static uint32_t run_of(size_t first, size_t count)
{
    return (uint32_t)((((uint64_t)1 << count) - 1) << first);
}

/* The lowest run whose slots are none of `unfit`. */
static size_t model_find_in(size_t segment, uint32_t unfit, size_t count, size_t align)
{
    for (size_t first = 0; first + count <= HAK_SEGMENT_PAGES; first += align) {
        if ((unfit & run_of(first, count)) == 0)
            return segment * HAK_SEGMENT_PAGES + first;
    }
    return HAK_NO_PAGE;
}

/* In the pool, else in a free segment; both first where memory is still there. */
static size_t model_find(enum hak_pool pool, size_t count, size_t align)
{
    for (unsigned stage = 0; stage < 4; stage++) {
        for (size_t i = 0; i < model_end; i++) {
            uint32_t unfit = model[i].taken | (stage < 2 ? ~model[i].dirty : 0);
            size_t found = model_find_in(i, unfit, count, align);
            if (model[i].pool == (stage % 2 == 0 ? pool : HAK_POOL_FREE) && found != HAK_NO_PAGE)
                return found;
        }
    }
    return model_end < MODEL_SEGMENTS ? model_end * HAK_SEGMENT_PAGES : HAK_NO_PAGE;
}

static size_t model_find_long(size_t count, size_t align)
{
    uintptr_t base_segment = (uintptr_t)hak_arena.base / HAK_SEGMENT_BYTES;
    size_t segments = (count + HAK_SEGMENT_PAGES - 1) / HAK_SEGMENT_PAGES;
    for (size_t at = 0; at + segments <= MODEL_SEGMENTS; at++) {
        size_t free = 0;
        while (free < segments && model[at + free].pool == HAK_POOL_FREE)
            free++;
        /* In use already, or all of it new. */
        bool fits = at + segments <= model_end || at >= model_end;
        if (free == segments && fits && (base_segment + at) % align == 0)
            return at * HAK_SEGMENT_PAGES;
    }
    return HAK_NO_PAGE;
}

static void model_take(size_t page, size_t count, enum hak_pool pool)
{
    for (; count > 0; page++, count--) {
        size_t segment = page / HAK_SEGMENT_PAGES;
        uint32_t slot = run_of(page % HAK_SEGMENT_PAGES, 1);
        SUPPORT_REQUIRE((model[segment].taken & slot) == 0);
        model[segment].taken |= slot;
        model[segment].pool = pool;
        model_end = segment >= model_end ? segment + 1 : model_end;
    }
}

static void model_release(size_t page, size_t count, bool dirty)
{
    hak_pages_release(page, count, dirty);
    for (; count > 0; page++, count--) {
        size_t segment = page / HAK_SEGMENT_PAGES;
        uint32_t slot = run_of(page % HAK_SEGMENT_PAGES, 1);
        model[segment].taken &= ~slot;
        model[segment].dirty |= dirty ? slot : 0;
        model[segment].pool = model[segment].taken == 0 ? HAK_POOL_FREE : model[segment].pool;
    }
}

/* Everything is given back that is free. */
static void model_purge(void)
{
    size_t slots = 0;
    for (size_t i = 0; i < model_end; i++) {
        slots += (size_t)__builtin_popcount(model[i].dirty & ~model[i].taken);
        model[i].dirty &= model[i].taken;
    }
    SUPPORT_REQUIRE(hak_purge_all() == slots * HAK_PAGE_BYTES);
}

static void model_compare(void)
{
    size_t taken = 0, dirty = 0;
    SUPPORT_REQUIRE(hak_arena_end() == model_end);
    for (size_t i = 0; i < model_end; i++) {
        enum hak_pool pool;
        SUPPORT_REQUIRE(hak_segment_taken(i, &pool) == model[i].taken && pool == model[i].pool);
        taken += (size_t)__builtin_popcount(model[i].taken);
        dirty += (size_t)__builtin_popcount(model[i].dirty & ~model[i].taken);
    }
    SUPPORT_REQUIRE(hak_taken_bytes() == taken * HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(hak_dirty_bytes() == dirty * HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(hak_segment_is_valid());
}

struct run {
    size_t page, count;
    enum hak_pool pool;
};

#define RUNS 400

static bool is_room_at(size_t page, size_t count)
{
    for (; count > 0; page++, count--) {
        size_t segment = page / HAK_SEGMENT_PAGES;
        if (segment >= model_end || (model[segment].taken & run_of(page % 32, 1)) != 0 ||
            (model[segment].pool != HAK_POOL_FREE && model[segment].pool != HAK_POOL_LARGE))
            return false;
    }
    return true;
}

static void run_grow(struct run *run, size_t more)
{
    bool expected = is_room_at(run->page + run->count, more);
    SUPPORT_REQUIRE(hak_pages_claim_at(run->page + run->count, more) == expected);
    if (expected) {
        model_take(run->page + run->count, more, HAK_POOL_LARGE);
        run->count += more;
    }
}

static void run_claim(struct run *run, uint64_t *seed)
{
    size_t expected;
    if (support_random(seed) % 10 == 0) {
        *run = (struct run){0, 1 + support_random(seed) % 150, HAK_POOL_LARGE};
        size_t align = (size_t)1 << support_random(seed) % 3;
        expected = model_find_long(run->count, align);
        run->page = hak_pages_claim_long(run->count, align);
    } else {
        run->pool = (enum hak_pool)(HAK_POOL_TINY + support_random(seed) % 4);
        run->count = 1 + support_random(seed) % (support_random(seed) % 4 == 0 ? 32 : 4);
        /* Spans have one alignment a length, large blocks any. */
        size_t align = run->count == 4 || run->count == 2 ? run->count : 1;
        if (run->pool == HAK_POOL_LARGE)
            align = (size_t)1 << support_random(seed) % 6;
        expected = model_find(run->pool, run->count, align);
        run->page = hak_pages_claim(run->pool, run->count, align);
    }
    if (run->page != expected)
        dprintf(STDERR_FILENO, "%zu slots at %zu, not at %zu\n", run->count, run->page, expected);
    SUPPORT_REQUIRE(run->page == expected);
    if (run->page == HAK_NO_PAGE)
        run->count = 0;
    model_take(run->page, run->count, run->pool);
}

static void follow_the_model(void *argument)
{
    static struct run runs[RUNS];
    uint64_t seed = *(const uint64_t *)argument;
    scenario_arena(MODEL_SEGMENTS);
    for (unsigned step = 0; step < 20000; step++) {
        /* Few at first, then so many that the arena ends, then few. */
        struct run *run = &runs[support_random(&seed) % (step / 5000 == 0 ? 30 : RUNS)];
        if (run->count == 0) {
            run_claim(run, &seed);
        } else if (run->pool == HAK_POOL_LARGE && support_random(&seed) % 3 == 0) {
            run_grow(run, 1 + support_random(&seed) % 60);
        } else {
            size_t part = support_random(&seed) % 4 == 0 ? (run->count + 1) / 2 : run->count;
            run->count -= part;
            model_release(run->page + run->count, part, support_random(&seed) % 2 == 0);
        }
        if (step % 50 == 0)
            model_compare();
        if (step % 700 == 0)
            model_purge();
    }
    for (size_t i = 0; i < RUNS; i++)
        model_release(runs[i].page, runs[i].count, false);
    model_compare();
    SUPPORT_REQUIRE(model_end == MODEL_SEGMENTS);
}

static void segment__random_claims_and_releases__go_where_the_model_says(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++)
        scenario_run(follow_the_model, &seed);
}

/* ---- cases of their own --------------------------------------------------------------------- */

static void claim_one_by_one(void *unused)
{
    (void)unused;
    scenario_arena(64);
    for (size_t i = 0; i < 3 * HAK_SEGMENT_PAGES; i++)
        SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 1, 1) == i);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_MID, 1, 1) == 96); /* a pool of its own */
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 1, 1) == 128);
    hak_pages_release(70, 1, false);
    hak_pages_release(7, 2, false);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_MID, 1, 1) == 97);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 2, 2) == 130); /* 7 and 8: not aligned */
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 1, 1) == 7);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 1, 1) == 8);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 1, 1) == 70);
    hak_pages_release(0, 32, false);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_SMALLMID, 1, 1) == 0); /* empty: any pool's */
    hak_pages_release(34, 2, false);
    hak_pages_release(80, 1, true);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 1, 1) == 80); /* its memory is still there */
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 1, 1) == 34);
    SUPPORT_REQUIRE(hak_segment_is_valid());
}

static void segment__slots_claimed_one_by_one__lowest_of_the_pool_first(void **state)
{
    (void)state;
    scenario_run(claim_one_by_one, NULL);
}

/* Growing fails for what stands in the way, and then nothing has changed. */
static void claim_in_place(void *unused)
{
    enum hak_pool pool;
    (void)unused;
    scenario_arena(64);
    SUPPORT_REQUIRE(hak_pages_claim_long(7 * 32, 1) == 0);
    hak_pages_release(10, 7 * 32 - 10, false);
    SUPPORT_REQUIRE(!hak_pages_claim_at(10, 7 * 32 - 9)); /* one beyond the end */
    SUPPORT_REQUIRE(hak_segment_taken(0, &pool) == run_of(0, 10) && pool == HAK_POOL_LARGE);
    for (size_t i = 1; i < 7; i++)
        SUPPORT_REQUIRE(hak_segment_taken(i, &pool) == 0 && pool == HAK_POOL_FREE);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_MID, 3, 1) == 32);
    SUPPORT_REQUIRE(!hak_pages_claim_at(10, 23)); /* into another pool's */
    SUPPORT_REQUIRE(!hak_pages_claim_at(36, 1));
    SUPPORT_REQUIRE(!hak_pages_claim_at(9, 2)); /* the first is taken */
    SUPPORT_REQUIRE(hak_segment_taken(0, &pool) == run_of(0, 10));
    SUPPORT_REQUIRE(hak_segment_taken(1, &pool) == run_of(0, 3) && pool == HAK_POOL_MID);
    hak_pages_release(32, 3, true);
    SUPPORT_REQUIRE(hak_pages_claim_at(10, 7 * 32 - 10)); /* over six borders */
    SUPPORT_REQUIRE(hak_segment_taken(6, &pool) == ALL_SLOTS && pool == HAK_POOL_LARGE);
    SUPPORT_REQUIRE(hak_pages_claim_at(5, 0));
    SUPPORT_REQUIRE(hak_segment_is_valid());
}

static void segment__claim_in_place__all_or_nothing(void **state)
{
    (void)state;
    scenario_run(claim_in_place, NULL);
}

/* So many segments with holes that no search can look at all of them each time. */
static void fill_with_holes(void *unused)
{
    enum { SEGMENTS = 700 };
    (void)unused;
    scenario_arena(SEGMENTS);
    for (size_t i = 0; i < SEGMENTS * HAK_SEGMENT_PAGES; i++)
        SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_MID, 1, 1) == i);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_MID, 1, 1) == HAK_NO_PAGE);
    for (size_t i = 0; i < SEGMENTS * HAK_SEGMENT_PAGES; i += 2)
        hak_pages_release(i, 1, false);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_MID, 2, 1) == HAK_NO_PAGE);
    hak_pages_release(20001, 1, false);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_MID, 2, 1) == 20000);
    SUPPORT_REQUIRE(hak_segment_is_valid());
}

static void segment__only_run_is_far_away__is_found_before_memory_is_out(void **state)
{
    (void)state;
    scenario_run(fill_with_holes, NULL);
}

static void release_twice(void *unused)
{
    (void)unused;
    scenario_arena(64);
    size_t page = hak_pages_claim(HAK_POOL_MID, 4, 1);
    hak_pages_release(page, 2, true);
    hak_pages_release(page + 1, 3, true);
}

static void segment__slots_released_twice__stops(void **state)
{
    (void)state;
    struct support_end end = support_run_child(release_twice, NULL);
    assert_true(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT);
    assert_string_equal(end.text, "hakmem: page slots released twice\n");
}

static void corrupt(void *unused)
{
    (void)unused;
    scenario_arena(64);
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 3, 1) == 0);
    SUPPORT_REQUIRE(hak_segment_is_valid());
    const uint64_t bad[] = {(uint64_t)HAK_POOL_TINY << 32, 3, (uint64_t)HAK_POOL_COUNT << 32 | 1,
                            (uint64_t)1 << 60 | 1};
    uint64_t good = atomic_load(&hak_arena.segments[0].word);
    for (size_t i = 0; i < SUPPORT_COUNT(bad); i++) {
        atomic_store(&hak_arena.segments[0].word, bad[i]);
        SUPPORT_REQUIRE(!hak_segment_is_valid());
    }
    atomic_store(&hak_arena.segments[0].word, good);
    SUPPORT_REQUIRE(hak_segment_is_valid());
    atomic_store(&hak_arena.maps[0].bits[HAK_POOL_TINY], 0); /* the room is not to be found */
    SUPPORT_REQUIRE(!hak_segment_is_valid());
    hak_arena_fork_child(); /* but in a child: who cleared the bit is not there to look again */
    SUPPORT_REQUIRE(hak_segment_is_valid());
}

static void segment__words_or_maps_wrong__are_not_valid(void **state)
{
    (void)state;
    scenario_run(corrupt, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segment__random_claims_and_releases__go_where_the_model_says),
        cmocka_unit_test(segment__slots_claimed_one_by_one__lowest_of_the_pool_first),
        cmocka_unit_test(segment__claim_in_place__all_or_nothing),
        cmocka_unit_test(segment__only_run_is_far_away__is_found_before_memory_is_out),
        cmocka_unit_test(segment__slots_released_twice__stops),
        cmocka_unit_test(segment__words_or_maps_wrong__are_not_valid),
    };
    return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
