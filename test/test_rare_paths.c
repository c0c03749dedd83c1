/*
 * Ways through the allocator that few programs come by: figures, reserves and forks with huge
 * pages, misuse of large blocks beside others, many idle threads, a thread that ended and goes on.
 *
 * ctest: labels=quick timeout=60 core=fake
 */
#include "front/heap.h"
#include "segment/huge.h"
#include "segment/segment.h"

#include "scenario.h"

#include <semaphore.h>

static void begin(const char *huge, const char *reserve, size_t pool_pages)
{
    SUPPORT_REQUIRE(setenv("HAKMEM_HUGE", huge, 1) == 0);
    SUPPORT_REQUIRE(setenv("HAKMEM_HUGE_THRESHOLD_MB", "0", 1) == 0);
    SUPPORT_REQUIRE(setenv("HAKMEM_HUGE_RESERVE", reserve, 1) == 0);
    hak_fake_set_huge_pool(pool_pages);
    hak_fake_wake(4096);
}

/* Runs body in a child, which must end so, and write that. */
static void expect_end(void (*body)(void *), int signal_number, const char *text)
{
    struct support_end end = support_run_child(body, NULL);
    bool as_wanted = signal_number == 0
                         ? end.status == 0
                         : WIFSIGNALED(end.status) && WTERMSIG(end.status) == signal_number;
    if (!as_wanted || strstr(end.text, text) == NULL)
        fail_msg("status %#x; it wrote: %s", (unsigned)end.status, end.text);
}

/* ---- huge pages ----------------------------------------------------------------------------- */

static void tell_of_the_pool(void *unused)
{
    (void)unused;
    begin("hugetlb", "0", 20);
    void *block = hak_malloc(10 * MIB);
    SUPPORT_REQUIRE(block != NULL);
    hak_free(block);
    hak_malloc_stats();
    SUPPORT_REQUIRE(hak_malloc_info(0, stderr) == 0);
}

static void huge__free_pages_of_the_pool__are_told_of_as_kept(void **state)
{
    (void)state;
    /* The first heap's segment, five of the block, and what the commit step added: 10 pages. */
    expect_end(tell_of_the_pool, 0, "hakmem: backed_bytes: ");
    struct support_end end = support_run_child(tell_of_the_pool, NULL);
    size_t mapped = 0, kept = 0;
    const char *pinned = strstr(end.text, "pinned_bytes "), *pool = strstr(end.text, "hugetlb ");
    assert_true(pinned != NULL && pool != NULL);
    assert_int_equal(sscanf(pinned, "pinned_bytes %zu", &kept), 1);
    assert_int_equal(sscanf(pool, "hugetlb %zu", &mapped), 1);
    assert_true(kept >= 10 * MIB && kept <= mapped && kept % (2 * MIB) == 0);
    char expected[64];
    snprintf(expected, sizeof expected, "<aspace type=\"2m\" size=\"%zu\"/>", mapped);
    assert_non_null(strstr(end.text, expected));
}

/* Who asks for THP is content with THP; who asks for the pool is not. */
static void reserve_thp(void *unused)
{
    (void)unused;
    begin("thp", "3", 0);
    SUPPORT_REQUIRE(hak_malloc(1) != NULL);
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_POPULATE) > 0);
}

static void reserve_of_the_pool(void *unused)
{
    (void)unused;
    begin("hugetlb", "3", 0);
    SUPPORT_REQUIRE(hak_malloc(1) != NULL);
}

static void huge__reserve_of_thp__is_enough_for_who_asks_for_it(void **state)
{
    (void)state;
    struct support_end end = support_run_child(reserve_thp, NULL);
    assert_int_equal(end.status, 0);
    assert_string_equal(end.text, "");
    expect_end(reserve_of_the_pool, 0, "hakmem: HAKMEM_HUGE_RESERVE=3: only 0 could be had");
}

static void fork_without_token(void *unused)
{
    (void)unused;
    begin("hugetlb", "0", 20);
    SUPPORT_REQUIRE(hak_malloc(10 * MIB) != NULL);
    size_t reserved_bytes = hak_fake_reserved_bytes();
    size_t held = hak_fake_huge_held();
    hak_fake_fail(HAK_FAKE_COMMIT, 1, 1);
    hak_huge_fork_prepare();
    hak_huge_fork_parent();
    SUPPORT_REQUIRE(hak_fake_failures(HAK_FAKE_COMMIT) == 1);
    SUPPORT_REQUIRE(hak_fake_reserved_bytes() == reserved_bytes); /* the page went back */
    SUPPORT_REQUIRE(hak_fake_huge_held() <= held && hak_fake_mistakes() == 0);
}

static unsigned yields;
static sem_t turn_taken, turn_over, turn_ended;

/* As a thread that maps pages of the pool. */
static void *have_the_turn(void *unused)
{
    SUPPORT_REQUIRE(hak_arena_turn_try() && sem_post(&turn_taken) == 0);
    SUPPORT_REQUIRE(sem_wait(&turn_over) == 0);
    hak_arena_turn_end();
    SUPPORT_REQUIRE(sem_post(&turn_ended) == 0);
    return unused;
}

static void end_the_turn(void)
{
    if (++yields == 3)
        SUPPORT_REQUIRE(sem_post(&turn_over) == 0 && sem_wait(&turn_ended) == 0);
}

static void fork_in_turn(void *unused)
{
    pthread_t thread;
    (void)unused;
    begin("hugetlb", "0", 20);
    SUPPORT_REQUIRE(hak_malloc(10 * MIB) != NULL);
    SUPPORT_REQUIRE(sem_init(&turn_taken, 0, 0) == 0 && sem_init(&turn_over, 0, 0) == 0);
    SUPPORT_REQUIRE(sem_init(&turn_ended, 0, 0) == 0);
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, have_the_turn, NULL) == 0);
    SUPPORT_REQUIRE(sem_wait(&turn_taken) == 0);
    hak_fake_at_yield(end_the_turn);
    hak_huge_fork_prepare();
    SUPPORT_REQUIRE(yields == 3 && hak_fake_huge_held() == 0); /* room was let go, in turn */
    hak_huge_fork_parent();
    SUPPORT_REQUIRE(hak_arena_turn_try()); /* and the turn ended */
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
}

static void huge__fork_short_of_a_page_or_of_the_turn__goes_on(void **state)
{
    (void)state;
    scenario_run(fork_without_token, NULL);
    scenario_run(fork_in_turn, NULL);
}

/* ---- threads -------------------------------------------------------------------------------- */

#define IDLE_THREADS 70 /* more than one barrier serves */
static pthread_barrier_t all_idle, all_may_end;

static void *idle_thread(void *unused)
{
    void *blocks[64];
    (void)unused;
    for (size_t i = 0; i < SUPPORT_COUNT(blocks); i++)
        SUPPORT_REQUIRE((blocks[i] = hak_malloc(2000)) != NULL);
    for (size_t i = 0; i < SUPPORT_COUNT(blocks); i++)
        hak_free(blocks[i]);
    pthread_barrier_wait(&all_idle);
    pthread_barrier_wait(&all_may_end);
    SUPPORT_REQUIRE(hak_heap_is_valid());
    return NULL;
}

static void trim_beside_idle_threads(void *unused)
{
    pthread_t threads[IDLE_THREADS];
    (void)unused;
    hak_fake_wake(4096);
    hak_free(hak_malloc(1));
    SUPPORT_REQUIRE(pthread_barrier_init(&all_idle, NULL, IDLE_THREADS + 1) == 0);
    SUPPORT_REQUIRE(pthread_barrier_init(&all_may_end, NULL, IDLE_THREADS + 1) == 0);
    for (size_t i = 0; i < IDLE_THREADS; i++)
        SUPPORT_REQUIRE(pthread_create(&threads[i], NULL, idle_thread, NULL) == 0);
    pthread_barrier_wait(&all_idle);
    size_t barriers = hak_fake_count(HAK_FAKE_BARRIER);
    (void)hak_malloc_trim(0);
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_BARRIER) == barriers + 2);
    pthread_barrier_wait(&all_may_end);
    for (size_t i = 0; i < IDLE_THREADS; i++)
        SUPPORT_REQUIRE(pthread_join(threads[i], NULL) == 0);
    (void)hak_malloc_trim(0);
    SUPPORT_REQUIRE(hak_taken_bytes() == 0 && hak_segment_is_valid());
}

static void threads__more_idle_than_a_barrier_serves__are_all_swept(void **state)
{
    (void)state;
    if (SUPPORT_SHADOWED)
        skip();
    scenario_run(trim_beside_idle_threads, NULL);
}

static pthread_key_t late_key;

static void *take_the_orphan(void *done)
{
    hak_free(hak_malloc(100));
    pthread_barrier_wait(done);
    return NULL;
}

/* Runs after the allocator's own destructor. Another thread, which lives on, has taken the heap. */
static void go_on_after_the_end(void *unused)
{
    pthread_barrier_t done;
    pthread_t other;
    (void)unused;
    SUPPORT_REQUIRE(hak_heap_has_ended() && hak_heap_orphans() == 1);
    SUPPORT_REQUIRE(pthread_barrier_init(&done, NULL, 2) == 0);
    SUPPORT_REQUIRE(pthread_create(&other, NULL, take_the_orphan, &done) == 0);
    while (hak_heap_orphans() != 0)
        sched_yield();
    char *block = hak_malloc(100); /* from a heap made for this call */
    SUPPORT_REQUIRE(block != NULL && hak_heap_orphans() == 1);
    support_fill(block, 100, 1);
    SUPPORT_REQUIRE(support_holds(block, 100, 1));
    hak_free(block);
    pthread_barrier_wait(&done);
    SUPPORT_REQUIRE(pthread_join(other, NULL) == 0);
}

static void *end_with_a_late_key(void *unused)
{
    hak_free(hak_malloc(100));
    SUPPORT_REQUIRE(pthread_setspecific(late_key, &late_key) == 0);
    return unused;
}

static void end_and_go_on(void *unused)
{
    pthread_t thread;
    (void)unused;
    hak_fake_wake(4096);
    hak_free(hak_malloc(100));
    SUPPORT_REQUIRE(pthread_key_create(&late_key, go_on_after_the_end) == 0);
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, end_with_a_late_key, NULL) == 0);
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
    (void)hak_malloc_trim(0);
    SUPPORT_REQUIRE(hak_taken_bytes() == 0 && hak_heap_orphans() == 2);
}

static void threads__ended_and_its_heap_taken__gets_another_for_the_call(void **state)
{
    (void)state;
    scenario_run(end_and_go_on, NULL);
}

/* ---- misuse beside other blocks ------------------------------------------------------------- */

static char *two_blocks(void)
{
    hak_fake_wake(4096);
    char *lower = hak_malloc(300 * KIB);
    char *upper = hak_malloc(300 * KIB);
    SUPPORT_REQUIRE(lower != NULL && upper > lower);
    return upper;
}

static void free_twice_above_another(void *unused)
{
    (void)unused;
    char *block = support_hide(two_blocks());
    hak_free(block);
    hak_free(support_hide(block));
}

static void free_inside_above_another(void *unused)
{
    (void)unused;
    hak_free(support_hide(two_blocks() + 128 * KIB));
}

static void large__freed_twice_above_a_live_one__is_told_from_inside(void **state)
{
    (void)state;
    expect_end(free_twice_above_another, SIGABRT, "hakmem: free of a block that is already free");
    expect_end(free_inside_above_another, SIGABRT, "hakmem: free of a pointer inside a block");
}

/* An address of the arena where nothing lives is no block: nothing may be used there. */
static void ask_where_nothing_lives(void *unused)
{
    (void)unused;
    char *block = support_hide(two_blocks());
    hak_free(block);
    SUPPORT_REQUIRE(hak_malloc_usable_size(support_hide(block)) == 0);
    errno = 0;
    SUPPORT_REQUIRE(hak_realloc(support_hide(block), 10) == NULL && errno == ENOMEM);
}

static void large__asked_of_after_its_free__has_no_bytes(void **state)
{
    (void)state;
    scenario_run(ask_where_nothing_lives, NULL);
}

/* ---- hardened ------------------------------------------------------------------------------- */

/* The kernel has no room for the arena: there is no block, and nothing that is asked does harm. */
static void ask_where_nothing_started(void *unused)
{
    char ours[16] = {0};
    (void)unused;
    SUPPORT_REQUIRE(setenv("HAKMEM_HARDEN", "1", 1) == 0);
    errno = 0;
    SUPPORT_REQUIRE(hak_malloc(10) == NULL && errno == ENOMEM);
    SUPPORT_REQUIRE(hak_malloc_usable_size(support_hide(ours)) == 0);
    errno = 0;
    SUPPORT_REQUIRE(hak_realloc(support_hide(ours), 10) == NULL && errno == ENOMEM);
    hak_free(support_hide(ours));
}

static void harden__not_started__refuses_and_frees_nothing(void **state)
{
    (void)state;
    scenario_run(ask_where_nothing_started, NULL);
}

#define MANY 300 /* so many that most of their pages are taken out of use */

static void free_twice_where_the_page_is_gone(void *unused)
{
    char *blocks[MANY];
    (void)unused;
    SUPPORT_REQUIRE(setenv("HAKMEM_HARDEN", "1", 1) == 0);
    hak_fake_wake(4096);
    for (size_t i = 0; i < MANY; i++)
        SUPPORT_REQUIRE((blocks[i] = hak_malloc(60000)) != NULL);
    for (size_t i = 0; i < MANY; i++)
        hak_free(blocks[i]);
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_HIDE) > MANY / 16);
    hak_free(support_hide(blocks[0]));
}

static void free_above_a_large_block(void *unused)
{
    (void)unused;
    SUPPORT_REQUIRE(setenv("HAKMEM_HARDEN", "1", 1) == 0);
    hak_free(support_hide(two_blocks() + MIB));
}

static void harden__freed_above_a_large_block__is_told_from_inside(void **state)
{
    (void)state;
    expect_end(free_above_a_large_block, SIGABRT, "hakmem: free of a pointer that is no block");
}

static void harden__freed_twice_after_its_page_retired__stops(void **state)
{
    (void)state;
    expect_end(free_twice_where_the_page_is_gone, SIGABRT,
               "hakmem: free of a block that is already free");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(huge__free_pages_of_the_pool__are_told_of_as_kept),
        cmocka_unit_test(huge__reserve_of_thp__is_enough_for_who_asks_for_it),
        cmocka_unit_test(huge__fork_short_of_a_page_or_of_the_turn__goes_on),
        cmocka_unit_test(threads__more_idle_than_a_barrier_serves__are_all_swept),
        cmocka_unit_test(threads__ended_and_its_heap_taken__gets_another_for_the_call),
        cmocka_unit_test(large__freed_twice_above_a_live_one__is_told_from_inside),
        cmocka_unit_test(large__asked_of_after_its_free__has_no_bytes),
        cmocka_unit_test(harden__not_started__refuses_and_frees_nothing),
        cmocka_unit_test(harden__freed_twice_after_its_page_retired__stops),
        cmocka_unit_test(harden__freed_above_a_large_block__is_told_from_inside),
    };
    return cmocka_run_group_tests_name("rare_paths", tests, NULL, NULL);
}
