/*
 * What magazines may hold in sum.
 *
 * On the fake kernel, whose clock stands still: no tick makes a magazine smaller meanwhile.
 *
 * ctest: labels=quick,aarch64_full timeout=120 core=fake
 */
#include "front/heap.h"
#include "scenario.h"

#define CROWD 16

static pthread_barrier_t crowd;
static size_t most_bytes[CROWD];

/* What the magazines of one thread can hold after it used all Mid sizes in bulk. */
static void grow_magazines(unsigned index, void *unused)
{
    char *mine[256];
    (void)unused;
    hak_free(hak_malloc(1));
    pthread_barrier_wait(&crowd);
    for (size_t kib = 8; kib < 64; kib += 4) {
        for (unsigned round = 0; round < 64; round++) {
            for (size_t i = 0; i < SUPPORT_COUNT(mine); i++)
                SUPPORT_REQUIRE((mine[i] = hak_malloc(kib * KIB)) != NULL);
            for (size_t i = 0; i < SUPPORT_COUNT(mine); i++)
                hak_free(mine[i]);
        }
    }
    most_bytes[index] = hak_figure(&hak_heap_self->magazine_bytes);
    SUPPORT_REQUIRE(hak_heap_is_valid());
    pthread_barrier_wait(&crowd);
}

/* A size that comes after the share is used up still gets a magazine of one block. */
static void run_crowd(void *argument)
{
    unsigned threads = *(const unsigned *)argument;
    size_t share_bytes = threads > 8 ? 64 * MIB / threads : 8 * MIB;
    hak_fake_wake(4096);
    SUPPORT_REQUIRE(pthread_barrier_init(&crowd, NULL, threads) == 0);
    scenario_threads(threads, grow_magazines, NULL);
    for (unsigned i = 0; i < threads; i++)
        SUPPORT_REQUIRE(most_bytes[i] > share_bytes / 2 && most_bytes[i] <= share_bytes * 9 / 8);
}

static void magazines__one_thread_or_many__each_holds_its_share(void **state)
{
    const unsigned threads[] = {1, 4, CROWD};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(threads); i++) {
        unsigned count = threads[i];
        scenario_run(run_crowd, &count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(magazines__one_thread_or_many__each_holds_its_share),
    };
    return cmocka_run_group_tests_name("magazines", tests, NULL, NULL);
}
