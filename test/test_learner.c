/*
 * The learner: what it makes of figures, how long it waits, and what it does to a program.
 *
 * On the fake kernel, whose clock stands still. Each scenario is a process of its own.
 *
 * ctest: labels=quick timeout=120 core=fake
 */
#include "front/options.h"
#include "front/policy/learner.h"
#include "hakmem.h"
#include "scenario.h"

#define INTERVAL 64

static const struct hak_policy_class plain;

static int classes_prepare(void **state)
{
    (void)state;
    hak_classes_init(HAK_SMALL_MAX, true);
    return 0;
}

/* ---- judgement ------------------------------------------------------------------------------ */

/* A class with so many refills in so many slow paths, each of `blocks`; pages filled to `fill_bps`.
 */
static struct hak_learner_sample sample_of(size_t bin_idx, uint64_t takes, uint64_t entries,
                                           uint64_t blocks, uint64_t fill_bps)
{
    struct hak_learner_sample sample = {.entries = entries};
    sample.of[HAK_TOLD_PAGES] = 100;
    sample.of[HAK_TOLD_TAKES] = takes;
    sample.of[HAK_TOLD_TAKEN] = takes * blocks;
    sample.of[HAK_TOLD_FILL] = 100 * hak_classes[bin_idx].geometry.slots * fill_bps / 10000;
    return sample;
}

static struct hak_policy_class judge(size_t slot_bytes, struct hak_policy_class now, uint64_t takes,
                                     uint64_t blocks, uint64_t fill_bps)
{
    size_t bin_idx = hak_class_bin(slot_bytes);
    struct hak_learner_sample sample = sample_of(bin_idx, takes, 10000, blocks, fill_bps);
    return hak_learner_judge(bin_idx, &sample, &sample, &now);
}

static void assert_class(struct hak_policy_class class, unsigned route, unsigned capacity)
{
    assert_int_equal(class.route, route);
    assert_int_equal(class.capacity, capacity);
    assert_false(class.is_given);
}

static void judge__bursts_of_a_busy_class__want_a_larger_magazine(void **state)
{
    const struct hak_policy_class some = {.capacity = 127}, most = {.capacity = 1023};
    (void)state;
    assert_int_equal(hak_classes[hak_class_bin(1024)].max_capacity, 63);
    assert_class(judge(1024, plain, 5000, 31, 9000), HAK_ROUTE_ULTRA, 127);
    assert_class(judge(1024, some, 5000, 60, 9000), HAK_ROUTE_ULTRA, 255);
    assert_class(judge(1024, most, 5000, 500, 9000), HAK_ROUTE_ULTRA, 1023); /* there is no more */
    assert_class(judge(64, plain, 5000, 500, 9000), HAK_ROUTE_ULTRA, 0); /* it has all already */
    assert_class(judge(1024, plain, 400, 31, 9000), HAK_ROUTE_ULTRA, 0); /* not busy */
}

static void judge__class_that_is_busy_no_more__loses_its_magazine(void **state)
{
    const struct hak_policy_class some = {.capacity = 255};
    (void)state;
    assert_class(judge(1024, some, 100, 31, 9000), HAK_ROUTE_ULTRA, 0);
    assert_class(judge(1024, some, 200, 31, 9000), HAK_ROUTE_ULTRA, 255); /* still common */
}

static void judge__regular_class__gets_what_a_burst_would_bring(void **state)
{
    const struct hak_policy_class some = {.capacity = 63};
    (void)state;
    assert_class(judge(1024, plain, 5000, 8, 9000), HAK_ROUTE_ULTRA, 63);
    assert_class(judge(1024, plain, 200, 8, 9000), HAK_ROUTE_ULTRA, 63);
    assert_class(judge(1024, plain, 190, 8, 9000), HAK_ROUTE_ULTRA, 0);  /* not for its pages */
    assert_class(judge(1024, plain, 5000, 6, 9000), HAK_ROUTE_ULTRA, 0); /* hardly missed */
    assert_class(judge(1024, some, 5000, 8, 9000), HAK_ROUTE_ULTRA, 63);
    assert_class(judge(1024, some, 10, 8, 9000), HAK_ROUTE_ULTRA, 63);
    assert_class(judge(1024, some, 9, 8, 9000), HAK_ROUTE_ULTRA, 0);
    assert_class(judge(8192, plain, 5000, 8, 9000), HAK_ROUTE_ULTRA, 0); /* too much memory */
}

static void judge__rare_class__is_routed_by_its_fill(void **state)
{
    (void)state;
    /* 12 slots in 8 pages of 64 KiB: LARGE saves up to a fill of 7. */
    assert_class(judge(40960, plain, 30, 2, 1000), HAK_ROUTE_LARGE, 0);
    assert_class(judge(40960, plain, 200, 2, 6600), HAK_ROUTE_LARGE, 0);
    assert_class(judge(40960, plain, 200, 2, 6700), HAK_ROUTE_ULTRA, 0);
    assert_class(judge(40960, plain, 201, 2, 1000), HAK_ROUTE_ULTRA, 0); /* pages serve longer */
    assert_class(judge(40960, plain, 30, 2, 9000), HAK_ROUTE_MID, 0);
    assert_class(judge(40960, plain, 100, 2, 9000), HAK_ROUTE_ULTRA, 0); /* not so rare */
    assert_class(judge(8192, plain, 30, 2, 1300), HAK_ROUTE_MID, 0);     /* LARGE would take more */
    assert_class(judge(1024, plain, 30, 2, 1000), HAK_ROUTE_ULTRA, 0);   /* small */
}

static void judge__nothing_but_a_sparse_class__stays(void **state)
{
    size_t bin_idx = hak_class_bin(40960);
    struct hak_learner_sample sample = sample_of(bin_idx, 100, 199, 2, 1000);
    (void)state;
    assert_class(hak_learner_judge(bin_idx, &sample, &sample, &plain), HAK_ROUTE_ULTRA, 0);
    sample.entries = 200;
    assert_class(hak_learner_judge(bin_idx, &sample, &sample, &plain), HAK_ROUTE_LARGE, 0);
}

static void judge__mid_that_is_common_again__goes_back(void **state)
{
    const struct hak_policy_class mid = {.route = HAK_ROUTE_MID};
    (void)state;
    assert_class(judge(40960, mid, 200, 1, 9000), HAK_ROUTE_ULTRA, 0);
    assert_class(judge(40960, mid, 100, 1, 9000), HAK_ROUTE_MID, 0);
}

/* There were 100 refills among 9900 other slow paths, and now there are so many blocks among so
 * many slow paths. */
static struct hak_policy_class judge_large(uint64_t blocks, uint64_t entries)
{
    const struct hak_policy_class large = {.route = HAK_ROUTE_LARGE};
    size_t bin_idx = hak_class_bin(40960);
    struct hak_learner_sample left = sample_of(bin_idx, 100, 10000, 1, 1000);
    struct hak_learner_sample sample = sample_of(bin_idx, blocks, entries, 1, 1000);
    return hak_learner_judge(bin_idx, &sample, &left, &large);
}

static void judge__large_with_more_blocks_than_refills__goes_back(void **state)
{
    (void)state;
    assert_class(judge_large(100, 10000), HAK_ROUTE_LARGE, 0);
    assert_class(judge_large(300, 9900 + 300), HAK_ROUTE_LARGE, 0);
    assert_class(judge_large(301, 9900 + 300), HAK_ROUTE_ULTRA, 0);
    assert_class(judge_large(30, 990 + 30), HAK_ROUTE_LARGE, 0);
    assert_class(judge_large(31, 990 + 31), HAK_ROUTE_ULTRA, 0);
    assert_class(judge_large(16, 16), HAK_ROUTE_ULTRA, 0); /* there is nothing else any more */
    assert_class(judge_large(0, 10000), HAK_ROUTE_LARGE, 0);
}

/* Whatever is judged, the policy's text could say it; and what was judged last is kept, if nothing
 * changes: no class goes back and forth between two folds. */
static void judge__any_figures__are_within_bounds_and_settle(void **state)
{
    uint64_t seed = 1;
    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        size_t bin_idx = 1 + support_random(&seed) % (HAK_BINS - 1);
        bool is_mid = hak_classes[bin_idx].geometry.slot_bytes > HAK_POLICY_LARGE_ABOVE;
        struct hak_policy_class now = {.route =
                                           (uint8_t)(support_random(&seed) % (is_mid ? 3 : 2))};
        now.capacity = (uint16_t)(support_random(&seed) % (hak_policy_capacity_max(bin_idx) + 1));
        uint64_t all = support_random(&seed) % 20000;
        struct hak_learner_sample sample =
            sample_of(bin_idx, support_random(&seed) % (all + 1), all, support_random(&seed) % 600,
                      support_random(&seed) % 10001);
        bool settled = false;
        for (unsigned fold = 0; fold < 16 && !settled; fold++) {
            struct hak_policy_class wish = hak_learner_judge(bin_idx, &sample, &sample, &now);
            assert_true(wish.capacity <= hak_policy_capacity_max(bin_idx));
            assert_true(wish.route != HAK_ROUTE_LARGE || is_mid || now.route == HAK_ROUTE_LARGE);
            settled = wish.route == now.route && wish.capacity == now.capacity;
            now = wish;
        }
        assert_true(settled);
    }
}

static void patience__saving__is_longest(void **state)
{
    const struct hak_policy_class mid = {.route = HAK_ROUTE_MID}, more = {.capacity = 127};
    (void)state;
    assert_int_equal(hak_learner_patience(&mid, &plain), 1);
    assert_int_equal(hak_learner_patience(&plain, &more), 2);
    assert_int_equal(hak_learner_patience(&more, &plain), 4);
    assert_int_equal(hak_learner_patience(&plain, &mid), 4);
}

/* ---- programs ------------------------------------------------------------------------------- */

#define MANY 4000

static void *blocks[MANY];

static void wake(const char *mode)
{
    SUPPORT_REQUIRE(setenv("HAKMEM_LEARNER", mode, 1) == 0);
    SUPPORT_REQUIRE(setenv("HAKMEM_LEARNER_INTERVAL", "64", 1) == 0);
    hak_fake_wake(4096);
    hak_free(hak_malloc(1));
}

static void burst(size_t bytes, size_t count, unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++)
            SUPPORT_REQUIRE((blocks[i] = hak_malloc(bytes)) != NULL);
        for (size_t i = 0; i < count; i++)
            hak_free(blocks[i]);
    }
    SUPPORT_REQUIRE(hak_heap_is_valid());
}

static const struct hak_policy_class *class_now(size_t bytes)
{
    return &hak_policy_now()->classes[hak_class_bin(bytes)];
}

/* Until the learner has given the class the route, or for `most` rounds: rarely used among bursts
 * of another class. */
static void use_rarely(size_t bytes, unsigned most, unsigned route)
{
    for (unsigned i = 0; i < most && class_now(bytes)->route != route; i++) {
        void *block = hak_malloc(bytes);
        burst(3000, 400, 20);
        hak_free(block);
        hak_heap_release_all(hak_heap_enter());
        hak_heap_leave(hak_heap_self);
    }
}

static void run_phases(void *unused)
{
    (void)unused;
    wake("on");
    burst(1000, 2000, 30);
    SUPPORT_REQUIRE(class_now(1000)->capacity > 63);
    SUPPORT_REQUIRE(hak_heap_self->shelves[hak_class_bin(1000)].capacity > 63);
    use_rarely(40000, 300, HAK_ROUTE_LARGE);
    SUPPORT_REQUIRE(class_now(40000)->route == HAK_ROUTE_LARGE);
    burst(40000, 200, 10); /* now it is common */
    SUPPORT_REQUIRE(class_now(40000)->route == HAK_ROUTE_ULTRA);
}

static void learner__on__follows_the_phases_of_a_program(void **state)
{
    (void)state;
    scenario_run(run_phases, NULL);
}

/* Pages that do not close tell all the same: small blocks that come and go at random. */
static void churn(size_t live, size_t least_bytes, size_t most_bytes, size_t count)
{
    static uint64_t seed = 7;
    for (size_t i = 0; i < count; i++) {
        void **block = &blocks[support_random(&seed) % live];
        hak_free(*block);
        *block = hak_malloc(least_bytes + support_random(&seed) % (most_bytes - least_bytes + 1));
        SUPPORT_REQUIRE(*block != NULL);
    }
    SUPPORT_REQUIRE(hak_heap_is_valid());
}

static void run_steady(void *unused)
{
    size_t grown = 0;
    (void)unused;
    wake("on");
    churn(2000, 16, 1000, 1000000);
    for (size_t slot = 256; slot <= 1000; slot += 16) {
        const struct hak_shelf *shelf = &hak_heap_self->shelves[hak_class_bin(slot)];
        size_t most = hak_classes[hak_class_bin(slot)].max_capacity;
        SUPPORT_REQUIRE(class_now(slot)->capacity == 0 || class_now(slot)->capacity == most);
        grown += class_now(slot)->capacity == most && shelf->capacity == most;
    }
    SUPPORT_REQUIRE(grown > 23); /* half of them */
    SUPPORT_REQUIRE(class_now(1024)->capacity == 0);
}

static void learner__steady_program__is_heard_though_no_page_closes(void **state)
{
    (void)state;
    scenario_run(run_steady, NULL);
}

/* Sparse pages, and a magazine that is hit all the time, which nobody sees: LARGE is tried, and
 * given up once its blocks are counted; and then the learner waits longer. */
static void use_often(unsigned rounds, unsigned *tries)
{
    unsigned last = class_now(40000)->route;
    for (unsigned i = 0; i < rounds; i++) {
        for (unsigned hits = 0; hits < 50; hits++)
            hak_free(hak_malloc(40000));
        for (size_t k = 0; k < 100; k++) {
            burst(3000, 30, 1);
            *tries += class_now(40000)->route == HAK_ROUTE_LARGE && last != HAK_ROUTE_LARGE;
            last = class_now(40000)->route;
        }
        hak_heap_release_all(hak_heap_enter());
        hak_heap_leave(hak_heap_self);
    }
}

static void run_tries(void *unused)
{
    unsigned first = 0, later = 0;
    (void)unused;
    wake("on");
    use_often(200, &first);
    use_often(200, &later);
    dprintf(STDERR_FILENO, "tries: %u, then %u\n", first, later);
    SUPPORT_REQUIRE(class_now(40000)->route == HAK_ROUTE_ULTRA);
    SUPPORT_REQUIRE(first >= 1 && first <= 6 && later <= 1);
}

static void learner__large_with_unseen_hits__is_tried_and_given_up(void **state)
{
    (void)state;
    scenario_run(run_tries, NULL);
}

/* So many pages as HAKMEM_LEARNER_INTERVAL says, and they are judged; not one earlier. */
static void run_interval(void *unused)
{
    const struct hak_learner_use use = {.taken = 60, .takes = 4, .remote = 15, .fill = 60};
    size_t bin_idx = hak_class_bin(1024);
    (void)unused;
    wake("observe");
    for (unsigned fold = 1; fold <= 3; fold++) {
        for (unsigned i = 1; i < INTERVAL; i++)
            hak_learner_tell(bin_idx, use);
        struct hak_learner_sample told = hak_learner_told(bin_idx);
        SUPPORT_REQUIRE(told.of[HAK_TOLD_PAGES] == (fold == 1 ? 0 : INTERVAL));
        hak_learner_tell(bin_idx, use);
        told = hak_learner_told(bin_idx);
        SUPPORT_REQUIRE(told.of[HAK_TOLD_PAGES] == INTERVAL);
        SUPPORT_REQUIRE(told.of[HAK_TOLD_TAKEN] == 60 * INTERVAL);
        SUPPORT_REQUIRE(told.of[HAK_TOLD_TAKES] == 4 * INTERVAL);
        SUPPORT_REQUIRE(hak_learner_hit_bps(&told) == 7500);
        SUPPORT_REQUIRE(hak_learner_fill_bps(bin_idx, &told) ==
                        60 * 10000 / hak_classes[bin_idx].geometry.slots);
    }
}

static void learner__as_many_pages_as_the_interval__are_judged_together(void **state)
{
    (void)state;
    scenario_run(run_interval, NULL);
}

static void run_observe(void *unused)
{
    size_t bin_idx = hak_class_bin(1000);
    (void)unused;
    wake("observe");
    const struct hak_policy *before = hak_policy_now();
    burst(1000, 2000, 30);
    struct hak_learner_sample told = hak_learner_told(bin_idx);
    SUPPORT_REQUIRE(hak_policy_now() == before);
    SUPPORT_REQUIRE(hak_learner_wish(bin_idx).capacity > 63);
    SUPPORT_REQUIRE(told.of[HAK_TOLD_PAGES] > 0 && told.of[HAK_TOLD_TAKES] > 0);
    SUPPORT_REQUIRE(told.of[HAK_TOLD_TAKEN] > told.of[HAK_TOLD_TAKES]);
    SUPPORT_REQUIRE(told.of[HAK_TOLD_REMOTE] == 0 && hak_learner_hit_bps(&told) == 10000);
    SUPPORT_REQUIRE(hak_learner_fill_bps(bin_idx, &told) > 8000);
}

static void learner__observing__changes_nothing(void **state)
{
    (void)state;
    scenario_run(run_observe, NULL);
}

/* What it has come to reads as a policy, and says why. */
static void run_learnt(void *unused)
{
    char text[16384], part[100], fault[200];
    size_t bin_idx = hak_class_bin(1000);
    (void)unused;
    wake("observe");
    SUPPORT_REQUIRE(hak_policy_learnt(text, sizeof text) == 0 && text[0] == '\0');
    burst(1000, 2000, 30);
    size_t bytes = hak_policy_learnt(text, sizeof text);
    struct hak_learner_sample told = hak_learner_told(bin_idx);
    SUPPORT_REQUIRE(bytes > 0 && bytes < sizeof text && strlen(text) == bytes);
    SUPPORT_REQUIRE(hak_policy_learnt(part, sizeof part) == bytes);
    SUPPORT_REQUIRE(strlen(part) == sizeof part - 1 && strncmp(part, text, sizeof part - 1) == 0);
    SUPPORT_REQUIRE(hak_policy_learnt(NULL, 0) == bytes);
    char line[200];
    snprintf(line, sizeof line, " blocks by %llu refills in %llu slow paths\n",
             (unsigned long long)told.of[HAK_TOLD_TAKES], (unsigned long long)told.entries);
    SUPPORT_REQUIRE(strstr(text, line) != NULL);
    SUPPORT_REQUIRE(hak_policy_set(text, fault, sizeof fault) == 0);
    SUPPORT_REQUIRE(class_now(1000)->capacity == hak_learner_wish(bin_idx).capacity);
    SUPPORT_REQUIRE(class_now(1000)->capacity > 63 && class_now(1000)->is_given);
}

static void learnt__as_a_text__is_a_policy(void **state)
{
    (void)state;
    scenario_run(run_learnt, NULL);
}

/* The same in the text of the statistics; and who asks while somebody folds, which may be the one
 * that it has interrupted, hears less and does not wait for ever. */
static void ask_meanwhile(void *asked, const char *text, size_t bytes)
{
    (void)text;
    (void)bytes;
    if (++*(unsigned *)asked == 1)
        hak_malloc_stats();
}

static void write_stats(void *meanwhile)
{
    unsigned asked = 0;
    struct hak_out out = {.write = ask_meanwhile, .to = &asked};
    wake("observe");
    burst(1000, 2000, 30);
    if (meanwhile == NULL) {
        hak_malloc_stats();
        return;
    }
    hak_out(&out, "%0255d", 0); /* so the first line is written at once */
    SUPPORT_REQUIRE(hak_learner_say(&out, "") && asked == 1);
    hak_out_end(&out);
}

static void stats_text__learner_ran__says_what_it_judged(void **state)
{
    static const char line[] = "\nhakmem: learner: class 10"; /* 1008, or 1024 with a header */
    (void)state;
    struct support_end end = support_run_child(write_stats, NULL);
    assert_int_equal(end.status, 0);
    assert_non_null(strstr(end.text, "\nhakmem: learner: observe\n"));
    assert_non_null(strstr(end.text, line));
    assert_non_null(strstr(end.text, " full, 100 % freed by their thread, "));
    end = support_run_child(write_stats, &end);
    assert_int_equal(end.status, 0);
    assert_non_null(strstr(end.text, "\nhakmem: learner: observe\n"));
    assert_null(strstr(end.text, line));
}

static void run_off(void *unused)
{
    (void)unused;
    wake("off");
    burst(1000, 2000, 30);
    SUPPORT_REQUIRE(hak_learner_told(hak_class_bin(1000)).of[HAK_TOLD_PAGES] == 0);
    SUPPORT_REQUIRE(class_now(1000)->capacity == 0);
    SUPPORT_REQUIRE(hak_policy_learnt(NULL, 0) == 0);
}

static void learner__off__is_told_nothing(void **state)
{
    (void)state;
    scenario_run(run_off, NULL);
}

/* What a text says is not the learner's to change; and a text that comes takes what was learnt. */
static void run_given(void *unused)
{
    (void)unused;
    wake("on");
    SUPPORT_REQUIRE(hak_policy_set("class 1000 capacity 63", NULL, 0) == 0);
    burst(1000, 2000, 30);
    burst(500, 3000, 30);
    SUPPORT_REQUIRE(class_now(1000)->capacity == 63 && class_now(500)->capacity > 127);
    SUPPORT_REQUIRE(hak_policy_set("class 1000 capacity 40", NULL, 0) == 0);
    SUPPORT_REQUIRE(class_now(1000)->capacity == 40 && class_now(500)->capacity == 0);
}

static void learner__given_class__is_left_alone(void **state)
{
    (void)state;
    scenario_run(run_given, NULL);
}

/* Blocks that another thread frees are no hits. */
static void free_all(unsigned index, void *unused)
{
    (void)index;
    (void)unused;
    for (size_t i = 0; i < MANY; i++)
        hak_free(blocks[i]);
}

static void run_remote(void *unused)
{
    size_t bin_idx = hak_class_bin(1000);
    (void)unused;
    wake("observe");
    for (unsigned round = 0; round < 4; round++) {
        for (size_t i = 0; i < MANY; i++)
            SUPPORT_REQUIRE((blocks[i] = hak_malloc(1000)) != NULL);
        scenario_threads(1, free_all, NULL);
        (void)hak_malloc_trim(0);
    }
    struct hak_learner_sample told = hak_learner_told(bin_idx);
    SUPPORT_REQUIRE(told.of[HAK_TOLD_PAGES] > 0 && hak_learner_hit_bps(&told) < 1000);
}

static void learner__blocks_freed_by_others__are_no_hits(void **state)
{
    (void)state;
    scenario_run(run_remote, NULL);
}

#define THREADS 4

static void use_all(unsigned index, void *unused)
{
    void *mine[300];
    uint64_t seed = index;
    (void)unused;
    for (unsigned round = 0; round < 200; round++) {
        size_t bytes = (size_t)100 << support_random(&seed) % 10;
        size_t count = support_random(&seed) % SUPPORT_COUNT(mine);
        for (size_t i = 0; i < count; i++) {
            SUPPORT_REQUIRE((mine[i] = hak_malloc(bytes)) != NULL);
            support_fill(mine[i], 64, i);
        }
        for (size_t i = 0; i < count; i++) {
            SUPPORT_REQUIRE(support_holds(mine[i], 64, i));
            hak_free(mine[i]);
        }
    }
    SUPPORT_REQUIRE(hak_heap_is_valid());
}

static void run_threads(void *unused)
{
    (void)unused;
    wake("on");
    SUPPORT_REQUIRE(setenv("HAKMEM_LEARNER_INTERVAL", "1", 1) == 0);
    scenario_threads(THREADS, use_all, NULL);
}

static void learner__several_threads__nothing_is_lost(void **state)
{
    (void)state;
    scenario_run(run_threads, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judge__bursts_of_a_busy_class__want_a_larger_magazine),
        cmocka_unit_test(judge__class_that_is_busy_no_more__loses_its_magazine),
        cmocka_unit_test(judge__rare_class__is_routed_by_its_fill),
        cmocka_unit_test(judge__regular_class__gets_what_a_burst_would_bring),
        cmocka_unit_test(judge__nothing_but_a_sparse_class__stays),
        cmocka_unit_test(judge__mid_that_is_common_again__goes_back),
        cmocka_unit_test(judge__large_with_more_blocks_than_refills__goes_back),
        cmocka_unit_test(judge__any_figures__are_within_bounds_and_settle),
        cmocka_unit_test(patience__saving__is_longest),
        cmocka_unit_test(learner__on__follows_the_phases_of_a_program),
        cmocka_unit_test(learner__steady_program__is_heard_though_no_page_closes),
        cmocka_unit_test(learner__large_with_unseen_hits__is_tried_and_given_up),
        cmocka_unit_test(learner__as_many_pages_as_the_interval__are_judged_together),
        cmocka_unit_test(learner__observing__changes_nothing),
        cmocka_unit_test(learnt__as_a_text__is_a_policy),
        cmocka_unit_test(stats_text__learner_ran__says_what_it_judged),
        cmocka_unit_test(learner__off__is_told_nothing),
        cmocka_unit_test(learner__given_class__is_left_alone),
        cmocka_unit_test(learner__blocks_freed_by_others__are_no_hits),
        cmocka_unit_test(learner__several_threads__nothing_is_lost),
    };
    return cmocka_run_group_tests_name("learner", tests, classes_prepare, NULL);
}
