/*
 * The profiler where each block is sampled: every stack has one place in the profile, whoever sees
 * it first and however long it is; and without memory for it, nothing is lost but the stack. On the
 * fake kernel.
 *
 * ctest: labels=quick timeout=60 core=fake
 */
#include "front/layout.h"
#include "front/profile/inside.h"

#include "scenario.h"

#define BLOCK_BYTES ((size_t)48)

/* So small a mean that a block which is not sampled comes once in 10^20. */
static void begin(void)
{
    SUPPORT_REQUIRE(setenv("HAKMEM_PROF", "1", 1) == 0);
    SUPPORT_REQUIRE(setenv("HAKMEM_PROF_BYTES", "1", 1) == 0);
    SUPPORT_REQUIRE(setenv("HAKMEM_PROF_FILE", "/dev/null/none", 1) == 0);
    SUPPORT_REQUIRE(setenv("HAKMEM_ARENA_MB_INIT", "64", 1) == 0);
    hak_fake_wake(4096);
    hak_free(support_hide(hak_malloc(1)));
    SUPPORT_REQUIRE(hak_bins_below == HAK_BINS);
}

/* From here on there is memory for blocks, and none for records. */
static void records_end(void)
{
    hak_fake_fail(HAK_FAKE_COMMIT, 1, HAK_FAKE_FOREVER);
    while (hak_meta_new(HAK_META_MIN_BYTES, HAK_META_MIN_BYTES) != NULL)
        continue;
}

static void run(void (*body)(void *))
{
    if (!HAK_LAYOUT_PROFILES)
        skip(); /* the header mode */
    scenario_run(body, NULL);
}

#define BRANCH_BYTES 1000 /* of code, at most, with some that is called once a stack */

/* `way` says of each call by which of two places it is. */
__attribute__((noinline, noclone)) static void branch(unsigned way, unsigned left)
{
    if (left == 0) {
        hak_free(support_hide(hak_malloc(BLOCK_BYTES)));
    } else if (way % 2 == 0) {
        branch(way / 2, left - 1);
        __asm__ volatile(""); /* no jump */
    } else {
        branch(way / 2, left - 1);
        __asm__ volatile("nop"); /* and not the same */
    }
}

struct sums {
    size_t sites, callers_max;
    uint64_t taken_objects, freed_objects, taken_most;
};

/* Of all stacks with so many calls in [branch, branch + BRANCH_BYTES), at least; 0: of the one that
 * has no callers. */
static struct sums sums_of(size_t calls)
{
    struct sums sums = {0};
    const struct hak_prof_site *site = NULL;
    while ((site = hak_prof_site_after(site)) != NULL) {
        size_t found = 0;
        for (size_t i = 0; i < site->count; i++)
            found += site->callers[i] - (uintptr_t)branch < BRANCH_BYTES;
        if (calls == 0 ? site->count != 0 : found < calls)
            continue;
        /* relaxed: nobody else is at it. */
        uint64_t taken = atomic_load_explicit(&site->taken_objects, memory_order_relaxed);
        uint64_t freed = atomic_load_explicit(&site->freed_objects, memory_order_relaxed);
        sums.sites++;
        sums.callers_max = hak_max(sums.callers_max, site->count);
        sums.taken_objects += taken / HAK_PROF_OBJECT;
        sums.freed_objects += freed / HAK_PROF_OBJECT;
        sums.taken_most = hak_max(sums.taken_most, taken / HAK_PROF_OBJECT);
    }
    return sums;
}

/* ---- stacks --------------------------------------------------------------------------------- */

#define BRANCHES 9 /* 512 stacks: of 4096 buckets, some have two */
#define STACKS ((size_t)1 << BRANCHES)

static void go_all_ways(unsigned index, void *unused)
{
    (void)index;
    (void)unused;
    for (unsigned way = 0; way < STACKS; way++)
        branch(way, BRANCHES);
}

#define THREADS 4

/* Twice: the second time, each is found. */
static void see_the_same_at_once(void *unused)
{
    begin();
    for (uint64_t round = 1; round <= 2; round++) {
        scenario_threads(THREADS, go_all_ways, unused);
        struct sums sums = sums_of(BRANCHES);
        SUPPORT_REQUIRE(sums.sites == STACKS);
        SUPPORT_REQUIRE(sums.taken_objects == STACKS * THREADS * round);
        SUPPORT_REQUIRE(sums.freed_objects == STACKS * THREADS * round);
        SUPPORT_REQUIRE(sums.taken_most == THREADS * round);
    }
    SUPPORT_REQUIRE(hak_heap_is_valid() && hak_fake_mistakes() == 0);
}

static void prof__threads_see_new_stacks_at_once__each_has_one_site(void **state)
{
    (void)state;
    run(see_the_same_at_once);
}

static void go_deep(void *unused)
{
    (void)unused;
    begin();
    branch(0, HAK_PROF_CALLERS * 2);
    branch(0, HAK_PROF_CALLERS * 3); /* its first callers are the same */
    struct sums sums = sums_of(BRANCHES);
    SUPPORT_REQUIRE(sums.sites == 1 && sums.callers_max == HAK_PROF_CALLERS);
    SUPPORT_REQUIRE(sums.taken_objects == 2 && sums.freed_objects == 2);
}

static void prof__stack_is_longer_than_is_kept__its_end_counts(void **state)
{
    (void)state;
    run(go_deep);
}

/* ---- memory is out -------------------------------------------------------------------------- */

static void sample_without_memory(void *unused)
{
    (void)unused;
    begin();
    records_end();
    void *block = hak_malloc(BLOCK_BYTES);
    SUPPORT_REQUIRE(block != NULL && hak_malloc_usable_size(block) == BLOCK_BYTES);
    struct sums lost = sums_of(0);
    SUPPORT_REQUIRE(lost.sites == 1 && lost.taken_objects == 1 && lost.freed_objects == 0);
    hak_fake_heal();
    void *other = hak_malloc(BLOCK_BYTES);
    SUPPORT_REQUIRE(other != NULL && sums_of(0).taken_objects == 1); /* it has a site */
    hak_free(block);
    hak_free(other);
    SUPPORT_REQUIRE(sums_of(0).freed_objects == 1);
    SUPPORT_REQUIRE(hak_heap_is_valid() && hak_segment_is_valid() && hak_fake_mistakes() == 0);
}

static void prof__no_memory_for_a_stack__figures_are_kept(void **state)
{
    (void)state;
    run(sample_without_memory);
}

static void *allocate_in_vain(void *unused)
{
    errno = 0;
    SUPPORT_REQUIRE(hak_malloc(BLOCK_BYTES) == NULL && errno == ENOMEM);
    hak_fake_heal();
    hak_free(support_hide(hak_malloc(BLOCK_BYTES)));
    return unused;
}

static void start_a_thread_without_memory(void *unused)
{
    pthread_t thread;
    begin();
    records_end();
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, allocate_in_vain, unused) == 0);
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
    SUPPORT_REQUIRE(hak_heap_is_valid() && hak_fake_mistakes() == 0);
}

static void prof__no_memory_for_a_heap__enomem_until_there_is(void **state)
{
    (void)state;
    run(start_a_thread_without_memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prof__threads_see_new_stacks_at_once__each_has_one_site),
        cmocka_unit_test(prof__stack_is_longer_than_is_kept__its_end_counts),
        cmocka_unit_test(prof__no_memory_for_a_stack__figures_are_kept),
        cmocka_unit_test(prof__no_memory_for_a_heap__enomem_until_there_is),
    };
    return cmocka_run_group_tests_name("prof_faults", tests, NULL, NULL);
}
