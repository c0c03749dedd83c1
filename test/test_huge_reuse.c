/*
 * Segments of huge pages over their life, on a kernel whose pool is as the test says: freed and
 * used again, given back, shared with children of a fork, and asked for by several threads at once.
 *
 * ctest: labels=quick timeout=240 core=fake
 */
#include "scenario_huge.h"

#include <semaphore.h>

/* ---- memory goes back ----------------------------------------------------------------------- */

static void trim(void *fork)
{
    begin((struct setting){"hugetlb", fork, NULL, NULL, 40});
    for (unsigned round = 0; round < 3; round++) {
        grow(0, 8);
        workload_malloc(&work, 8, 7 * MIB);
        huge_check();
        workload_free(&work, 3);
        hak_malloc_trim(0);
        huge_check();
        SUPPORT_REQUIRE(!hak_fake_is_huge(segment_start(3)));
        SUPPORT_REQUIRE(round != 0 || hak_fake_huge_mapped() == hak_arena_committed() - 1);
        shrink(0, 9);
        hak_malloc_trim(0);
        room_check();
        SUPPORT_REQUIRE(hak_fake_huge_mapped() == 0 && hak_dirty_bytes() == 0);
        SUPPORT_REQUIRE(hak_os_huge_free_bytes(&two_mib) == 40 * HAK_SEGMENT_BYTES);
    }
}

static void huge_reuse__trim__gives_free_segments_back(void **state)
{
    (void)state;
    scenario_run(trim, "safe");
    scenario_run(trim, "warn");
}

static void age(void)
{
    for (unsigned tick = 0; tick < 3; tick++) {
        hak_fake_advance_ms(150);
        hak_heap_poll();
    }
}

static void age_with_and_without_need(void *unused)
{
    (void)unused;
    begin((struct setting){"hugetlb", "safe", NULL, NULL, 16});
    grow(0, 6);
    shrink(0, 5);
    age();
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 6);
    size_t renewals = hak_fake_count(HAK_FAKE_RENEW);
    SUPPORT_REQUIRE(renewals == 0);
    grow(0, 5);  /* in the same places */
    grow(6, 10); /* two of four: the pool is short */
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 8 && hak_huge_is_short());
    shrink(0, 5);
    age();
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 3);
    grow(10, 15); /* where the pages were */
    huge_check();
    hak_fake_advance_ms(SHORT_MS);
    SUPPORT_REQUIRE(!hak_huge_is_short());
    grow(15, 17);
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 5);
}

/* Fresh memory is asked for while more than a share of what is in use lies free. */
static void bound_with_need(void *unused)
{
    (void)unused;
    begin((struct setting){"hugetlb", "safe", NULL, NULL, 16});
    grow(0, 10);
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 8 && hak_huge_is_short());
    for (size_t i = 0; i < 8; i += 2)
        workload_free(&work, i);
    workload_malloc(&work, 10, 7 * MIB);
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() < 8 && hak_fake_is_huge(segment_start(0)));
}

static void huge_reuse__free_memory_ages__goes_back_when_the_pool_is_short(void **state)
{
    (void)state;
    scenario_run(bound_with_need, NULL);
    scenario_run(age_with_and_without_need, NULL);
}

static void *calloc_checked(size_t bytes)
{
    char *block = hak_calloc(1, bytes);
    SUPPORT_REQUIRE(block != NULL && support_is_zero(block, bytes));
    memset(block, 0xff, bytes);
    return block;
}

/* In new, in used and in returned segments, and over the border between huge and other ones. */
static void calloc_again(void *threshold_mb)
{
    static const size_t sizes[] = {SEGMENT_BLOCK, 100 * KIB, 7 * MIB, 3 * MIB, 300 * KIB, 15 * MIB};
    void *blocks[SUPPORT_COUNT(sizes)];
    begin((struct setting){"hugetlb", "warn", threshold_mb, NULL, 40});
    for (unsigned round = 0; round < 8; round++) {
        for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
            blocks[i] = calloc_checked(sizes[(i + round) % SUPPORT_COUNT(sizes)]);
        for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
            hak_free(blocks[i]);
        if (round % 4 == 3)
            hak_malloc_trim(0);
        huge_check();
    }
}

static void huge_reuse__calloc_in_used_segments__is_zero(void **state)
{
    (void)state;
    scenario_run(calloc_again, "0");
    scenario_run(calloc_again, "8");
}

/* The first slots of a segment were given back, then all of it should be: what the kernel left
 * where that failed is not taken for zero. */
static void purge_that_fails(void *unused)
{
    (void)unused;
    begin((struct setting){"thp", "safe", NULL, NULL, 0});
    void *first = calloc_checked(100 * KIB), *second = calloc_checked(100 * KIB);
    hak_free(first);
    hak_malloc_trim(0);
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_PURGE) == 1 && hak_dirty_bytes() == 0);
    hak_free(second);
    hak_fake_fail(HAK_FAKE_PURGE, 1, 1);
    hak_malloc_trim(0);
    SUPPORT_REQUIRE(hak_fake_failures(HAK_FAKE_PURGE) == 1);
    hak_free(calloc_checked(SEGMENT_BLOCK));
    SUPPORT_REQUIRE(hak_arena_end() == 1);
    huge_check();
    hak_malloc_trim(0);
    SUPPORT_REQUIRE(hak_dirty_bytes() == 0);
}

static void huge_reuse__purge_of_a_segment_fails__calloc_is_zero(void **state)
{
    (void)state;
    scenario_run(purge_that_fails, NULL);
}

/* Blocks that grow, and are in each other's way, from ordinary to huge segments and behind them. */
static void realloc_across(void *pool_pages)
{
    begin((struct setting){"hugetlb", "warn", "8", NULL, *(const size_t *)pool_pages});
    for (size_t i = 0; i < 4; i++)
        workload_malloc(&work, i, MIB);
    for (unsigned round = 0; round < 10; round++) {
        for (size_t i = 0; i < 4; i++) {
            workload_realloc(&work, i, work.blocks[i].bytes * 3 / 2);
            workload_calloc(&work, 4 + 4 * round + i, 100 * KIB);
            huge_check();
        }
        if (round % 4 == 3)
            hak_malloc_trim(0);
    }
    for (size_t i = 0; i < 4; i++)
        workload_realloc(&work, i, 3 * MIB);
    workload_free_all(&work);
    huge_check();
    SUPPORT_REQUIRE(workload_taken() == 0 && hak_fake_count(HAK_FAKE_MOVE) > 0);
}

/* It grows in place from an ordinary segment into one of the pool, and then moves to ordinary ones:
 * the kernel cannot move all of it. */
static void realloc_in_place_first(void *unused)
{
    (void)unused;
    begin((struct setting){"hugetlb", "warn", "2", NULL, 1});
    workload_malloc(&work, 0, 1200 * KIB);
    grow(1, 2);
    shrink(1, 2);
    const char *place = work.blocks[0].start;
    workload_realloc(&work, 0, 3500 * KIB);
    SUPPORT_REQUIRE(work.blocks[0].start == place && hak_fake_is_huge(segment_start(1)));
    grow(2, 3);
    workload_realloc(&work, 0, 7 * MIB);
    SUPPORT_REQUIRE(work.blocks[0].start != place && hak_fake_huge_mapped() == 1);
    huge_check();
    shrink(0, 3);
}

static void huge_reuse__realloc_across_kinds_of_segments__keeps_contents(void **state)
{
    (void)state;
    for (size_t pages = 0; pages <= 120; pages += 24)
        scenario_run(realloc_across, &pages);
    scenario_run(realloc_in_place_first, NULL);
}

/* ---- fork ----------------------------------------------------------------------------------- */

static size_t naps;

static void nap(void)
{
    naps++;
    hak_fake_advance_ms(1);
}

/* The parent's part of a fork. */
static void fork_pretended(void)
{
    hak_huge_fork_prepare();
    hak_huge_fork_parent();
}

/* A child ends in the tenth nap, and its copies go back. */
static void nap_until_a_child_ends(void)
{
    nap();
    if (naps == 10)
        hak_fake_set_huge_pool(12);
}

/* Four are mapped. A fifth takes two pages, beside four for what is mapped and four for a child. */
static void fork_with_room(void *argument)
{
    size_t pool_pages = *(const size_t *)argument;
    begin((struct setting){"hugetlb", "safe", NULL, NULL, pool_pages});
    hak_fake_at_yield(nap);
    fork_pretended(); /* nothing is mapped yet */
    grow(0, 4);
    room_check();
    fork_pretended();
    SUPPORT_REQUIRE(hak_fake_huge_held() == 0 && naps == 0);
    hak_fake_set_huge_shared(true);
    grow(4, 5);
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == (pool_pages >= 14 ? 5 : 4));
}

/* Five mapped, and seven left: a child may ask for five of them. */
static void fork_with_sharers(void *unused)
{
    (void)unused;
    begin((struct setting){"hugetlb", "safe", NULL, NULL, 12});
    hak_fake_at_yield(nap);
    grow(0, 5);
    fork_pretended();
    SUPPORT_REQUIRE(naps == 0);
    hak_fake_set_huge_shared(true);
    grow(5, 6);
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 5 && hak_fake_huge_held() == 0);
    fork_pretended(); /* for two children there is no room: it waits, and warns */
    SUPPORT_REQUIRE(naps >= 40 && naps <= 60);
    fork_pretended();
    hak_fake_set_huge_shared(false); /* they ended */
    naps = 0;
    fork_pretended();
    SUPPORT_REQUIRE(naps == 0);
    hak_fake_advance_ms(SHORT_MS);
    grow(6, 7);
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 6);
}

static void fork_while_a_child_ends(void *unused)
{
    (void)unused;
    begin((struct setting){"hugetlb", "safe", NULL, NULL, 12});
    grow(0, 5);
    hak_fake_set_huge_pool(9); /* copies of a child's */
    hak_fake_at_yield(nap_until_a_child_ends);
    fork_pretended();
    SUPPORT_REQUIRE(naps == 10);
}

static void fork_in_mode_warn(void *unused)
{
    (void)unused;
    begin((struct setting){"hugetlb", "warn", NULL, NULL, 6});
    hak_fake_at_yield(nap);
    grow(0, 3);
    fork_pretended();
    grow(3, 4); /* others are mapped, whoever shares */
    huge_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 4 && hak_fake_huge_held() == 0);
    fork_pretended();
    fork_pretended();
    SUPPORT_REQUIRE(naps == 0);
}

/* Between the preparation and the fork another thread grows. Nothing is shared yet, and still the
 * room stays for the child. */
static void grow_before_the_fork(void *unused)
{
    (void)unused;
    begin((struct setting){"hugetlb", "safe", NULL, NULL, 12});
    grow(0, 5);
    hak_huge_fork_prepare();
    grow(5, 6);
    huge_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 5 && hak_fake_huge_held() == 0);
    hak_huge_fork_parent();
    hak_fake_advance_ms(SHORT_MS);
    grow(6, 7); /* it did not come, or it ended */
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 6);
}

static void huge_reuse__heap_grows_before_the_fork__room_is_the_childs(void **state)
{
    (void)state;
    scenario_run(grow_before_the_fork, NULL);
}

static void huge_reuse__fork__finds_room_or_waits_and_warns_once(void **state)
{
    static const char text[] = "fork without free huge pages";
    (void)state;
    struct support_end end = support_run_child(fork_with_room, &(size_t){14});
    assert_int_equal(end.status, 0);
    assert_string_equal(end.text, "");
    end = support_run_child(fork_with_room, &(size_t){13});
    assert_said(&end, 0, "no more huge pages");
    end = support_run_child(fork_with_sharers, NULL);
    assert_said(&end, 0, text);
    end = support_run_child(fork_while_a_child_ends, NULL);
    assert_int_equal(end.status, 0);
    assert_string_equal(end.text, "");
    end = support_run_child(fork_in_mode_warn, NULL);
    assert_said(&end, 0, text);
}

/* ---- threads -------------------------------------------------------------------------------- */

/* Whoever is to map next comes in between. */
static void let_others_run(void)
{
    usleep(100);
}

static void grow_in_thread(unsigned index, void *unused)
{
    static struct workload works[4];
    (void)unused;
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < 12; i++)
            workload_malloc(&works[index], i, i % 4 == 3 ? 5 * MIB : SEGMENT_BLOCK);
        for (size_t i = 0; i < 12; i++)
            workload_free(&works[index], i);
        if (index == 0)
            hak_malloc_trim(0);
    }
}

static void grow_in_threads(void *argument)
{
    begin((struct setting){"hugetlb", "safe", "8", NULL, *(const size_t *)argument});
    hak_fake_at_huge_map(let_others_run);
    scenario_threads(4, grow_in_thread, NULL);
    huge_check();
    SUPPORT_REQUIRE(workload_taken() == 0 && hak_fake_count(HAK_FAKE_HUGE_MAP) > 0);
    hak_malloc_trim(0);
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 0);
}

static void huge_reuse__threads_grow_at_once__each_place_is_mapped_once(void **state)
{
    (void)state;
    for (size_t pages = 20; pages <= 300; pages += 40)
        scenario_run(grow_in_threads, &pages);
}

/* Takes a block in a thread of its own, as others do at any time. */
static void *take_a_block(void *unused)
{
    workload_malloc(&work, 0, 100 * KIB);
    return unused;
}

static void have_a_block_taken(void)
{
    pthread_t thread;
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, take_a_block, NULL) == 0);
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
}

static void take_while_pages_go(void *unused)
{
    (void)unused;
    begin((struct setting){"hugetlb", "warn", NULL, NULL, 10});
    hak_free(hak_malloc(100 * KIB)); /* of the rest of the segment, nothing has to go back */
    hak_fake_at_huge_gone(have_a_block_taken);
    hak_malloc_trim(0);
    SUPPORT_REQUIRE(work.blocks[0].start != NULL && !hak_fake_is_huge(segment_start(0)));
    huge_check();
    shrink(0, 1);
}

static void huge_reuse__block_is_taken_while_pages_go__lies_elsewhere(void **state)
{
    (void)state;
    scenario_run(take_while_pages_go, NULL);
}

static sem_t arrived, go_on;

/* Who is mapping stays there, with the turn, until it is told. */
static void wait_to_go_on(void)
{
    sem_post(&arrived);
    sem_wait(&go_on);
}

static void *grow_by_one(void *unused)
{
    grow(4, 5);
    return unused;
}

static void release_during_a_turn(void *unused)
{
    pthread_t thread;
    (void)unused;
    begin((struct setting){"hugetlb", "safe", NULL, NULL, 40});
    grow(0, 4);
    SUPPORT_REQUIRE(sem_init(&arrived, 0, 0) == 0 && sem_init(&go_on, 0, 0) == 0);
    hak_fake_at_huge_map(wait_to_go_on);
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, grow_by_one, NULL) == 0);
    sem_wait(&arrived);
    shrink(0, 3);
    hak_malloc_trim(0);
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 1);
    sem_post(&go_on);
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 2);
    room_check();
}

static void huge_reuse__pages_go_while_another_thread_maps__their_room_goes_too(void **state)
{
    (void)state;
    scenario_run(release_during_a_turn, NULL);
}

/* The one who is mapping stays there, with the turn. */
static void stay(void)
{
    sem_post(&arrived);
    for (;;)
        pause();
}

static void *grow_for_ever(void *block)
{
    support_hide(hak_malloc(SEGMENT_BLOCK));
    return block;
}

static void grow_in_child(void)
{
    hak_fake_at_huge_map(NULL);
    hak_arena_fork_child();
    hak_heap_fork_child();
    SUPPORT_REQUIRE(hak_fake_huge_held() == 0);
    grow(3, 8);
    room_check();
    SUPPORT_REQUIRE(hak_fake_is_huge(segment_start(3)) && hak_fake_huge_mapped() == 8);
    shrink(0, 8);
    room_check();
}

static void fork_during_a_turn(void *unused)
{
    pthread_t thread;
    int status = -1;
    (void)unused;
    begin((struct setting){"hugetlb", "safe", NULL, NULL, 16});
    grow(0, 3);
    SUPPORT_REQUIRE(sem_init(&arrived, 0, 0) == 0);
    hak_huge_fork_prepare();
    hak_fake_at_huge_map(stay); /* after the preparation, before the fork */
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, grow_for_ever, NULL) == 0);
    sem_wait(&arrived);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        grow_in_child();
        _exit(0);
    }
    SUPPORT_REQUIRE(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    _exit(0); /* the thread stays where it is */
}

static void huge_reuse__fork_while_another_thread_maps__child_grows(void **state)
{
    (void)state;
    scenario_run(fork_during_a_turn, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(huge_reuse__trim__gives_free_segments_back),
        cmocka_unit_test(huge_reuse__free_memory_ages__goes_back_when_the_pool_is_short),
        cmocka_unit_test(huge_reuse__calloc_in_used_segments__is_zero),
        cmocka_unit_test(huge_reuse__purge_of_a_segment_fails__calloc_is_zero),
        cmocka_unit_test(huge_reuse__realloc_across_kinds_of_segments__keeps_contents),
        cmocka_unit_test(huge_reuse__fork__finds_room_or_waits_and_warns_once),
        cmocka_unit_test(huge_reuse__heap_grows_before_the_fork__room_is_the_childs),
        cmocka_unit_test(huge_reuse__threads_grow_at_once__each_place_is_mapped_once),
        cmocka_unit_test(huge_reuse__block_is_taken_while_pages_go__lies_elsewhere),
        cmocka_unit_test(huge_reuse__pages_go_while_another_thread_maps__their_room_goes_too),
        cmocka_unit_test(huge_reuse__fork_while_another_thread_maps__child_grows),
    };
    return cmocka_run_group_tests_name("huge_reuse", tests, NULL, NULL);
}
