/*
 * The parts of the benches that figures and verdicts rest on: histogram and verified blocks.
 *
 * ctest: labels=quick timeout=60
 */
#include "bench/bench_latency.h"
#include "support.h"

#include "bench/bench_verify.h"

static void bench_latency__any_time__falls_into_a_narrow_bucket(void **state)
{
    uint64_t random = 1;
    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t ns = support_random(&random) >> (i % 64);
        unsigned bucket = latency_bucket(ns);
        assert_true(bucket < LATENCY_BUCKETS);
        uint64_t end_ns = latency_bucket_end_ns(bucket);
        assert_true(end_ns >= ns);
        assert_true(end_ns - ns <= ns / LATENCY_FINE);
        assert_int_equal(latency_bucket(end_ns), bucket);
        if (end_ns != UINT64_MAX)
            assert_int_equal(latency_bucket(end_ns + 1), bucket + 1);
    }
    assert_int_equal(latency_bucket(UINT64_MAX), LATENCY_BUCKETS - 1);
}

static void bench_latency__times_1_to_60__percentiles_are_exact(void **state)
{
    static struct bench_latency latency;
    (void)state;
    for (uint64_t ns = 1; ns <= 60; ns++)
        latency_add(&latency, ns);
    assert_int_equal(latency_percentile_ns(&latency, 500), 30);
    assert_int_equal(latency_percentile_ns(&latency, 990), 60);
    assert_int_equal(latency_percentile_ns(&latency, 1000), 60);
    assert_int_equal(latency.max_ns, 60);
}

static void bench_latency__one_long_call_in_1000__shows_above_p999_only(void **state)
{
    static struct bench_latency part, sum;
    (void)state;
    for (unsigned i = 0; i < 999; i++)
        latency_add(&part, 20);
    latency_add(&sum, 1000003);
    latency_merge(&sum, &part);
    assert_int_equal(sum.samples, 1000);
    assert_int_equal(latency_percentile_ns(&sum, 999), 20);
    assert_int_equal(sum.max_ns, 1000003);
    latency_add(&sum, 999999);
    assert_int_equal(latency_percentile_ns(&sum, 999), 1000003); /* not its bucket's end */
}

struct written {
    unsigned char block[48];
    struct block_mark mark;
};

static void child_check(void *argument)
{
    struct written *written = argument;
    mark_check(&written->mark, written->block);
}

static void bench_verify__any_byte_changed__ends_with_1_and_says_so(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes <= 33; bytes += 8) {
        for (size_t at = 0; at < bytes + 1; at++) { /* the last is beyond the block */
            struct written written = {.mark = {7, 3, bytes}};
            mark_fill(&written.mark, written.block);
            written.block[at] ^= 1;
            struct support_end end = support_run_child(child_check, &written);
            assert_true(WIFEXITED(end.status));
            assert_int_equal(WEXITSTATUS(end.status), at < bytes ? 1 : 0);
            assert_int_equal(strstr(end.text, "place 7, generation 3") != NULL, at < bytes);
        }
    }
}

static void bench_verify__blocks_of_two_places_or_generations__differ(void **state)
{
    struct block_mark marks[] = {{1, 1, 40}, {1, 2, 40}, {2, 1, 40}};
    struct written written[SUPPORT_COUNT(marks)] = {0};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(marks); i++)
        mark_fill(&marks[i], written[i].block);
    for (size_t i = 0; i < SUPPORT_COUNT(marks); i++)
        for (size_t at = 0; at < 32; at += 8) {
            size_t other = (i + 1) % SUPPORT_COUNT(marks);
            assert_memory_not_equal(written[i].block + at, written[other].block + at, 8);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bench_latency__any_time__falls_into_a_narrow_bucket),
        cmocka_unit_test(bench_latency__times_1_to_60__percentiles_are_exact),
        cmocka_unit_test(bench_latency__one_long_call_in_1000__shows_above_p999_only),
        cmocka_unit_test(bench_verify__any_byte_changed__ends_with_1_and_says_so),
        cmocka_unit_test(bench_verify__blocks_of_two_places_or_generations__differ),
    };
    return cmocka_run_group_tests_name("bench_parts", tests, NULL, NULL);
}
