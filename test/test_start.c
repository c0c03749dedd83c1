/*
 * The first call of a process, whichever it is, sets everything up: other libraries' constructors
 * may allocate before the library's own has run.
 *
 * ctest: labels=quick timeout=120 core=fake
 */
#include "front/start.h"

#include "scenario.h"
#include "workload.h"

#include <stdatomic.h>

static void begin(void)
{
    hak_fake_wake(4096);
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_RESERVE) == 0); /* nothing has been set up yet */
}

static void check_block(char *block, size_t bytes, size_t alignment)
{
    if (block == NULL)
        dprintf(STDERR_FILENO, "%zu bytes at a multiple of %zu: none\n", bytes, alignment);
    SUPPORT_REQUIRE(block != NULL && (uintptr_t)block % alignment == 0);
    SUPPORT_REQUIRE(hak_malloc_usable_size(block) >= bytes);
    memset(block, 1, bytes);
    hak_free(block);
    workload_check();
}

static const size_t sizes[] = {0,    1,    16,    100,   1000,  1024,   1025,    3000,
                               4096, 5000, 40000, 65536, 65537, 300000, 2 * MIB, 5 * MIB};

/* ---- one call each -------------------------------------------------------------------------- */

static void first_malloc(void *argument)
{
    size_t bytes = *(const size_t *)argument;
    begin();
    check_block(hak_malloc(bytes), bytes, 16);
}

static void first_calloc(void *argument)
{
    size_t bytes = *(const size_t *)argument;
    begin();
    char *block = hak_calloc(1, bytes);
    SUPPORT_REQUIRE(block != NULL && support_is_zero(block, bytes));
    check_block(block, bytes, 16);
}

static void first_realloc(void *argument)
{
    size_t bytes = *(const size_t *)argument;
    begin();
    check_block(hak_realloc(NULL, bytes), bytes, 16);
}

static void first_aligned(void *argument)
{
    size_t bytes = *(const size_t *)argument;
    begin();
    check_block(hak_aligned_alloc(256, bytes), bytes, 256);
}

static void first_memalign(void *argument)
{
    size_t bytes = *(const size_t *)argument;
    void *block = NULL;
    begin();
    SUPPORT_REQUIRE(hak_posix_memalign(&block, 4096, bytes) == 0);
    check_block(block, bytes, 4096);
}

static void start__first_call_allocates__block_of_every_size(void **state)
{
    void (*const bodies[])(void *) = {first_malloc, first_calloc, first_realloc, first_aligned,
                                      first_memalign};
    (void)state;
    for (size_t b = 0; b < SUPPORT_COUNT(bodies); b++) {
        for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
            scenario_run(bodies[b], &(size_t){sizes[i]});
    }
}

static void other_first_calls(void *argument)
{
    static char foreign[64];
    struct mallinfo2 info = {0};
    begin();
    errno = 0;
    switch (*(const unsigned *)argument) {
    case 0:
        hak_free(NULL);
        break;
    case 1:
        hak_free(foreign);
        break;
    case 2:
        SUPPORT_REQUIRE(hak_malloc_usable_size(foreign) == 0);
        break;
    case 3:
        SUPPORT_REQUIRE(hak_realloc(foreign, 10) == NULL && errno == ENOMEM);
        break;
    case 4:
        SUPPORT_REQUIRE(hak_malloc_trim(0) == 0);
        break;
    case 5:
        info = hak_mallinfo2();
        SUPPORT_REQUIRE(info.uordblks == 0 && info.hblkhd == 0);
        break;
    case 6:
        hak_malloc_stats();
        break;
    case 7:
        SUPPORT_REQUIRE(hak_mallopt(0, 0) == 1);
        break;
    default:
        SUPPORT_REQUIRE(hak_heap_is_valid() && hak_segment_is_valid() && hak_region_is_valid());
    }
    check_block(hak_malloc(100), 100, 16);
}

static void start__first_call_does_not_allocate__is_harmless(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 9; i++)
        scenario_run(other_first_calls, &i);
}

/* ---- no memory at first --------------------------------------------------------------------- */

static void start_without_memory(void *argument)
{
    size_t bytes = *(const size_t *)argument;
    begin();
    hak_fake_fail(HAK_FAKE_RESERVE, 1, HAK_FAKE_FOREVER);
    for (unsigned i = 0; i < 3; i++) {
        errno = 0;
        SUPPORT_REQUIRE(!hak_start());
        SUPPORT_REQUIRE(hak_malloc(bytes) == NULL && errno == ENOMEM);
        hak_free(NULL);
    }
    SUPPORT_REQUIRE(hak_fake_reserved_bytes() == 0);
    hak_fake_heal();
    check_block(hak_malloc(bytes), bytes, 16);
    SUPPORT_REQUIRE(hak_start());
}

static void start__no_address_space_at_first__is_tried_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
        scenario_run(start_without_memory, &(size_t){sizes[i]});
}

/* ---- threads -------------------------------------------------------------------------------- */

static void allocate_first(unsigned index, void *unused)
{
    (void)unused;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++) {
        size_t bytes = sizes[(index + i) % SUPPORT_COUNT(sizes)];
        char *block = hak_malloc(bytes);
        SUPPORT_REQUIRE(block != NULL);
        support_fill(block, bytes < 4096 ? bytes : 4096, index);
        SUPPORT_REQUIRE(support_holds(block, bytes < 4096 ? bytes : 4096, index));
        hak_free(block);
    }
}

static void start_in_threads(void *unused)
{
    (void)unused;
    begin();
    scenario_threads(8, allocate_first, NULL);
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_RESERVE) == 2); /* one of them did the work */
    workload_check();
}

static void start__8_threads_at_once__one_sets_up(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20; round++)
        scenario_run(start_in_threads, NULL);
}

/* ---- fork ----------------------------------------------------------------------------------- */

static _Atomic(bool) is_half_way;
static int way_on[2];

/* In the middle of the set-up, until the pipe says to go on. */
static void stand_half_way(void)
{
    char byte;
    atomic_store_explicit(&is_half_way, true, memory_order_release); /* the arena is there */
    SUPPORT_REQUIRE(read(way_on[0], &byte, 1) == 1);
}

static void *set_up_slowly(void *unused)
{
    check_block(hak_malloc(100), 100, 16);
    return unused;
}

static void fork_while_half_way(void *unused)
{
    pthread_t thread;
    (void)unused;
    begin();
    SUPPORT_REQUIRE(pipe(way_on) == 0);
    setenv("HAKMEM_HUGE", "hugetlb", 1); /* whose reserve is populated at start */
    setenv("HAKMEM_HUGE_RESERVE", "2", 1);
    hak_fake_set_huge_pool(4);
    hak_fake_at_huge_map(stand_half_way);
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, set_up_slowly, NULL) == 0);
    /* acquire: pairs with stand_half_way(). */
    while (!atomic_load_explicit(&is_half_way, memory_order_acquire))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    pid_t child = fork();
    SUPPORT_REQUIRE(child >= 0);
    if (child == 0) {
        alarm(SUPPORT_SHADOWED ? 60 : 20); /* who waits for the other thread waits for ever */
        hak_fake_at_huge_map(NULL);
        for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
            check_block(hak_malloc(sizes[i]), sizes[i], 16);
        _exit(0);
    }
    int status = -1;
    SUPPORT_REQUIRE(waitpid(child, &status, 0) == child && status == 0);
    hak_fake_at_huge_map(NULL);
    SUPPORT_REQUIRE(write(way_on[1], "", 1) == 1);
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
}

static void start__fork_while_another_thread_sets_up__child_sets_itself_up(void **state)
{
    (void)state;
    scenario_run(fork_while_half_way, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start__first_call_allocates__block_of_every_size),
        cmocka_unit_test(start__first_call_does_not_allocate__is_harmless),
        cmocka_unit_test(start__no_address_space_at_first__is_tried_again),
        cmocka_unit_test(start__8_threads_at_once__one_sets_up),
        cmocka_unit_test(start__fork_while_another_thread_sets_up__child_sets_itself_up),
    };
    return cmocka_run_group_tests_name("start", tests, NULL, NULL);
}
