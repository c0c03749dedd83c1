/*
 * A hardened process and its memory: what rests and what nobody uses gives its memory back, and
 * neither counts against a limit nor as in use; addresses rest on. Large blocks grow and shrink
 * with a fence at their end.
 *
 * ctest: labels=quick timeout=120 core=fake
 */
#include "front/harden/harden.h"
#include "segment/segment.h"

#include "pens.h"
#include "readable.h"
#include "scenario.h"

#include <stdatomic.h>

#define OS_PAGE ((size_t)4096)
#define HELD_MAX 40000
static char *held[HELD_MAX];

/* `limit`: HAKMEM_LIMIT, NULL for none. */
static void begin(const char *limit)
{
    SUPPORT_REQUIRE(limit == NULL || setenv("HAKMEM_LIMIT", limit, 1) == 0);
    hak_fake_wake(OS_PAGE);
    hak_free(support_hide(hak_malloc(1)));
    SUPPORT_REQUIRE(hak_harden_is_on());
}

static void check(void)
{
    SUPPORT_REQUIRE(hak_segment_is_valid() && hak_fake_mistakes() == 0);
    SUPPORT_REQUIRE(hak_memory_bytes() == hak_taken_bytes() + hak_dirty_bytes());
    SUPPORT_REQUIRE(pens_are_valid());
}

static char *take(size_t bytes)
{
    char *block = support_hide(hak_malloc(bytes));
    SUPPORT_REQUIRE(block != NULL && support_is_zero(block, bytes < 4096 ? bytes : 4096));
    return block;
}

static void take_many(size_t count, size_t bytes)
{
    SUPPORT_REQUIRE(count <= HELD_MAX);
    for (size_t i = 0; i < count; i++) {
        held[i] = take(bytes);
        memset(held[i], 'x', bytes);
    }
}

static void free_many(size_t count)
{
    for (size_t i = 0; i < count; i++)
        hak_free(held[i]);
}

/* None of so many blocks that were held before has an address in this one. */
static bool is_elsewhere(const char *block, size_t bytes, size_t count, size_t held_bytes)
{
    for (size_t i = 0; i < count; i++) {
        if (block < held[i] + held_bytes && held[i] < block + bytes)
            return false;
    }
    return true;
}

/* ---- when memory is out --------------------------------------------------------------------- */

/* Small blocks that rest are in a large one's way by their memory, not by their addresses: at a
 * limit those stay out of use. */
static void large_after_small(void *unused)
{
    enum { COUNT = 500, BYTES = 20000 };
    (void)unused;
    begin("16M");
    take_many(COUNT, BYTES);
    free_many(COUNT);
    char *block = take(13 * MIB);
    SUPPORT_REQUIRE(is_elsewhere(block, 13 * MIB, COUNT, BYTES));
    for (unsigned i = 0; i < 998; i++) {
        char *small = take(BYTES);
        SUPPORT_REQUIRE(is_elsewhere(small, BYTES, COUNT, BYTES));
        hak_free(small);
    }
    hak_free(block);
    check();
}

static void harden_memory__large_block_at_the_limit__what_rests_gives_memory(void **state)
{
    (void)state;
    scenario_run(large_after_small, NULL);
}

/* Where addresses are out, they leave their rest. */
static void large_after_small_in_little_space(void *unused)
{
    enum { BYTES = 20000 };
    size_t count = 0;
    (void)unused;
    hak_fake_set_machine(HAK_GIB, 64 * MIB);
    begin(NULL);
    while (count < HELD_MAX && (held[count] = support_hide(hak_malloc(BYTES))) != NULL)
        count++;
    SUPPORT_REQUIRE(count * BYTES > 20 * MIB);
    free_many(count);
    for (unsigned i = 0; i < 4; i++) {
        hak_free(take(16 * MIB));                  /* where the one before rests */
        SUPPORT_REQUIRE(hak_dirty_bytes() <= MIB); /* what had no memory has none now */
    }
    SUPPORT_REQUIRE(hak_taken_bytes() <= MIB);
    check();
}

static void harden_memory__large_block_without_addresses__what_rests_lets_go(void **state)
{
    (void)state;
    scenario_run(large_after_small_in_little_space, NULL);
}

/* A freed large block has no memory, so the limit says nothing of it, and it rests in full. */
static void large_ones_in_turn(void *unused)
{
    (void)unused;
    begin("16M");
    for (size_t i = 0; i < 100; i++) {
        held[i] = take(10 * MIB);
        SUPPORT_REQUIRE(is_elsewhere(held[i], 10 * MIB, i, 10 * MIB));
        memset(held[i], 'x', 10 * MIB);
        SUPPORT_REQUIRE(hak_malloc(10 * MIB) == NULL && errno == ENOMEM);
        hak_free(held[i]);
        SUPPORT_REQUIRE(hak_memory_bytes() < MIB && !readable_is(held[i]));
    }
    check();
}

static void harden_memory__freed_large_blocks_at_the_limit__rest_all_the_same(void **state)
{
    (void)state;
    scenario_run(large_ones_in_turn, NULL);
}

/* The kernel takes no memory back, or no access away: then everything counts that may have some. */
static void nothing_goes_back(void *refused)
{
    begin("16M");
    hak_fake_fail(*(enum hak_fake_call *)refused, 1, HAK_FAKE_FOREVER);
    take_many(400, 20000);
    char *large = take(2 * MIB);
    memset(large, 'x', 2 * MIB);
    size_t before_bytes = hak_memory_bytes();
    free_many(400);
    hak_free(large);
    SUPPORT_REQUIRE(hak_malloc(12 * MIB) == NULL);
    SUPPORT_REQUIRE(hak_memory_bytes() >= before_bytes - 2 * HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0 && pens_are_valid());
}

static void harden_memory__kernel_takes_nothing_back__it_goes_on_counting(void **state)
{
    enum hak_fake_call refused[] = {HAK_FAKE_PURGE, HAK_FAKE_HIDE};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(refused); i++)
        scenario_run(nothing_goes_back, &refused[i]);
}

/* ---- malloc_trim ---------------------------------------------------------------------------- */

static void trim_and_go_on(void *unused)
{
    enum { COUNT = 3000, BYTES = 1000 };
    (void)unused;
    begin(NULL);
    take_many(COUNT, BYTES);
    char *kept = take(BYTES); /* its page stays */
    size_t full_bytes = hak_taken_bytes();
    free_many(COUNT);
    SUPPORT_REQUIRE(hak_taken_bytes() == full_bytes && pens_are_valid());
    SUPPORT_REQUIRE(hak_malloc_trim(0) == 1);
    SUPPORT_REQUIRE(hak_memory_bytes() <= 4 * HAK_PAGE_BYTES);
    size_t hidden = 0;
    for (size_t i = 0; i < COUNT; i++) {
        char byte = 0;
        hidden += !readable_is(held[i]);
        byte = readable_is(held[i]) ? held[i][0] : byte;
        SUPPORT_REQUIRE(byte == 0);
    }
    SUPPORT_REQUIRE(hidden >= COUNT - 2 * HAK_PAGE_BYTES / BYTES);
    SUPPORT_REQUIRE(hak_malloc_trim(0) == 0);
    for (unsigned i = 0; i < 1000; i++) {
        char *block = take(BYTES);
        SUPPORT_REQUIRE(is_elsewhere(block, BYTES, COUNT, BYTES));
        hak_free(block);
    }
    hak_free(kept);
    check();
}

static void harden_memory__trim__memory_goes_and_addresses_rest(void **state)
{
    (void)state;
    scenario_run(trim_and_go_on, NULL);
}

/* ---- realloc -------------------------------------------------------------------------------- */

/* The block's first and last byte, and the first behind it. */
static void check_end(char *block, size_t bytes)
{
    SUPPORT_REQUIRE(block[0] == 'x' && block[bytes - 1] == 0);
    char *behind = (char *)hak_align_up((uintptr_t)block + bytes, OS_PAGE);
    SUPPORT_REQUIRE(!readable_is(behind));
    SUPPORT_REQUIRE(hak_taken_bytes() <= bytes + 4 * HAK_PAGE_BYTES);
}

static void grow_in_steps(void *step_bytes)
{
    size_t step = *(size_t *)step_bytes, moves = 0;
    (void)step_bytes;
    begin(NULL);
    size_t bytes = 64 * KIB;
    char *block = take(bytes);
    block[0] = 'x';
    while (bytes < 32 * MIB) {
        char *grown = support_hide(hak_realloc(block, bytes + step));
        SUPPORT_REQUIRE(grown != NULL && support_is_zero(grown + bytes, step));
        moves += grown != block;
        block = grown;
        bytes += step;
        check_end(block, bytes);
        block[bytes - step - 1] = 'y'; /* but for the last byte */
        block[0] = 'x';
        SUPPORT_REQUIRE(hak_malloc_usable_size(block) == bytes);
    }
    SUPPORT_REQUIRE(moves >= 1 && moves <= 32); /* 1.25 to the power of 28 is 512 */
    hak_free(block);
    check();
}

static void harden_memory__grows_in_steps__moves_seldom(void **state)
{
    (void)state;
    for (size_t step = 50000; step <= 200000; step += 50000)
        scenario_run(grow_in_steps, &step);
}

static void shrink_in_place(void *unused)
{
    (void)unused;
    begin(NULL);
    char *block = take(8 * MIB);
    memset(block, 'x', 8 * MIB);
    size_t resident_bytes = support_resident_bytes();
    SUPPORT_REQUIRE(hak_realloc(block, 5 * MIB) == block);
    SUPPORT_REQUIRE(hak_taken_bytes() <= 5 * MIB + 2 * HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(!readable_is(block + 5 * MIB) && !readable_is(block + 8 * MIB));
    if (!SUPPORT_SHADOWED)
        SUPPORT_REQUIRE(support_resident_bytes() + 2 * MIB < resident_bytes);
    SUPPORT_REQUIRE(hak_realloc(block, 6 * MIB) == block);
    SUPPORT_REQUIRE(block[5 * MIB - 1] == 'x' && support_is_zero(block + 5 * MIB, MIB));
    SUPPORT_REQUIRE(hak_taken_bytes() >= 6 * MIB && !readable_is(block + 6 * MIB));
    hak_free(block);
    SUPPORT_REQUIRE(hak_taken_bytes() < MIB);
    check();
}

static void harden_memory__shrinks_by_less_than_half__tail_has_no_memory(void **state)
{
    (void)state;
    scenario_run(shrink_in_place, NULL);
}

/* 128 blocks that once had 16 MiB each, in an arena of half as much. */
static void shrink_many(void *unused)
{
    (void)unused;
    hak_fake_set_machine(HAK_GIB, 2 * HAK_GIB);
    begin(NULL);
    for (size_t i = 0; i < 128; i++) {
        char *block = take(16 * MIB);
        block[0] = 'x';
        held[i] = support_hide(hak_realloc(block, 100000));
        SUPPORT_REQUIRE(held[i] != NULL && held[i][0] == 'x');
    }
    check();
}

static void harden_memory__shrinks_to_little__addresses_come_back(void **state)
{
    (void)state;
    scenario_run(shrink_many, NULL);
}

static void resize_at_the_limit(void *unused)
{
    (void)unused;
    begin("16M");
    char *block = take(15 * MIB);
    memset(block, 'x', 15 * MIB);
    SUPPORT_REQUIRE(hak_realloc(block, 17 * MIB) == NULL && errno == ENOMEM);
    SUPPORT_REQUIRE(hak_realloc(block, 4 * MIB) == block); /* there is no other place */
    char *other = take(8 * MIB);
    SUPPORT_REQUIRE(hak_realloc(block, 12 * MIB) == NULL && errno == ENOMEM);
    SUPPORT_REQUIRE(!readable_is(block + 4 * MIB) && block[4 * MIB - 1] == 'x');
    hak_free(other);
    SUPPORT_REQUIRE(hak_realloc(block, 12 * MIB) == block); /* in the room that it left */
    take_many(100, 20000);
    free_many(100);
    SUPPORT_REQUIRE(hak_realloc(block, 14 * MIB) == block); /* with what rests */
    SUPPORT_REQUIRE(hak_memory_bytes() + hak_meta_used_bytes() <= 16 * MIB);
    check();
}

static void harden_memory__resized_at_the_limit__stays_where_it_fits(void **state)
{
    (void)state;
    scenario_run(resize_at_the_limit, NULL);
}

/* ---- threads -------------------------------------------------------------------------------- */

#define THREADS 4
#define THREAD_BLOCKS 40
static _Atomic(size_t) refusals, highest;

static void use_any(unsigned index, void *unused)
{
    char *mine[THREAD_BLOCKS] = {NULL};
    uint64_t seed = index;
    (void)unused;
    for (unsigned step = 0; step < 2500; step++) {
        uint64_t bits = support_random(&seed);
        char **place = &mine[bits % THREAD_BLOCKS];
        size_t bytes = (bits >> 8) % ((size_t)1 << (bits >> 32) % 22); /* to 2 MiB */
        if ((bits >> 40) % 3 == 0) {
            hak_free(*place);
            *place = NULL;
        } else {
            char *block = hak_realloc(*place, bytes + 1);
            (void)atomic_fetch_add(&refusals, block == NULL);
            *place = block == NULL ? *place : block;
            SUPPORT_REQUIRE(block == NULL || block[0] == 0 || block[0] == (char)index);
        }
        if (*place != NULL)
            (*place)[0] = (char)index;
        SUPPORT_REQUIRE(step % 64 != 0 || hak_mallinfo2().uordblks < 64 * MIB);
        SUPPORT_REQUIRE(step % 256 != 0 || pens_are_valid());
        size_t now = hak_memory_bytes(), before = atomic_load(&highest);
        while (now > before && !atomic_compare_exchange_weak(&highest, &before, now))
            continue;
    }
    for (size_t i = 0; i < THREAD_BLOCKS; i++)
        hak_free(mine[i]);
}

/* For a moment also counts what a thread claims before it is refused, 3 MiB at most, the segment of
 * 2 MiB that it purges, and the one block at rest that goes back. */
static void use_from_threads(void *unused)
{
    (void)unused;
    begin("16M");
    scenario_threads(THREADS, use_any, NULL);
    SUPPORT_REQUIRE(atomic_load(&refusals) > 0);
    SUPPORT_REQUIRE(atomic_load(&highest) <= 16 * MIB + THREADS * 5 * MIB + 3 * MIB);
    (void)hak_malloc_trim(0);
    SUPPORT_REQUIRE(hak_taken_bytes() == 0 && hak_dirty_bytes() == 0);
    hak_free(take(14 * MIB));
    check();
}

static void harden_memory__threads_at_the_limit__nothing_stays_counted(void **state)
{
    (void)state;
    scenario_run(use_from_threads, NULL);
}

/* ---- figures -------------------------------------------------------------------------------- */

static void read_figures(void *unused)
{
    enum { COUNT = 1000, BYTES = 1000, LARGE = 4 };
    char *large[LARGE];
    char text[2048] = {0};
    (void)unused;
    begin(NULL);
    struct mallinfo2 before = hak_mallinfo2();
    take_many(COUNT, BYTES);
    for (size_t i = 0; i < LARGE; i++)
        large[i] = take(MIB);
    struct mallinfo2 full = hak_mallinfo2();
    SUPPORT_REQUIRE(full.fsmblks == before.fsmblks && full.hblks == LARGE);
    SUPPORT_REQUIRE(full.hblkhd >= LARGE * MIB &&
                    full.hblkhd <= LARGE * (MIB + 2 * HAK_PAGE_BYTES));
    SUPPORT_REQUIRE(full.uordblks - full.hblkhd >= COUNT * BYTES);
    free_many(COUNT);
    for (size_t i = 0; i < LARGE; i++)
        hak_free(large[i]);
    struct mallinfo2 freed = hak_mallinfo2();
    SUPPORT_REQUIRE(freed.hblks == 0 && freed.hblkhd == 0);
    SUPPORT_REQUIRE(freed.uordblks <= full.uordblks - full.hblkhd - COUNT * BYTES);
    SUPPORT_REQUIRE(freed.fsmblks >= before.fsmblks + COUNT * BYTES + LARGE * MIB);
    SUPPORT_REQUIRE((size_t)hak_mallinfo().fsmblks == freed.fsmblks);
    (void)hak_malloc_trim(0);
    struct mallinfo2 trimmed = hak_mallinfo2();
    SUPPORT_REQUIRE(trimmed.uordblks == 0 && trimmed.hblkhd == 0 && trimmed.arena == 0);
    SUPPORT_REQUIRE(trimmed.fordblks == 0 && trimmed.fsmblks >= freed.fsmblks);
    FILE *stream = fmemopen(text, sizeof text - 1, "w");
    SUPPORT_REQUIRE(stream != NULL && hak_malloc_info(0, stream) == 0 && fclose(stream) == 0);
    char expected[64];
    snprintf(expected, sizeof expected, "<aspace type=\"resting\" size=\"%zu\"/>", trimmed.fsmblks);
    SUPPORT_REQUIRE(strstr(text, expected) != NULL);
    check();
}

static void harden_memory__figures__tell_what_rests_apart(void **state)
{
    (void)state;
    scenario_run(read_figures, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(harden_memory__large_block_at_the_limit__what_rests_gives_memory),
        cmocka_unit_test(harden_memory__large_block_without_addresses__what_rests_lets_go),
        cmocka_unit_test(harden_memory__freed_large_blocks_at_the_limit__rest_all_the_same),
        cmocka_unit_test(harden_memory__kernel_takes_nothing_back__it_goes_on_counting),
        cmocka_unit_test(harden_memory__trim__memory_goes_and_addresses_rest),
        cmocka_unit_test(harden_memory__grows_in_steps__moves_seldom),
        cmocka_unit_test(harden_memory__shrinks_by_less_than_half__tail_has_no_memory),
        cmocka_unit_test(harden_memory__shrinks_to_little__addresses_come_back),
        cmocka_unit_test(harden_memory__resized_at_the_limit__stays_where_it_fits),
        cmocka_unit_test(harden_memory__threads_at_the_limit__nothing_stays_counted),
        cmocka_unit_test(harden_memory__figures__tell_what_rests_apart),
    };
    setenv("HAKMEM_HARDEN", "1", 1); /* read when the fake kernel wakes */
    return cmocka_run_group_tests_name("harden_memory", tests, NULL, NULL);
}
