/*
 * Huge pages over a kernel whose pool is as the test says: short, refilled, drained, lost. Segments
 * have pages of the pool or others, and no request is refused for that.
 *
 * That no page of the pool is touched before it is populated follows from what huge_check() looks
 * at: a segment is taken for huge exactly if the pretended pool gave pages for its place, and that
 * pool takes its pages out before there is memory to touch.
 *
 * ctest: labels=quick timeout=240 core=fake
 */
#include "scenario_huge.h"

#include <sys/mman.h>

/* ---- which segments are of the pool --------------------------------------------------------- */

static void grow_over_the_threshold(void *argument)
{
    begin((struct setting){argument, "safe", "8", NULL, 100});
    grow(0, 4);
    huge_check();
    SUPPORT_REQUIRE(hak_arena_committed() == 4 && hak_fake_huge_mapped() == 0);
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_HUGE_MAP) == 0);
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_HUGE_ADVISE) == 0);
    grow(4, 8);
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 4 && !hak_fake_is_huge(segment_start(3)));
    SUPPORT_REQUIRE(hak_fake_is_huge(segment_start(4)));
}

static void grow_over_the_threshold_in_one_step(void *argument)
{
    begin((struct setting){argument, "safe", "8", NULL, 100});
    workload_malloc(&work, 0, 88 * MIB - 64 * KIB);
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 40 && !hak_fake_is_huge(segment_start(3)));
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_HUGE_MAP) == 2); /* at most 32 are populated at once */
    workload_free(&work, 0);
    huge_check();
}

static void huge_fake__heap_grows_over_the_threshold__pool_from_there_on(void **state)
{
    (void)state;
    scenario_run(grow_over_the_threshold, "hugetlb");
    scenario_run(grow_over_the_threshold, "auto");
    scenario_run(grow_over_the_threshold_in_one_step, "hugetlb");
}

static void reserve_some(void *unused)
{
    (void)unused;
    begin((struct setting){"hugetlb", "safe", "8", "3", 100});
    workload_malloc(&work, 0, 100);
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 3 && hak_fake_is_huge(segment_start(0)));
    grow(1, 9);
    room_check();
    SUPPORT_REQUIRE(!hak_fake_is_huge(segment_start(3)) && hak_fake_is_huge(segment_start(4)));
}

/* Nothing of the reserve could be had at start: it is not more for that. */
static void reserve_late(void *unused)
{
    (void)unused;
    begin((struct setting){"hugetlb", "safe", "8", "3", 100});
    hak_fake_fail(HAK_FAKE_COMMIT, 1, 1);
    workload_malloc(&work, 0, 20 * MIB);
    room_check();
    SUPPORT_REQUIRE(hak_fake_failures(HAK_FAKE_COMMIT) == 1);
    SUPPORT_REQUIRE(hak_fake_is_huge(segment_start(2)) && !hak_fake_is_huge(segment_start(3)));
}

static void reserve_too_much(void *unused)
{
    (void)unused;
    begin((struct setting){"hugetlb", "safe", "8", "5", 4});
    workload_malloc(&work, 0, 100);
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 2); /* and two for copies */
}

static bool is_resident(const char *start)
{
    unsigned char there = 0;
    SUPPORT_REQUIRE(mincore((void *)(uintptr_t)start, 4096, &there) == 0);
    return (there & 1) != 0;
}

/* Ordinary pages for half of the memory: more, and the kernel ends somebody. */
static void reserve_more_than_memory(void *unused)
{
    (void)unused;
    hak_fake_set_machine(64 * MIB, SIZE_MAX);
    begin((struct setting){"thp", "safe", "8", "20", 0});
    workload_malloc(&work, 0, 100);
    huge_check();
    SUPPORT_REQUIRE(is_resident(segment_start(15)) && !is_resident(segment_start(16)));
}

static void require_too_much(void *unused)
{
    setenv("HAKMEM_HUGE_REQUIRE", "1", 1);
    reserve_too_much(unused);
}

static void huge_fake__reserve__is_there_at_start_or_told_of(void **state)
{
    static const char text[] = "HAKMEM_HUGE_RESERVE=5: only 2 could be had";
    (void)state;
    scenario_run(reserve_some, NULL);
    scenario_run(reserve_late, NULL);
    struct support_end end = support_run_child(reserve_more_than_memory, NULL);
    assert_said(&end, 0, "hakmem: HAKMEM_HUGE_RESERVE=20: only 16 could be had");
    end = support_run_child(reserve_too_much, NULL);
    assert_said(&end, 0, text);
    assert_null(strstr(end.text, "no more huge pages"));
    end = support_run_child(require_too_much, NULL);
    assert_said(&end, 1, text);
}

static void grow_with_thp(void *fails)
{
    begin((struct setting){"thp", "safe", "8", NULL, 100});
    if (fails != NULL)
        hak_fake_fail(HAK_FAKE_HUGE_ADVISE, 1, HAK_FAKE_FOREVER);
    grow(0, 8);
    huge_check();
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_HUGE_MAP) == 0 && hak_fake_huge_held() == 0);
    SUPPORT_REQUIRE(hak_huge_count(HAK_BACKED_THP) == (fails != NULL ? 0 : 4));
    SUPPORT_REQUIRE(hak_segment_backing(3) == HAK_BACKED_SMALL);
}

static void huge_fake__thp__is_asked_for_above_the_threshold(void **state)
{
    (void)state;
    scenario_run(grow_with_thp, NULL);
    scenario_run(grow_with_thp, "refused");
}

static void check_mount(bool used)
{
    const char *mount = hak_fake_huge_mount();
    SUPPORT_REQUIRE(used ? mount != NULL && strcmp(mount, "/mnt/pool") == 0 : mount == NULL);
}

static void use_mount(void *fault)
{
    setenv("HAKMEM_HUGETLBFS", "/mnt/pool", 1);
    begin((struct setting){"hugetlb", "safe", NULL, NULL, 100});
    hak_fake_set_huge_mount_fault(fault);
    grow(0, 2);
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == (fault == NULL ? 2 : 0));
    SUPPORT_REQUIRE(hak_huge_count(HAK_BACKED_THP) == (fault == NULL ? 0 : 2));
    check_mount(fault == NULL); /* the last call was a map */
    hak_fake_fail(HAK_FAKE_HUGE_MAP, 1, HAK_FAKE_FOREVER);
    grow(2, 3);
    check_mount(fault == NULL); /* and now one that held room */
}

static void require_mount(void *fault)
{
    setenv("HAKMEM_HUGE_REQUIRE", "1", 1);
    use_mount(fault);
}

static void huge_fake__mount__is_used_or_named(void **state)
{
    static const char text[] = "HAKMEM_HUGETLBFS=/mnt/pool is no hugetlbfs";
    (void)state;
    scenario_run(use_mount, NULL);
    struct support_end end = support_run_child(use_mount, "is no hugetlbfs");
    assert_said(&end, 0, text);
    end = support_run_child(require_mount, "is no hugetlbfs");
    assert_said(&end, 1, text);
}

/* ---- the pool is short ---------------------------------------------------------------------- */

/* Pages for 10, or with room for copies 5, of 16: batches of 16, 8, then 8, 4, 2, and so on. */
static void run_out_in_a_batch(void *argument)
{
    const struct setting *setting = argument;
    size_t got = setting->pool_pages / (strcmp(setting->fork, "safe") == 0 ? 2 : 1);
    begin(*setting);
    workload_malloc(&work, 0, 32 * MIB - 64 * KIB);
    huge_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == got && hak_arena_committed() == 16);
    for (size_t i = 0; i < 16; i++)
        SUPPORT_REQUIRE(hak_fake_is_huge(segment_start(i)) == (i < got));
    memset(work.blocks[0].start, 1, work.blocks[0].bytes);
    workload_fill(&work.blocks[0], 1);
    size_t maps = hak_fake_count(HAK_FAKE_HUGE_MAP);
    grow(1, 9);
    huge_check();
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_HUGE_MAP) == maps); /* not asked again and again */
    shrink(0, 9);
    SUPPORT_REQUIRE(workload_taken() == 0);
}

static void huge_fake__pool_ends_within_a_batch__rest_is_ordinary(void **state)
{
    static const char text[] = "no more huge pages can be had from the pool";
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct setting setting = {.huge = i / 2 == 0 ? "hugetlb" : "auto",
                                  .fork = i % 2 == 0 ? "safe" : "warn",
                                  .pool_pages = 10};
        struct support_end end = support_run_child(run_out_in_a_batch, &setting);
        assert_said(&end, 0, text);
        setting.pool_pages = 0; /* who asked for what there is wants to hear nothing of it */
        end = support_run_child(run_out_in_a_batch, &setting);
        assert_int_equal(end.status, 0);
        assert_int_equal(strstr(end.text, text) != NULL, i / 2 == 0);
    }
}

static void refill(void *unused)
{
    (void)unused;
    begin((struct setting){"hugetlb", "safe", NULL, NULL, 4});
    grow(0, 4);
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 2 && hak_huge_is_short());
    hak_fake_set_huge_pool(100);
    hak_fake_advance_ms(SHORT_MS - 1);
    grow(4, 6);
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 2);
    hak_fake_advance_ms(1);
    grow(6, 8);
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 4 && hak_fake_is_huge(segment_start(6)));
}

static void huge_fake__pool_is_refilled__is_used_after_a_while(void **state)
{
    (void)state;
    scenario_run(refill, NULL);
}

/* Pages of the thread's node first, then of any: those are counted. */
static void run_on_nodes(void *unused)
{
    (void)unused;
    begin((struct setting){"hugetlb", "warn", NULL, NULL, 20});
    hak_fake_set_node(2, 0, 10);
    hak_fake_set_node(2, 1, 3);
    grow(0, 3);
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 3 && hak_huge_spilled() == 0);
    grow(3, 5); /* node 1 has no more */
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 5 && hak_huge_spilled() == 2);
    hak_fake_set_node(2, 0, 10);
    grow(5, 7);
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 7 && hak_huge_spilled() == 2);
    huge_check();
}

/* Where there is one node, none is asked for. */
static void run_on_one_node(void *unused)
{
    (void)unused;
    begin((struct setting){"hugetlb", "warn", NULL, NULL, 20});
    hak_fake_set_node(1, 0, 0);
    grow(0, 3);
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 3 && hak_huge_spilled() == 0);
    SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_HUGE_MAP) == 3);
}

static void huge_fake__several_nodes__near_first_then_spilled(void **state)
{
    (void)state;
    scenario_run(run_on_nodes, NULL);
    scenario_run(run_on_one_node, NULL);
}

/* Others take the pool's free pages, and more than those: the room that is held is not theirs. */
static void drain(void *unused)
{
    (void)unused;
    begin((struct setting){"hugetlb", "safe", NULL, NULL, 100});
    grow(0, 3);
    hak_fake_set_huge_pool(6);
    grow(3, 5);
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 3);
    hak_fake_set_huge_pool(2); /* what is in use stays in use */
    hak_fake_advance_ms(SHORT_MS);
    grow(5, 8);
    huge_check();
    shrink(0, 8);
    hak_malloc_trim(0);
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == 0);
}

static void huge_fake__pool_is_drained__program_goes_on(void **state)
{
    (void)state;
    scenario_run(drain, NULL);
}

/* As many pages are held as are mapped, at whatever size of the pool, after every growth. */
static void grow_in_a_pool(void *argument)
{
    size_t pool_pages = *(const size_t *)argument;
    begin((struct setting){"auto", "safe", NULL, NULL, pool_pages});
    for (size_t i = 0; i < 20; i++) {
        workload_malloc(&work, i, i % 5 == 4 ? 7 * MIB : SEGMENT_BLOCK);
        room_check();
        SUPPORT_REQUIRE(hak_fake_huge_held() + hak_fake_huge_mapped() <= pool_pages);
        hak_fake_advance_ms(SHORT_MS); /* asks each time */
    }
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == pool_pages / 2);
    hak_fake_set_huge_pool(pool_pages + 4);
    workload_malloc(&work, 20, 7 * MIB);
    room_check();
    SUPPORT_REQUIRE(hak_fake_huge_mapped() == pool_pages / 2 + 2);
}

static void huge_fake__fork_safe__as_many_pages_are_held_as_mapped(void **state)
{
    (void)state;
    for (size_t pages = 0; pages <= 40; pages++)
        scenario_run(grow_in_a_pool, &pages);
}

/* ---- calls fail ----------------------------------------------------------------------------- */

static void lose_a_place(void *argument)
{
    size_t at = *(const size_t *)argument;
    begin((struct setting){"hugetlb", "safe", NULL, NULL, 100});
    hak_fake_set_huge_refusal(HAK_FAKE_LOST);
    hak_fake_fail(HAK_FAKE_HUGE_MAP, at, 1);
    work.may_fail = true;
    grow(0, 8);
    room_check();
    SUPPORT_REQUIRE(work.refused == 9 - at && hak_arena_committed() == at - 1);
    workload_malloc(&work, 8, 20 * MIB);
    SUPPORT_REQUIRE(work.refused == 10 - at);
    for (size_t i = 0; i + 1 < at; i++) {
        workload_free(&work, i);
        workload_malloc(&work, i, SEGMENT_BLOCK); /* in the places that are left */
        SUPPORT_REQUIRE(work.blocks[i].start != NULL);
    }
    shrink(0, 9);
    room_check();
    SUPPORT_REQUIRE(workload_taken() == 0);
}

/* Some of a batch was mapped already. */
static void lose_the_end_of_a_batch(void *unused)
{
    (void)unused;
    begin((struct setting){"hugetlb", "warn", NULL, NULL, 10});
    hak_fake_set_huge_refusal(HAK_FAKE_LOST);
    hak_fake_fail(HAK_FAKE_HUGE_MAP, 3, 1);
    work.may_fail = true;
    workload_malloc(&work, 0, 32 * MIB - 64 * KIB); /* 16: short, 8: there, 8: lost */
    huge_check();
    SUPPORT_REQUIRE(work.refused == 1 && hak_fake_huge_mapped() == 8);
    grow(1, 9); /* what was mapped is no loss */
    SUPPORT_REQUIRE(work.refused == 1 && hak_arena_end() == 8);
    grow(9, 10);
    SUPPORT_REQUIRE(work.refused == 2);
    huge_check();
}

static void huge_fake__place_is_lost__arena_grows_no_more(void **state)
{
    (void)state;
    for (size_t at = 1; at <= 8; at++)
        scenario_run(lose_a_place, &at);
    scenario_run(lose_the_end_of_a_batch, NULL);
}

struct fault {
    enum hak_fake_call call;
    size_t at, times;
    enum hak_fake_refusal refusal;
    const char *huge, *fork;
};

static size_t *calls; /* in memory that children share: all of a run, and maps */

static void run_with_fault(void *argument)
{
    const struct fault *fault = argument;
    begin((struct setting){fault->huge, fault->fork, "4", NULL, 12});
    hak_fake_set_huge_refusal(fault->refusal);
    hak_fake_fail(fault->call, fault->at, fault->times);
    work.may_fail = fault->times != 0;
    workload_run(&work);
    calls[0] = hak_fake_count(HAK_FAKE_ANY);
    calls[1] = hak_fake_count(HAK_FAKE_HUGE_MAP);
    hak_fake_heal();
    huge_check();
    hak_fake_advance_ms(SHORT_MS);
    workload_main(&work);
    huge_check();
    workload_free_all(&work);
    huge_check();
    size_t lost_most = hak_fake_failures(HAK_FAKE_RENEW) * 140;
    SUPPORT_REQUIRE(workload_taken() <= lost_most && hak_dirty_bytes() == 0);
}

static void try_fault(struct fault fault)
{
    struct support_end end = support_run_child(run_with_fault, &fault);
    if (end.status != 0)
        fail_msg("%s, %s: call %zu of kind %d failed %zu times, refusal %d: status %#x; it wrote: "
                 "%s",
                 fault.huge, fault.fork, fault.at, (int)fault.call, fault.times, (int)fault.refusal,
                 (unsigned)end.status, end.text);
}

static const char *const forks[] = {"safe", "warn"};

static void huge_fake__any_call_fails__is_survived(void **state)
{
    const size_t stride = SUPPORT_SHADOWED ? 7 : 1;
    (void)state;
    for (size_t f = 0; f < SUPPORT_COUNT(forks); f++) {
        struct fault fault = {HAK_FAKE_ANY, 1, 0, HAK_FAKE_RENEWED, "hugetlb", forks[f]};
        try_fault(fault);
        size_t all = calls[0];
        for (fault.at = 1; fault.at <= all; fault.at += stride) {
            fault.times = 1;
            try_fault(fault);
            fault.times = HAK_FAKE_FOREVER;
            try_fault(fault);
        }
        print_message("%s: %zu calls\n", forks[f], all);
    }
}

static void huge_fake__any_map_fails__is_survived_however_it_does(void **state)
{
    (void)state;
    for (size_t f = 0; f < SUPPORT_COUNT(forks); f++) {
        struct fault fault = {HAK_FAKE_HUGE_MAP, 1, 0, HAK_FAKE_UNTOUCHED, "auto", forks[f]};
        try_fault(fault);
        size_t maps = calls[1];
        print_message("%s: %zu maps\n", forks[f], maps);
        assert_true(maps > 4);
        for (int refusal = HAK_FAKE_UNTOUCHED; refusal <= HAK_FAKE_LOST; refusal++) {
            fault.refusal = (enum hak_fake_refusal)refusal;
            for (fault.at = 1; fault.at <= maps; fault.at++) {
                fault.times = 1;
                try_fault(fault);
                fault.times = HAK_FAKE_FOREVER;
                try_fault(fault);
            }
        }
    }
}

/* ---- the pretended kernel ------------------------------------------------------------------- */

/* Without that, the cases above would prove little. */
static void make_mistakes(void *unused)
{
    (void)unused;
    begin((struct setting){"hugetlb", "safe", NULL, NULL, 100});
    char *space = hak_os_reserve(16 * MIB, 2 * MIB);
    SUPPORT_REQUIRE(hak_os_huge_map(space, 4 * MIB, &two_mib) == HAK_OS_BACKED);
    SUPPORT_REQUIRE(support_is_zero(space, 4 * MIB) && hak_fake_huge_mapped() == 2);
    SUPPORT_REQUIRE(hak_os_commit(space, 4 * MIB) && hak_os_commit(space + 4 * MIB, 12 * MIB));
    SUPPORT_REQUIRE(hak_os_renew(space, 2 * MIB) && hak_fake_huge_mapped() == 1);
    char *room = hak_os_huge_hold(6 * MIB, &two_mib);
    SUPPORT_REQUIRE(room != NULL && hak_fake_huge_held() == 3);
    SUPPORT_REQUIRE(hak_os_huge_free_bytes(&two_mib) == 96 * HAK_SEGMENT_BYTES);
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
    char *huge = space + 2 * MIB;
    SUPPORT_REQUIRE(!hak_os_commit(huge, 64 * KIB) && !hak_os_renew(huge + MIB, 2 * MIB));
    SUPPORT_REQUIRE(!hak_os_purge(huge, 64 * KIB) && !hak_os_purge(huge, 2 * MIB));
    SUPPORT_REQUIRE(hak_fake_mistakes() == 4);
    (void)hak_os_move(huge, space + 8 * MIB, 64 * KIB);
    (void)hak_os_move(space + 8 * MIB, huge, 64 * KIB);
    SUPPORT_REQUIRE(hak_fake_mistakes() >= 6 && hak_fake_huge_mapped() == 1);
    size_t before = hak_fake_mistakes();
    SUPPORT_REQUIRE(hak_os_huge_map(huge, 2 * MIB, &two_mib) == HAK_OS_REFUSED);
    SUPPORT_REQUIRE(!hak_os_huge_advise(huge, 2 * MIB) &&
                    hak_os_huge_hold(2 * MIB, &two_mib) == NULL);
    hak_os_unreserve(room, 2 * MIB);
    SUPPORT_REQUIRE(hak_fake_mistakes() == before + 4);
    hak_fake_set_huge_refusal(HAK_FAKE_LOST);
    hak_fake_fail(HAK_FAKE_HUGE_MAP, 1, 1);
    SUPPORT_REQUIRE(hak_os_huge_map(space + 8 * MIB, 2 * MIB, &two_mib) == HAK_OS_LOST);
    SUPPORT_REQUIRE(!hak_os_commit(space + 8 * MIB, 4096) && hak_fake_mistakes() == before + 5);
}

static void huge_fake__calls_on_pages_of_the_pool__are_mistakes(void **state)
{
    (void)state;
    scenario_run(make_mistakes, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(huge_fake__heap_grows_over_the_threshold__pool_from_there_on),
        cmocka_unit_test(huge_fake__reserve__is_there_at_start_or_told_of),
        cmocka_unit_test(huge_fake__thp__is_asked_for_above_the_threshold),
        cmocka_unit_test(huge_fake__mount__is_used_or_named),
        cmocka_unit_test(huge_fake__pool_ends_within_a_batch__rest_is_ordinary),
        cmocka_unit_test(huge_fake__pool_is_refilled__is_used_after_a_while),
        cmocka_unit_test(huge_fake__several_nodes__near_first_then_spilled),
        cmocka_unit_test(huge_fake__pool_is_drained__program_goes_on),
        cmocka_unit_test(huge_fake__fork_safe__as_many_pages_are_held_as_mapped),
        cmocka_unit_test(huge_fake__place_is_lost__arena_grows_no_more),
        cmocka_unit_test(huge_fake__any_call_fails__is_survived),
        cmocka_unit_test(huge_fake__any_map_fails__is_survived_however_it_does),
        cmocka_unit_test(huge_fake__calls_on_pages_of_the_pool__are_mistakes),
    };
    calls =
        mmap(NULL, 2 * sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return calls == MAP_FAILED ? 1 : cmocka_run_group_tests_name("huge_fake", tests, NULL, NULL);
}
