/*
 * Pages with free slots pass from a heap that does not use them to one that needs some: here from
 * the heap of a thread that sleeps.
 *
 * On the fake kernel, whose clock stands still: no tick tidies anything up meanwhile.
 *
 * ctest: labels=quick,aarch64 timeout=120 core=fake
 */
#include "front/heap.h"
#include "region/region.h"
#include "scenario.h"
#include "segment/segment.h"

#define BLOCK_BYTES ((size_t)512)
#define BLOCKS 3200 /* 25 pages of 128 */
#define KEPT_BYTES (8 * HAK_PAGE_BYTES)

static char *blocks[BLOCKS];
static char *others[BLOCKS];
static pthread_barrier_t turn;

static void fill(char **block, size_t i)
{
    *block = hak_malloc(BLOCK_BYTES);
    SUPPORT_REQUIRE(*block != NULL);
    support_fill(*block, BLOCK_BYTES, (uintptr_t)block + i);
}

static void drop(char **block, size_t i)
{
    SUPPORT_REQUIRE(support_holds(*block, BLOCK_BYTES, (uintptr_t)block + i));
    hak_free(*block);
    *block = NULL;
}

/* Other threads take their turn. */
static void pass_turn(void)
{
    pthread_barrier_wait(&turn);
    pthread_barrier_wait(&turn);
}

/* Has some blocks in its magazine when it goes to sleep; these stay its own. When it wakes up it
 * flushes them, or hands them out again. */
static void sleeper(unsigned magazine_blocks, bool flush_first)
{
    for (size_t i = 0; i < BLOCKS; i++)
        fill(&blocks[i], i);
    for (size_t i = 0; i < magazine_blocks; i++)
        drop(&blocks[i * 8 + 1], i * 8 + 1);
    pass_turn();
    SUPPORT_REQUIRE(hak_heap_is_valid());
    if (flush_first) {
        hak_heap_flush_all(hak_heap_enter());
        hak_heap_leave(hak_heap_self);
    }
    for (size_t i = 1; i < BLOCKS; i += 2) {
        if (blocks[i] != NULL)
            drop(&blocks[i], i); /* adopted or not: its magazine overflows on the way */
    }
    for (size_t i = 1; i < BLOCKS; i += 2)
        fill(&blocks[i], i);
    for (size_t i = 1; i < BLOCKS; i += 2)
        drop(&blocks[i], i);
    SUPPORT_REQUIRE(hak_heap_is_valid());
    hak_heap_flush_all(hak_heap_enter());
    hak_heap_leave(hak_heap_self);
    pass_turn();
}

struct course {
    unsigned magazine_blocks;
    bool flush_first, barriers_fail;
};

/* Frees every second block of the sleeper, and takes about as many of its own. */
static void user(const struct course *course)
{
    pthread_barrier_wait(&turn);
    if (course->barriers_fail)
        hak_fake_fail(HAK_FAKE_BARRIER, 1, HAK_FAKE_FOREVER);
    for (size_t i = 0; i < BLOCKS; i += 2)
        drop(&blocks[i], i);
    hak_remote_flush(hak_heap_enter());
    hak_heap_leave(hak_heap_self);
    size_t taken_bytes = hak_taken_bytes();
    for (size_t i = 0; i < BLOCKS / 2 - 100; i++)
        fill(&others[i], i);
    size_t more_bytes = hak_taken_bytes() - taken_bytes;
    SUPPORT_REQUIRE(course->barriers_fail ? more_bytes > KEPT_BYTES : more_bytes <= KEPT_BYTES);
    SUPPORT_REQUIRE(hak_heap_is_valid());
    pthread_barrier_wait(&turn);
    pthread_barrier_wait(&turn); /* the sleeper woke up, and has freed all that is its own */
    SUPPORT_REQUIRE(hak_heap_is_valid());
    for (size_t i = 0; i < BLOCKS / 2 - 100; i++)
        drop(&others[i], i);
    hak_heap_flush_all(hak_heap_enter());
    hak_heap_leave(hak_heap_self);
    pthread_barrier_wait(&turn);
}

static void run_thread(unsigned index, void *course)
{
    const struct course *of = course;
    if (index == 0)
        sleeper(of->magazine_blocks, of->flush_first);
    else
        user(of);
}

static void run_course(void *course)
{
    SUPPORT_REQUIRE(pthread_barrier_init(&turn, NULL, 2) == 0);
    hak_fake_wake(4096);
    hak_free(hak_malloc(1)); /* the main thread has a heap, too */
    hak_malloc_trim(0);
    size_t used_bytes = hak_mallinfo2().uordblks;
    scenario_threads(2, run_thread, course);
    hak_malloc_trim(0);
    SUPPORT_REQUIRE(hak_mallinfo2().uordblks == used_bytes);
    SUPPORT_REQUIRE(hak_segment_is_valid() && hak_region_is_valid());
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
}

static void adopt__owner_sleeps__its_half_free_pages_serve(void **state)
{
    struct course course = {.magazine_blocks = 0};
    (void)state;
    scenario_run(run_course, &course);
}

static void adopt__owner_sleeps_with_blocks_in_its_magazine__nothing_is_lost(void **state)
{
    (void)state;
    for (unsigned blocks_held = 1; blocks_held < 256; blocks_held *= 4) {
        for (unsigned flush_first = 0; flush_first < 2; flush_first++) {
            struct course course = {blocks_held, flush_first != 0, false};
            scenario_run(run_course, &course);
        }
    }
}

/* Nobody can tell whether the owner is in a slow path: hands off. */
static void adopt__no_barriers__takes_new_pages(void **state)
{
    struct course course = {.magazine_blocks = 64, .barriers_fail = true};
    (void)state;
    scenario_run(run_course, &course);
}

/* ---- holding -------------------------------------------------------------------------------- */

static struct hak_heap *target;

static void become_held_orphan(void)
{
    atomic_store(&target->state, HAK_HEAP_ORPHAN_HELD);
}

/* Its thread ended between our first look and the barrier, and somebody else holds the orphan. */
static void hold_late(void *unused)
{
    (void)unused;
    hak_fake_wake(4096);
    hak_free(hak_malloc(1));
    target = hak_heap_self;
    hak_fake_at_barrier(become_held_orphan);
    SUPPORT_REQUIRE(!hak_heap_hold_idle(target));
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_BARRIER) == 1);
    SUPPORT_REQUIRE(atomic_load(&target->state) == HAK_HEAP_ORPHAN_HELD);
    SUPPORT_REQUIRE(atomic_load(&target->holder) == 0);
}

static void adopt__idle_heap_became_a_held_orphan__hold_of_the_other_stands(void **state)
{
    (void)state;
    scenario_run(hold_late, NULL);
}

static void become_busy(void)
{
    atomic_store(&target->state, HAK_HEAP_BUSY);
}

static void hold_what_is_or_becomes(void *unused)
{
    (void)unused;
    hak_fake_wake(4096);
    hak_free(hak_malloc(1));
    target = hak_heap_self;
    SUPPORT_REQUIRE(hak_heap_hold_idle(target));
    SUPPORT_REQUIRE(!hak_heap_hold_idle(target)); /* by one at a time */
    hak_heap_let_go_idle(target);
    hak_fake_at_barrier(become_busy);
    SUPPORT_REQUIRE(!hak_heap_hold_idle(target));
    SUPPORT_REQUIRE(atomic_load(&target->holder) == 0);
    atomic_store(&target->state, HAK_HEAP_IDLE);
    /* A refused barrier is not asked for again before the next tick. */
    hak_fake_fail(HAK_FAKE_BARRIER, 1, HAK_FAKE_FOREVER);
    size_t calls = hak_fake_count(HAK_FAKE_BARRIER);
    SUPPORT_REQUIRE(!hak_heap_hold_idle(target) && !hak_heap_hold_idle(target));
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_BARRIER) == calls + 1);
    SUPPORT_REQUIRE(atomic_load(&target->holder) == 0);
    (void)hak_heap_trim(); /* reserves all that are idle */
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_BARRIER) == calls + 1);
    SUPPORT_REQUIRE(atomic_load(&target->holder) == 0);
    hak_fake_heal();
    hak_fake_advance_ms(1000);
    hak_heap_poll();
    SUPPORT_REQUIRE(hak_heap_hold_idle(target));
    hak_heap_let_go_idle(target);
}

static void adopt__idle_heap__is_held_by_one_and_only_while_idle(void **state)
{
    (void)state;
    scenario_run(hold_what_is_or_becomes, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adopt__owner_sleeps__its_half_free_pages_serve),
        cmocka_unit_test(adopt__owner_sleeps_with_blocks_in_its_magazine__nothing_is_lost),
        cmocka_unit_test(adopt__no_barriers__takes_new_pages),
        cmocka_unit_test(adopt__idle_heap_became_a_held_orphan__hold_of_the_other_stands),
        cmocka_unit_test(adopt__idle_heap__is_held_by_one_and_only_while_idle),
    };
    return cmocka_run_group_tests_name("adopt", tests, NULL, NULL);
}
