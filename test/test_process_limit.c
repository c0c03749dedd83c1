/*
 * HAKMEM_LIMIT: at the limit requests are answered with NULL and ENOMEM, after what is free was
 * given back; never is more than that counted, or resident.
 *
 * ctest: labels=quick timeout=120 core=fake
 */
#include "front/harden/limit.h"
#include "front/heap.h"
#include "segment/purge.h"
#include "segment/segment.h"

#include "scenario.h"

#include <stdatomic.h>

#define LIMIT_MIB 16
#define LIMIT (LIMIT_MIB * HAK_MIB)
/* Records may grow after the look: a heap, its magazines, bitmaps of a page. */
#define RECORDS_BYTES (128 * HAK_KIB)

static bool limit_holds(void)
{
    return hak_memory_bytes() <= LIMIT &&
           hak_memory_bytes() + hak_meta_used_bytes() <= LIMIT + RECORDS_BYTES;
}

static void begin(const char *limit)
{
    SUPPORT_REQUIRE(setenv("HAKMEM_LIMIT", limit, 1) == 0);
    hak_fake_wake(4096);
}

static void check(void)
{
    SUPPORT_REQUIRE(limit_holds());
    SUPPORT_REQUIRE(hak_memory_bytes() == hak_taken_bytes() + hak_dirty_bytes());
    SUPPORT_REQUIRE(hak_heap_is_valid() && hak_segment_is_valid() && hak_region_is_valid());
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
}

/* ---- what the option may say ---------------------------------------------------------------- */

static const struct text_row {
    const char *text;
    size_t bytes;
    bool refused;
} text_rows[] = {
    {"4M", 4 * HAK_MIB, false},
    {"4096K", 4 * HAK_MIB, false},
    {"4194304", 4 * HAK_MIB, false},
    {"4194303", 0, true},
    {"3M", 0, true},
    {"1G", HAK_GIB, false},
    {"65536G", 65536 * HAK_GIB, false},
    {"65537G", 0, true},
    {"70368744177664", 65536 * HAK_GIB, false},
    {"70368744177665", 0, true},
    {"999999999999999", 0, true},
    {"9999999999999999999999", 0, true},
    {"18446744073776660480", 0, true}, /* 2^64 + 64 MiB */
    {"18446744073709551615G", 0, true},
    {"0", 0, true},
    {"", 0, true},
    {"M", 0, true},
    {"64MB", 0, true},
    {"64m", 0, true},
    {"64T", 0, true},
    {"+64M", 0, true},
    {"-64M", 0, true},
    {" 64M", 0, true},
    {"64M ", 0, true},
    {"cgroups", 0, true},
    {"Cgroup", 0, true},
};

static void read_text(void *argument)
{
    const struct text_row *row = argument;
    SUPPORT_REQUIRE(setenv("HAKMEM_LIMIT", row->text, 1) == 0);
    SUPPORT_REQUIRE(hak_limit_read() == row->bytes);
}

static void limit__any_text__is_taken_or_refused_in_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(text_rows); i++) {
        struct text_row row = text_rows[i];
        struct support_end end = support_run_child(read_text, &row);
        char expected[128] = "";
        if (row.refused)
            snprintf(expected, sizeof expected,
                     "hakmem: HAKMEM_LIMIT=%s is out of range 4M..65536G|cgroup, using none\n",
                     row.text);
        if (end.status != 0 || strcmp(end.text, expected) != 0)
            fail_msg("'%s': status %#x, it wrote: %s", row.text, (unsigned)end.status, end.text);
    }
}

/* A sixteenth is left for the rest, 8 MiB at least, and half at most. */
static void read_cgroup(void *unused)
{
    const struct {
        size_t allowed, limit;
    } rows[] = {
        {SIZE_MAX, 0},
        {0x7ffffffffffff000, 0}, /* how version 1 says it */
        {512 * HAK_MIB, 480 * HAK_MIB},
        {64 * HAK_MIB, 56 * HAK_MIB},
        {12 * HAK_MIB, 6 * HAK_MIB},
        {0, 1}, /* nothing at all; 0 would be no limit */
    };
    (void)unused;
    SUPPORT_REQUIRE(hak_limit_read() == 0); /* not set */
    SUPPORT_REQUIRE(setenv("HAKMEM_LIMIT", "cgroup", 1) == 0);
    for (size_t i = 0; i < SUPPORT_COUNT(rows); i++) {
        hak_fake_set_memory_allowed(rows[i].allowed);
        SUPPORT_REQUIRE(hak_limit_read() == rows[i].limit);
    }
}

static void limit__cgroup__leaves_some_for_the_rest(void **state)
{
    (void)state;
    scenario_run(read_cgroup, NULL);
}

/* ---- what it does --------------------------------------------------------------------------- */

#define BLOCKS_MAX ((size_t)1 << 20)
static void *blocks[BLOCKS_MAX];

/* Takes blocks until one is refused; returns how many were had. */
static size_t take_until_out(size_t bytes)
{
    size_t count = 0;
    errno = 0;
    while ((blocks[count] = hak_malloc(bytes)) != NULL) {
        SUPPORT_REQUIRE(limit_holds());
        support_fill(blocks[count], bytes < 64 ? bytes : 64, count);
        SUPPORT_REQUIRE(++count < BLOCKS_MAX);
    }
    SUPPORT_REQUIRE(errno == ENOMEM);
    check();
    return count;
}

static void give_all(size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++) {
        SUPPORT_REQUIRE(support_holds(blocks[i], bytes < 64 ? bytes : 64, i));
        hak_free(blocks[i]);
    }
    check();
}

/* Every size fills the limit but for a seventh, again and again: what an earlier size left behind
 * is in nobody's way. */
static void fill_with_every_size(void *unused)
{
    const size_t sizes[] = {60, 1000, 3000, 28000, 125000, 700000, 3000000, 15};
    (void)unused;
    begin("16M");
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++) {
            size_t count = take_until_out(sizes[i]);
            size_t least = sizes[i] >= 700000 ? LIMIT / 4 * 3 : LIMIT / 20 * 17;
            if (count * sizes[i] < least)
                dprintf(STDERR_FILENO, "%zu blocks of %zu bytes\n", count, sizes[i]);
            SUPPORT_REQUIRE(count * sizes[i] >= least);
            give_all(count, sizes[i]);
        }
    }
}

static void limit__blocks_of_any_size__fill_it_and_no_more(void **state)
{
    (void)state;
    scenario_run(fill_with_every_size, NULL);
}

static void refuse_and_go_on(void *unused)
{
    (void)unused;
    begin("16384K");
    SUPPORT_REQUIRE(hak_malloc(LIMIT + 1) == NULL && errno == ENOMEM);
    SUPPORT_REQUIRE(hak_malloc(LIMIT) == NULL); /* the first heap stands beside it */
    void *most = hak_malloc(LIMIT - HAK_MIB);
    SUPPORT_REQUIRE(most != NULL);
    errno = 0;
    SUPPORT_REQUIRE(hak_calloc(1, HAK_MIB) == NULL && errno == ENOMEM);
    void *block = most;
    SUPPORT_REQUIRE(hak_posix_memalign(&block, 4096, HAK_MIB) == ENOMEM && block == most);
    void *small = hak_malloc(100);
    SUPPORT_REQUIRE(small != NULL);
    hak_free(most);
    most = hak_calloc(1, LIMIT - HAK_MIB); /* what was just freed is not counted twice */
    SUPPORT_REQUIRE(most != NULL && support_is_zero(most, LIMIT - HAK_MIB));
    hak_free(small);
    hak_free(most);
    check();
}

static void limit__reached__refuses_and_serves_again_after_a_free(void **state)
{
    (void)state;
    scenario_run(refuse_and_go_on, NULL);
}

/* A block that grows in place or by a move is refused at the limit, and stays whole. */
static void grow_until_out(void *unused)
{
    (void)unused;
    begin("16777216");
    hak_free(hak_malloc(LIMIT - HAK_MIB)); /* places to grow into */
    size_t bytes = HAK_MIB;
    char *block = hak_malloc(bytes);
    SUPPORT_REQUIRE(block != NULL);
    support_fill(block, 4096, 1);
    for (char *grown = block; grown != NULL;) {
        check();
        errno = 0;
        grown = hak_realloc(block, bytes + HAK_MIB);
        block = grown == NULL ? block : grown;
        bytes += grown == NULL ? 0 : HAK_MIB;
        block[bytes - 1] = 1;
    }
    SUPPORT_REQUIRE(errno == ENOMEM && support_holds(block, 4096, 1));
    SUPPORT_REQUIRE(bytes >= LIMIT - 2 * HAK_MIB && bytes < LIMIT); /* nothing was in its way */
    check();
    void *other = hak_malloc(HAK_MIB / 4);
    SUPPORT_REQUIRE(other != NULL);
    SUPPORT_REQUIRE(hak_realloc(other, 4 * HAK_MIB) == NULL && errno == ENOMEM);
    block = hak_realloc(block, HAK_MIB);
    SUPPORT_REQUIRE(block != NULL && support_holds(block, 4096, 1));
    other = hak_realloc(other, 4 * HAK_MIB);
    SUPPORT_REQUIRE(other != NULL);
    hak_free(other);
    hak_free(block);
    check();
}

static void *free_200(void *unused)
{
    for (size_t i = 0; i < 200; i++)
        hak_free(blocks[i]);
    return unused;
}

/* What another thread freed is given back for a block that can only grow where it is. */
static void grow_beside_freed_blocks(void *unused)
{
    (void)unused;
    begin("16M");
    char *block = hak_malloc(9 * HAK_MIB);
    SUPPORT_REQUIRE(block != NULL);
    for (size_t i = 0; i < 200; i++)
        SUPPORT_REQUIRE((blocks[i] = hak_malloc(30000)) != NULL);
    pthread_t thread;
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, free_200, NULL) == 0);
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
    SUPPORT_REQUIRE(hak_taken_bytes() > 14 * HAK_MIB); /* until this thread looks */
    SUPPORT_REQUIRE(hak_realloc(block, 13 * HAK_MIB) == block);
    check();
}

static void limit__block_grows_beside_freed_blocks__they_are_given_back(void **state)
{
    (void)state;
    scenario_run(grow_beside_freed_blocks, NULL);
}

static void limit__block_grows__is_refused_and_stays_whole(void **state)
{
    (void)state;
    scenario_run(grow_until_out, NULL);
}

/* What cannot be given back still counts: better refused than killed. */
static void fail_to_purge(void *unused)
{
    (void)unused;
    begin("16M");
    for (size_t i = 0; i < 12; i++)
        SUPPORT_REQUIRE((blocks[i] = hak_malloc(HAK_MIB)) != NULL);
    for (size_t i = 0; i < 12; i += 2)
        hak_free(blocks[i]);
    hak_fake_fail(HAK_FAKE_PURGE, 1, HAK_FAKE_FOREVER);
    /* 6 MiB in use, 6 free in pieces, with memory: another 5 in a row are too much. */
    errno = 0;
    SUPPORT_REQUIRE(hak_malloc(5 * HAK_MIB) == NULL && errno == ENOMEM);
    check();
    SUPPORT_REQUIRE(hak_fake_failures(HAK_FAKE_PURGE) > 0);
    SUPPORT_REQUIRE((blocks[0] = hak_malloc(HAK_MIB)) != NULL); /* where memory is already */
    hak_free(blocks[0]);
    hak_fake_heal();
    SUPPORT_REQUIRE((blocks[0] = hak_malloc(5 * HAK_MIB)) != NULL);
    SUPPORT_REQUIRE(hak_dirty_bytes() == 0);
    check();
}

static void limit__nothing_can_be_given_back__refuses(void **state)
{
    (void)state;
    scenario_run(fail_to_purge, NULL);
}

/* ---- threads -------------------------------------------------------------------------------- */

#define THREADS 4
#define THREAD_BLOCKS 400
static _Atomic(size_t) refusals, highest;

static void take_and_give(unsigned index, void *unused)
{
    void *mine[THREAD_BLOCKS] = {NULL};
    uint64_t seed = index;
    (void)unused;
    for (unsigned step = 0; step < 20000; step++) {
        size_t i = support_random(&seed) % THREAD_BLOCKS;
        size_t bytes = (size_t)32 << support_random(&seed) % 14; /* to 256 KiB */
        hak_free(mine[i]);
        mine[i] = hak_malloc(bytes);
        if (mine[i] == NULL)
            (void)atomic_fetch_add(&refusals, 1);
        else
            memset(mine[i], (int)index, bytes < 256 ? bytes : 256);
        size_t now = hak_memory_bytes(), before = atomic_load(&highest);
        while (now > before && !atomic_compare_exchange_weak(&highest, &before, now))
            continue;
    }
    for (size_t i = 0; i < THREAD_BLOCKS; i++)
        hak_free(mine[i]);
    SUPPORT_REQUIRE(hak_heap_is_valid());
}

/* A claim is counted before it is refused, so for a moment the sum may be higher by what the
 * threads ask for; it has no memory then. */
static void use_from_threads(void *unused)
{
    (void)unused;
    begin("16M");
    hak_free(hak_malloc(1));
    scenario_threads(THREADS, take_and_give, NULL);
    SUPPORT_REQUIRE(atomic_load(&refusals) > 0);
    SUPPORT_REQUIRE(atomic_load(&highest) <= LIMIT + THREADS * 4 * HAK_MIB);
    SUPPORT_REQUIRE(atomic_load(&highest) > LIMIT / 2);
    (void)hak_malloc_trim(0);
    check();
    if (hak_taken_bytes() != 0 || hak_dirty_bytes() != 0)
        dprintf(STDERR_FILENO, "%zu bytes are taken, %zu dirty\n", hak_taken_bytes(),
                hak_dirty_bytes());
    SUPPORT_REQUIRE(hak_taken_bytes() == 0 && hak_dirty_bytes() == 0);
    give_all(take_until_out(1000), 1000);
}

static void limit__threads_at_the_limit__nothing_is_lost(void **state)
{
    (void)state;
    scenario_run(use_from_threads, NULL);
}

/* ---- sleepers ------------------------------------------------------------------------------- */

#define SLEEPERS 5
#define SLEEPER_SIZES 10
static pthread_barrier_t turn;

/* Keeps a block each of sizes that no other thread has, in a page each. */
static void *sleep_on_pages(void *first)
{
    void *mine[SLEEPER_SIZES];
    for (size_t i = 0; i < SLEEPER_SIZES; i++)
        SUPPORT_REQUIRE((mine[i] = hak_malloc(((uintptr_t)first + i) * 16)) != NULL);
    pthread_barrier_wait(&turn);
    pthread_barrier_wait(&turn);
    for (size_t i = 0; i < SLEEPER_SIZES; i++)
        hak_free(mine[i]);
    return NULL;
}

/* There is memory for no page more, but each size has one that is nearly free, in some heap. */
static void take_what_sleepers_spare(void *unused)
{
    pthread_t threads[SLEEPERS];
    void *spared[SLEEPERS * SLEEPER_SIZES];
    (void)unused;
    begin("16M");
    SUPPORT_REQUIRE(pthread_barrier_init(&turn, NULL, SLEEPERS + 1) == 0);
    for (uintptr_t i = 0; i < SLEEPERS; i++)
        SUPPORT_REQUIRE(pthread_create(&threads[i], NULL, sleep_on_pages,
                                       (void *)(1 + i * SLEEPER_SIZES)) == 0);
    pthread_barrier_wait(&turn);
    size_t count = take_until_out(2 * HAK_PAGE_BYTES);
    for (size_t i = 0; i < SUPPORT_COUNT(spared); i++)
        SUPPORT_REQUIRE((spared[i] = hak_malloc((1 + i) * 16)) != NULL);
    check();
    pthread_barrier_wait(&turn);
    for (size_t i = 0; i < SLEEPERS; i++)
        SUPPORT_REQUIRE(pthread_join(threads[i], NULL) == 0);
    for (size_t i = 0; i < SUPPORT_COUNT(spared); i++)
        hak_free(spared[i]);
    give_all(count, 2 * HAK_PAGE_BYTES);
}

static void limit__other_threads_sleep_on_free_slots__serves_those(void **state)
{
    (void)state;
    scenario_run(take_what_sleepers_spare, NULL);
}

/* ---- the step ------------------------------------------------------------------------------- */

/* Claims of pages, one by one: the last that fits is had, the next is not and leaves no trace. */
static void claim_to_the_slot(void *unused)
{
    const struct hak_arena_config config = {
        .reserve_bytes = 64 * HAK_SEGMENT_BYTES,
        .step_bytes = 2 * HAK_MIB,
        .max_step_bytes = 64 * HAK_MIB,
        .limit_bytes = 100 * HAK_PAGE_BYTES,
    };
    (void)unused;
    hak_fake_wake(4096);
    SUPPORT_REQUIRE(hak_arena_init(&config));
    for (size_t page = 0; page < 100; page++) {
        SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 1, 1) == page);
        SUPPORT_REQUIRE(hak_purge_keeps_limit(page, 1));
    }
    SUPPORT_REQUIRE(hak_pages_claim(HAK_POOL_TINY, 1, 1) == 100);
    SUPPORT_REQUIRE(!hak_purge_keeps_limit(100, 1));
    SUPPORT_REQUIRE(hak_taken_bytes() == 100 * HAK_PAGE_BYTES && hak_dirty_bytes() == 0);
    hak_pages_release(0, 10, true);
    SUPPORT_REQUIRE(hak_memory_bytes() == 100 * HAK_PAGE_BYTES);
    /* Room for 10: 9 of them where memory still is, and that of the tenth goes back for it. */
    size_t nine = hak_pages_claim(HAK_POOL_TINY, 9, 1);
    SUPPORT_REQUIRE(nine == 0 && hak_purge_keeps_limit(nine, 9));
    SUPPORT_REQUIRE(hak_dirty_bytes() == HAK_PAGE_BYTES);
    size_t other = hak_pages_claim(HAK_POOL_LARGE, 1, 1);
    SUPPORT_REQUIRE(other > 100 && hak_purge_keeps_limit(other, 1));
    SUPPORT_REQUIRE(hak_dirty_bytes() == 0 && hak_memory_bytes() == 100 * HAK_PAGE_BYTES);
    size_t two = hak_pages_claim(HAK_POOL_LARGE, 2, 1);
    SUPPORT_REQUIRE(!hak_purge_keeps_limit(two, 2));
    SUPPORT_REQUIRE(hak_memory_bytes() == 100 * HAK_PAGE_BYTES && hak_segment_is_valid());
}

static void limit__pages_claimed__counts_to_the_page(void **state)
{
    (void)state;
    scenario_run(claim_to_the_slot, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limit__any_text__is_taken_or_refused_in_words),
        cmocka_unit_test(limit__cgroup__leaves_some_for_the_rest),
        cmocka_unit_test(limit__blocks_of_any_size__fill_it_and_no_more),
        cmocka_unit_test(limit__reached__refuses_and_serves_again_after_a_free),
        cmocka_unit_test(limit__block_grows__is_refused_and_stays_whole),
        cmocka_unit_test(limit__block_grows_beside_freed_blocks__they_are_given_back),
        cmocka_unit_test(limit__nothing_can_be_given_back__refuses),
        cmocka_unit_test(limit__threads_at_the_limit__nothing_is_lost),
        cmocka_unit_test(limit__other_threads_sleep_on_free_slots__serves_those),
        cmocka_unit_test(limit__pages_claimed__counts_to_the_page),
    };
    return cmocka_run_group_tests_name("process_limit", tests, NULL, NULL);
}
