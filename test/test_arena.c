/*
 * The arena: reservation, commit steps, and the end that moves up.
 *
 * ctest: labels=quick timeout=120 core=fake
 */
#include "segment/arena.h"

#include "scenario.h"

#include <stdatomic.h>

#define GIB ((size_t)1 << 30)
#define SEGMENT_MIB (HAK_SEGMENT_BYTES / MIB)

static const struct hak_arena_config usual = {
    .step_bytes = 2 * MIB, .max_step_bytes = 64 * MIB, .growth_levels = 8};

static size_t take(size_t count, size_t align)
{
    size_t skipped;
    return hak_arena_take(count, align, &skipped);
}

static size_t arena_bytes(void)
{
    return hak_arena.max_segments * HAK_SEGMENT_BYTES;
}

static size_t committed_segments(void)
{
    return atomic_load(&hak_arena.committed);
}

/* The memory of segments can be used and is zero. */
static void use_segments(size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        char *start = hak_arena.base + i * HAK_SEGMENT_BYTES;
        SUPPORT_REQUIRE(start[0] == 0 && start[HAK_SEGMENT_BYTES - 1] == 0);
        start[0] = start[HAK_SEGMENT_BYTES - 1] = 1;
        SUPPORT_REQUIRE(hak_region_page_idx(start) == i * HAK_SEGMENT_PAGES);
        SUPPORT_REQUIRE((i + 1) * HAK_SEGMENT_PAGES <= hak_region_pages());
    }
}

/* ---- reservation ---------------------------------------------------------------------------- */

struct machine {
    size_t physical_bytes, limit_bytes, reserve_max_bytes; /* 0: none */
    size_t wanted_bytes;                                   /* 0: the library's choice */
    size_t least_bytes, most_bytes;                        /* of the arena */
};

static void reserve_on_machine(void *argument)
{
    const struct machine *machine = argument;
    struct hak_arena_config config = usual;
    config.reserve_bytes = machine->wanted_bytes;
    hak_fake_wake(4096);
    hak_fake_set_machine(machine->physical_bytes,
                         machine->limit_bytes == 0 ? SIZE_MAX : machine->limit_bytes);
    if (machine->reserve_max_bytes != 0)
        hak_fake_set_reserve_max(machine->reserve_max_bytes);
    SUPPORT_REQUIRE(hak_arena_init(&config));
    size_t least_bytes = machine->least_bytes;
    if (SUPPORT_SHADOWED && least_bytes > 64 * GIB)
        least_bytes = 64 * GIB; /* shadow memory leaves less than it should */
    if (arena_bytes() < least_bytes || arena_bytes() > machine->most_bytes)
        dprintf(STDERR_FILENO, "arena of %zu MiB\n", arena_bytes() / MIB);
    SUPPORT_REQUIRE(arena_bytes() >= least_bytes);
    SUPPORT_REQUIRE(arena_bytes() <= machine->most_bytes);
    SUPPORT_REQUIRE((uintptr_t)hak_arena.base % HAK_SEGMENT_BYTES == 0);
    SUPPORT_REQUIRE(arena_bytes() < 4 * GIB || (uintptr_t)hak_arena.base % GIB == 0);
    /* Attempts that came to nothing left nothing. */
    SUPPORT_REQUIRE(hak_fake_reserved_bytes() >= arena_bytes());
    SUPPORT_REQUIRE(hak_fake_reserved_bytes() <= arena_bytes() / 8 * 9 + 4 * MIB);
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
    SUPPORT_REQUIRE(take(1, 1) == 0);
    use_segments(0, 1);
}

static void arena__machines_of_many_sizes__reserve_what_fits(void **state)
{
    struct machine machines[] = {
        {16 * GIB, 0, 0, 0, 64 * GIB, 64 * GIB},
        {17 * GIB, 0, 0, 0, 128 * GIB, 128 * GIB},
        {1 * GIB, 0, 0, 0, 64 * GIB, 64 * GIB},
        {1024 * GIB, 0, 0, 0, 4096 * GIB, 4096 * GIB},
        {256 * 1024 * GIB, 0, 0, 0, 1024 * GIB, 64 * 1024 * GIB},
        {16 * GIB, 0, 0, 1 * GIB, 1 * GIB, 1 * GIB},
        {16 * GIB, 0, 0, 200 * GIB, 200 * GIB, 200 * GIB},
        /* a limit that is known: the program's own mappings need room too */
        {16 * GIB, 8 * GIB, 0, 0, 2 * GIB, 4 * GIB},
        {16 * GIB, 256 * MIB, 0, 0, 64 * MIB, 128 * MIB},
        {16 * GIB, 64 * MIB, 0, 0, 16 * MIB, 32 * MIB},
        {16 * GIB, 256 * MIB, 0, 64 * GIB, 64 * MIB, 128 * MIB},
        {16 * GIB, 256 * MIB, 0, 200 * MIB, 64 * MIB, 128 * MIB},
        /* a limit that nobody told */
        {16 * GIB, 0, 40 * GIB, 0, 32 * GIB, 32 * GIB},
        {16 * GIB, 0, 3 * GIB, 0, 2 * GIB, 2 * GIB},
        {16 * GIB, 0, 200 * MIB, 0, 128 * MIB, 128 * MIB},
        {16 * GIB, 0, 20 * MIB, 0, 8 * MIB, 16 * MIB},
        {16 * GIB, 0, 3 * GIB, 5 * GIB, 1 * GIB, 3 * GIB},
    };
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(machines); i++)
        scenario_run(reserve_on_machine, &machines[i]);
}

static void reserve_nothing(void *unused)
{
    (void)unused;
    hak_fake_wake(4096);
    hak_fake_set_reserve_max(6 * MIB);
    SUPPORT_REQUIRE(!hak_arena_init(&usual));
    SUPPORT_REQUIRE(hak_fake_reserved_bytes() == 0);
    hak_fake_set_reserve_max(SIZE_MAX);
    SUPPORT_REQUIRE(hak_arena_init(&usual)); /* the next attempt finds room */
    SUPPORT_REQUIRE(take(1, 1) == 0);
    use_segments(0, 1);
}

static void arena__no_address_space__says_so_and_leaves_nothing(void **state)
{
    (void)state;
    scenario_run(reserve_nothing, NULL);
}

/* The k-th reservation fails: that of the arena, or that of its tables. */
static void fail_reservation(void *argument)
{
    hak_fake_wake(4096);
    hak_fake_fail(HAK_FAKE_RESERVE, *(const size_t *)argument, 1);
    SUPPORT_REQUIRE(hak_arena_init(&usual));
    SUPPORT_REQUIRE(hak_fake_failures(HAK_FAKE_ANY) == 1);
    SUPPORT_REQUIRE(arena_bytes() == 32 * GIB);
    SUPPORT_REQUIRE(hak_fake_reserved_bytes() <= arena_bytes() / 8 * 9);
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
    SUPPORT_REQUIRE(take(1, 1) == 0);
    use_segments(0, 1);
}

static void arena__one_reservation_fails__half_is_had(void **state)
{
    size_t calls[] = {1, 2};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(calls); i++)
        scenario_run(fail_reservation, &calls[i]);
}

/* ---- commit steps --------------------------------------------------------------------------- */

struct steps {
    size_t step_mib, max_step_mib;
    unsigned growth_levels;
    size_t expected_mib[12]; /* ends with 0: as the one before */
};

static void take_by_steps(void *argument)
{
    const struct steps *steps = argument;
    const struct hak_arena_config config = {
        .reserve_bytes = 2 * GIB,
        .step_bytes = steps->step_mib * MIB,
        .max_step_bytes = steps->max_step_mib * MIB,
        .growth_levels = steps->growth_levels,
    };
    size_t step = 0, step_mib = 0;
    hak_fake_wake(4096);
    SUPPORT_REQUIRE(hak_arena_init(&config));
    for (size_t i = 0; i < hak_arena.max_segments; i++) {
        size_t had = committed_segments(), calls = hak_fake_count(HAK_FAKE_COMMIT);
        SUPPORT_REQUIRE(take(1, 1) == i);
        size_t now = committed_segments();
        if (now == had) {
            SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_COMMIT) == calls);
            continue;
        }
        SUPPORT_REQUIRE(had == i);                                     /* not before it is needed */
        SUPPORT_REQUIRE(hak_fake_count(HAK_FAKE_COMMIT) <= calls + 5); /* 4 tables */
        if (step < SUPPORT_COUNT(steps->expected_mib) && steps->expected_mib[step] != 0)
            step_mib = steps->expected_mib[step++];
        if (now != hak_arena.max_segments && (now - had) * SEGMENT_MIB != step_mib) {
            dprintf(STDERR_FILENO, "committed %zu segments after %zu\n", now, had);
            SUPPORT_REQUIRE(false);
        }
    }
    SUPPORT_REQUIRE(committed_segments() == hak_arena.max_segments);
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
}

static void arena__segments_taken_one_by_one__commit_steps_grow_as_told(void **state)
{
    struct steps rows[] = {
        {2, 64, 8, {2, 2, 4, 8, 16, 32, 64}}, /* the defaults */
        {2, 64, 2, {2, 2, 4, 8}},             /* two doublings */
        {2, 16, 8, {2, 2, 4, 8, 16}},         /* the largest step is smaller */
        {2, 2, 8, {2}},                       /* none grows */
        {32, 128, 0, {32}},                   /* no doublings */
        {16, 128, 8, {16, 16, 32, 64, 128}},
        {1, 64, 8, {2, 2, 4, 8, 16, 32, 64}}, /* whole segments */
        {64, 32, 8, {64}},                    /* the first is above the largest */
    };
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(rows); i++)
        scenario_run(take_by_steps, &rows[i]);
}

static void take_large_runs(void *unused)
{
    (void)unused;
    scenario_arena(1024);
    SUPPORT_REQUIRE(take(100, 1) == 0); /* more than a step */
    SUPPORT_REQUIRE(committed_segments() == 100);
    use_segments(0, 100);
    SUPPORT_REQUIRE(take(1, 1) == 100);
    SUPPORT_REQUIRE(committed_segments() == 132);
    SUPPORT_REQUIRE(take(892, 1) == 101);
    SUPPORT_REQUIRE(take(31, 1) == 993);
    SUPPORT_REQUIRE(hak_arena_end() == 1024);
    use_segments(1023, 1);
}

static void arena__run_longer_than_a_step__is_committed_whole(void **state)
{
    (void)state;
    scenario_run(take_large_runs, NULL);
}

/* ---- failures ------------------------------------------------------------------------------- */

/* Commits fail from the k-th on: what could be had is had, nothing is lost. */
static void fail_commits(void *argument)
{
    size_t next = 0;
    scenario_arena(300);
    hak_fake_fail(HAK_FAKE_COMMIT, *(const size_t *)argument, HAK_FAKE_FOREVER);
    while (next < 300 && take(1, 1) != HAK_NO_SEGMENT)
        next++;
    SUPPORT_REQUIRE(next < 300);
    for (unsigned i = 0; i < 3; i++)
        SUPPORT_REQUIRE(take(1 + i, 1) == HAK_NO_SEGMENT);
    SUPPORT_REQUIRE(hak_arena_end() == next);
    use_segments(0, next);
    hak_fake_heal();
    SUPPORT_REQUIRE(take(3, 1) == next);
    for (next += 3; next < 300; next++)
        SUPPORT_REQUIRE(take(1, 1) == next);
    use_segments(299, 1);
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
}

static void arena__commits_fail__no_segment_is_lost(void **state)
{
    (void)state;
    for (size_t call = 1; call <= 18; call++)
        scenario_run(fail_commits, &call);
}

/* One commit fails: the step's, not that of what is needed. */
static void fail_one_commit(void *argument)
{
    scenario_arena(300);
    hak_fake_fail(HAK_FAKE_COMMIT, *(const size_t *)argument, 1);
    for (size_t i = 0; i < 300; i++)
        SUPPORT_REQUIRE(take(1, 1) == i);
    SUPPORT_REQUIRE(hak_fake_failures(HAK_FAKE_ANY) == 1);
    use_segments(0, 300);
}

static void arena__one_commit_fails__less_is_committed(void **state)
{
    (void)state;
    for (size_t call = 1; call <= 18; call++)
        scenario_run(fail_one_commit, &call);
}

/* ---- alignment and the cap ------------------------------------------------------------------ */

static void take_aligned(void *unused)
{
    uint64_t seed = 5;
    size_t end = 0, skipped;
    (void)unused;
    scenario_arena(3000);
    uintptr_t base_segment = (uintptr_t)hak_arena.base / HAK_SEGMENT_BYTES;
    for (;;) {
        size_t align = (size_t)1 << support_random(&seed) % 8;
        size_t count = 1 + support_random(&seed) % 20;
        size_t start = hak_arena_take(count, align, &skipped);
        if (start == HAK_NO_SEGMENT)
            break;
        SUPPORT_REQUIRE((base_segment + start) % align == 0);
        SUPPORT_REQUIRE(start - skipped == end && skipped < align);
        end = start + count;
        SUPPORT_REQUIRE(hak_arena_end() == end);
        use_segments(start - skipped, count + skipped);
    }
    SUPPORT_REQUIRE(end + 150 > 3000);
}

static void arena__aligned_takes__give_what_they_skip(void **state)
{
    (void)state;
    scenario_run(take_aligned, NULL);
}

static void take_beyond_the_cap(void *unused)
{
    (void)unused;
    scenario_arena(40);
    SUPPORT_REQUIRE(take(41, 1) == HAK_NO_SEGMENT);
    SUPPORT_REQUIRE(take(SIZE_MAX, 1) == HAK_NO_SEGMENT);
    SUPPORT_REQUIRE(take(SIZE_MAX / 2 + 1, 1) == HAK_NO_SEGMENT);
    SUPPORT_REQUIRE(hak_arena_end() == 0);
    SUPPORT_REQUIRE(take(30, 1) == 0);
    SUPPORT_REQUIRE(take(11, 1) == HAK_NO_SEGMENT);
    SUPPORT_REQUIRE(take(1, (size_t)1 << 26) == HAK_NO_SEGMENT); /* 128 TiB */
    SUPPORT_REQUIRE(take(10, 1) == 30);
    SUPPORT_REQUIRE(take(1, 1) == HAK_NO_SEGMENT);
    SUPPORT_REQUIRE(hak_arena_end() == 40);
    SUPPORT_REQUIRE(hak_region_pages() == 40 * HAK_SEGMENT_PAGES);
    use_segments(0, 40);
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
}

static void arena__more_than_there_is__nothing_and_the_end_stays(void **state)
{
    (void)state;
    scenario_run(take_beyond_the_cap, NULL);
}

/* ---- threads -------------------------------------------------------------------------------- */

#define RACE_SEGMENTS 4000

static _Atomic(unsigned) takers[RACE_SEGMENTS];

static void take_until_out(unsigned index, void *unused)
{
    uint64_t seed = index;
    (void)unused;
    for (unsigned misses = 0; misses < 20;) {
        size_t skipped = 0;
        size_t count = 1 + support_random(&seed) % 4;
        size_t start = hak_arena_take(count, (size_t)1 << support_random(&seed) % 3, &skipped);
        if (start == HAK_NO_SEGMENT) {
            misses++;
            continue;
        }
        for (size_t i = start - skipped; i < start + count; i++) {
            SUPPORT_REQUIRE(i < RACE_SEGMENTS && atomic_fetch_add(&takers[i], 1) == 0);
            use_segments(i, 1);
        }
    }
}

static void race(void *argument)
{
    scenario_arena(RACE_SEGMENTS);
    if (argument != NULL) /* now and then a commit fails */
        hak_fake_fail(HAK_FAKE_COMMIT, 10, 7);
    scenario_threads(8, take_until_out, NULL);
    size_t end = hak_arena_end();
    SUPPORT_REQUIRE(end <= RACE_SEGMENTS && (argument != NULL || end + 4 > RACE_SEGMENTS));
    for (size_t i = 0; i < end; i++)
        SUPPORT_REQUIRE(atomic_load(&takers[i]) == 1);
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
}

static void arena__8_threads_take__segments_are_disjoint_to_the_cap(void **state)
{
    (void)state;
    scenario_run(race, NULL);
    scenario_run(race, takers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena__machines_of_many_sizes__reserve_what_fits),
        cmocka_unit_test(arena__no_address_space__says_so_and_leaves_nothing),
        cmocka_unit_test(arena__one_reservation_fails__half_is_had),
        cmocka_unit_test(arena__segments_taken_one_by_one__commit_steps_grow_as_told),
        cmocka_unit_test(arena__run_longer_than_a_step__is_committed_whole),
        cmocka_unit_test(arena__commits_fail__no_segment_is_lost),
        cmocka_unit_test(arena__one_commit_fails__less_is_committed),
        cmocka_unit_test(arena__aligned_takes__give_what_they_skip),
        cmocka_unit_test(arena__more_than_there_is__nothing_and_the_end_stays),
        cmocka_unit_test(arena__8_threads_take__segments_are_disjoint_to_the_cap),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
