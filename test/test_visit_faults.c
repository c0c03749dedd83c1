/*
 * hak_heap_visit() where it cannot tell of all: without memory, beside a thread that is in a slow
 * path for good, and of heaps that a fork froze. On the fake kernel.
 *
 * ctest: labels=quick timeout=60 core=fake
 */
#include "front/heap.h"
#include "hakmem.h"
#include "scenario.h"

#include <semaphore.h>

#define KEPT 500
#define KEPT_BYTES ((size_t)100)

static void *kept[KEPT];
static size_t told_kept;

static void keep(void)
{
    for (size_t i = 0; i < KEPT; i++)
        SUPPORT_REQUIRE((kept[i] = hak_malloc(KEPT_BYTES)) != NULL);
}

static int kept_told(const struct hak_block *block, void *unused)
{
    (void)unused;
    for (size_t i = 0; i < KEPT; i++)
        told_kept += kept[i] == block->address;
    return 0;
}

/* ---- memory --------------------------------------------------------------------------------- */

static void *visit_in_vain(void *unused)
{
    SUPPORT_REQUIRE(hak_heap_visit(kept_told, NULL) == HAK_VISIT_NO_MEMORY && told_kept == 0);
    return unused;
}

static void visit_without_memory(void *unused)
{
    pthread_t thread;
    hak_fake_wake(4096);
    keep();
    hak_fake_fail(HAK_FAKE_COMMIT, 1, HAK_FAKE_FOREVER);
    while (hak_meta_new(64, 64) != NULL) /* what was committed already */
        continue;
    visit_in_vain(unused); /* without a record for notes */
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, visit_in_vain, NULL) == 0); /* and a heap */
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
    SUPPORT_REQUIRE(hak_heap_is_valid());
    hak_fake_heal();
    SUPPORT_REQUIRE(hak_heap_visit(kept_told, NULL) == HAK_VISIT_ALL && told_kept == KEPT);
}

static void visit__memory_is_out__says_so_and_tells_nothing(void **state)
{
    (void)state;
    scenario_run(visit_without_memory, NULL);
}

/* ---- heaps of others ------------------------------------------------------------------------ */

static sem_t inside, leave;

/* Its thread stays in a slow path as long as the visitor does not return. */
static int wait_inside(const struct hak_block *block, void *unused)
{
    (void)block;
    (void)unused;
    SUPPORT_REQUIRE(sem_post(&inside) == 0);
    SUPPORT_REQUIRE(sem_wait(&leave) == 0);
    return 1;
}

static void *keep_and_stay_inside(void *unused)
{
    keep();
    SUPPORT_REQUIRE(hak_heap_visit(wait_inside, NULL) == HAK_VISIT_STOPPED);
    return unused;
}

static void fork_and_visit(void *unused)
{
    (void)unused;
    SUPPORT_REQUIRE(hak_heap_visit(kept_told, NULL) == HAK_VISIT_ALL && told_kept == KEPT);
}

static void visit_beside_the_slow(void *forks)
{
    pthread_t thread;
    (void)forks;
    hak_fake_wake(4096);
    SUPPORT_REQUIRE(sem_init(&inside, 0, 0) == 0 && sem_init(&leave, 0, 0) == 0);
    hak_free(hak_malloc(1));
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, keep_and_stay_inside, NULL) == 0);
    SUPPORT_REQUIRE(sem_wait(&inside) == 0);
    if (forks != NULL) {
        SUPPORT_REQUIRE(support_run_child(fork_and_visit, NULL).status == 0);
    } else {
        SUPPORT_REQUIRE(hak_heap_visit(kept_told, NULL) == HAK_VISIT_PART && told_kept == 0);
    }
    SUPPORT_REQUIRE(sem_post(&leave) == 0);
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
    SUPPORT_REQUIRE(hak_heap_visit(kept_told, NULL) == HAK_VISIT_ALL && told_kept == KEPT);
    SUPPORT_REQUIRE(hak_heap_is_valid());
}

static void visit__thread_stays_in_a_slow_path__tells_of_the_others(void **state)
{
    (void)state;
    scenario_run(visit_beside_the_slow, NULL);
}

static void visit__heap_that_a_fork_froze__is_told_of_as_it_was(void **state)
{
    static char forks;
    (void)state;
    scenario_run(visit_beside_the_slow, &forks);
}

/* ---- stop ----------------------------------------------------------------------------------- */

static int stop_at_large(const struct hak_block *block, void *calls)
{
    *(size_t *)calls += 1;
    return block->tier == HAK_TIER_LARGE;
}

/* Large blocks come last. */
static void stop_at_first_large(void *unused)
{
    size_t calls = 0;
    (void)unused;
    hak_fake_wake(4096);
    keep();
    for (size_t i = 0; i < 3; i++)
        SUPPORT_REQUIRE(hak_malloc(HAK_MIB) != NULL);
    SUPPORT_REQUIRE(hak_heap_visit(stop_at_large, &calls) == HAK_VISIT_STOPPED);
    SUPPORT_REQUIRE(calls == KEPT + 1);
}

static void visit__stopped_at_a_large_block__ends(void **state)
{
    (void)state;
    scenario_run(stop_at_first_large, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(visit__memory_is_out__says_so_and_tells_nothing),
        cmocka_unit_test(visit__thread_stays_in_a_slow_path__tells_of_the_others),
        cmocka_unit_test(visit__heap_that_a_fork_froze__is_told_of_as_it_was),
        cmocka_unit_test(visit__stopped_at_a_large_block__ends),
    };
    return cmocka_run_group_tests_name("visit_faults", tests, NULL, NULL);
}
