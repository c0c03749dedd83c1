/*
 * Memory goes back to the system when it is free, and is not thrown away when it is needed
 * again at once.
 *
 * Measured as resident bytes and minor faults of the process. Under a sanitizer the work is
 * done in small and nothing is measured.
 *
 * ctest: labels=quick timeout=120
 */
#include "support.h"

#include <stdatomic.h>

#define PHASE_BYTES (SUPPORT_SHADOWED ? 20 * MIB : 200 * MIB)
#define RESIDENT_SLACK_BYTES (16 * MIB)
#define IDLE_BYTES_MAX (8 * MIB)
#define BLOCKS_MAX 400000

static char *blocks[BLOCKS_MAX];
static size_t os_page_bytes;

static void assert_resident_within(size_t base_bytes, size_t slack_bytes)
{
    size_t resident_bytes = support_resident_bytes();
    if (!SUPPORT_SHADOWED && resident_bytes > base_bytes + slack_bytes)
        fail_msg("resident %zu KiB, at the beginning %zu KiB", resident_bytes / KIB,
                 base_bytes / KIB);
}

/* A thread that does one job after another and sleeps in between. */
struct helper {
    pthread_t thread;
    pthread_barrier_t begin, done;
    void (*job)(void); /* [main, between the barriers] NULL ends the thread */
};

static void *helper_run(void *argument)
{
    struct helper *helper = argument;
    for (;;) {
        pthread_barrier_wait(&helper->begin);
        if (helper->job == NULL)
            return NULL;
        helper->job();
        pthread_barrier_wait(&helper->done);
    }
}

static void helper_start(struct helper *helper)
{
    assert_int_equal(pthread_barrier_init(&helper->begin, NULL, 2), 0);
    assert_int_equal(pthread_barrier_init(&helper->done, NULL, 2), 0);
    assert_int_equal(pthread_create(&helper->thread, NULL, helper_run, helper), 0);
}

static void helper_do(struct helper *helper, void (*job)(void))
{
    helper->job = job;
    pthread_barrier_wait(&helper->begin);
    pthread_barrier_wait(&helper->done);
}

static void helper_end(struct helper *helper)
{
    helper->job = NULL;
    pthread_barrier_wait(&helper->begin);
    assert_int_equal(pthread_join(helper->thread, NULL), 0);
}

/* Fills PHASE_BYTES with blocks of 100 to 2000 bytes. */
static void produce(void)
{
    uint64_t seed = 11;
    size_t total_bytes = 0;
    for (size_t i = 0; i < BLOCKS_MAX && total_bytes < PHASE_BYTES; i++) {
        size_t bytes = 100 + support_random(&seed) % 1901;
        blocks[i] = hak_malloc(bytes);
        SUPPORT_REQUIRE(blocks[i] != NULL);
        memset(blocks[i], 1, bytes);
        total_bytes += bytes;
    }
    SUPPORT_REQUIRE(total_bytes >= PHASE_BYTES);
}

static void consume(void)
{
    for (size_t i = 0; i < BLOCKS_MAX; i++) {
        hak_free(blocks[i]);
        blocks[i] = NULL;
    }
}

/* A few misses in every tier: what a thread does now and then when it lives on. */
static void take_slow_paths(void)
{
    enum { A_FEW = 64 };
    char *few[A_FEW];
    for (size_t bytes = 16; bytes <= 128 * KIB; bytes *= 2) {
        for (unsigned i = 0; i < A_FEW; i++)
            few[i] = hak_malloc(bytes);
        for (unsigned i = 0; i < A_FEW; i++)
            hak_free(few[i]);
    }
}

static void trim(void)
{
    hak_malloc_trim(0);
}

static void memory_back__producer_and_consumer_ended__returns_at_trim(void **state)
{
    (void)state;
    size_t base_bytes = support_resident_bytes();
    for (unsigned round = 0; round < 3; round++) {
        struct helper producer, consumer;
        helper_start(&producer);
        helper_start(&consumer);
        helper_do(&producer, produce);
        helper_do(&consumer, consume);
        helper_end(&consumer);
        helper_end(&producer);
        trim();
        assert_resident_within(base_bytes, RESIDENT_SLACK_BYTES);
    }
}

static void memory_back__producer_ended_first__returns_at_trim(void **state)
{
    struct helper producer, consumer;
    (void)state;
    size_t base_bytes = support_resident_bytes();
    helper_start(&producer);
    helper_do(&producer, produce);
    helper_end(&producer);
    helper_start(&consumer);
    helper_do(&consumer, consume);
    helper_end(&consumer);
    trim();
    assert_resident_within(base_bytes, RESIDENT_SLACK_BYTES);
}

/* Every second block: nearly every page of the producer is then half free. */
static void consume_half(void)
{
    for (size_t i = 0; i < BLOCKS_MAX; i += 2) {
        hak_free(blocks[i]);
        blocks[i] = NULL;
    }
}

/* Nobody asks for memory back: what is free must go with time, by ordinary slow paths alone. */
static void memory_back__no_trim_but_some_work__returns_with_time(void **state)
{
    struct helper producer, consumer;
    (void)state;
    trim();
    size_t base_bytes = support_resident_bytes();
    helper_start(&producer);
    helper_start(&consumer);
    helper_do(&consumer, take_slow_paths); /* it has a heap now, and will not inherit one */
    helper_do(&producer, produce);
    helper_do(&producer, consume_half);
    helper_end(&producer);
    helper_do(&consumer, consume);
    helper_end(&consumer);
    double deadline = support_seconds() + 10;
    while (support_resident_bytes() > base_bytes + RESIDENT_SLACK_BYTES &&
           support_seconds() < deadline && !SUPPORT_SHADOWED) {
        take_slow_paths();
        usleep(10000);
    }
    assert_resident_within(base_bytes, RESIDENT_SLACK_BYTES);
}

/* The owner of the pages sleeps: it gives them back in its next slow paths after the trim. */
static void memory_back__producer_lives_on__returns_after_its_slow_path(void **state)
{
    struct helper producer, consumer;
    (void)state;
    size_t base_bytes = support_resident_bytes();
    helper_start(&producer);
    helper_start(&consumer);
    helper_do(&producer, produce);
    helper_do(&consumer, consume);
    helper_do(&consumer, trim);
    trim();
    helper_do(&producer, take_slow_paths);
    trim();
    assert_resident_within(base_bytes, RESIDENT_SLACK_BYTES);
    helper_end(&consumer);
    helper_end(&producer);
}

static void memory_back__producer_trims_itself__returns(void **state)
{
    struct helper producer;
    (void)state;
    size_t base_bytes = support_resident_bytes();
    helper_start(&producer);
    helper_do(&producer, produce);
    consume();
    trim();
    helper_do(&producer, trim);
    assert_resident_within(base_bytes, RESIDENT_SLACK_BYTES);
    helper_end(&producer);
}

/* Takes and frees 4 MiB in blocks of each size, so that every cache is as full as it gets. */
static void use_all_classes(void)
{
    for (size_t bytes = 16; bytes <= 64 * KIB; bytes += bytes / 8 / 16 * 16 + 16) {
        size_t count = 4 * MIB / bytes < BLOCKS_MAX ? 4 * MIB / bytes : BLOCKS_MAX;
        for (unsigned round = 0; round < 4; round++) {
            for (size_t i = 0; i < count; i++) {
                blocks[i] = hak_malloc(bytes);
                SUPPORT_REQUIRE(blocks[i] != NULL);
                memset(blocks[i], 1, bytes);
            }
            consume();
        }
    }
}

static void memory_back__idle_thread__holds_little(void **state)
{
    struct helper idler;
    (void)state;
    if (SUPPORT_SHADOWED)
        skip();
    trim();
    size_t base_bytes = support_resident_bytes();
    helper_start(&idler);
    helper_do(&idler, use_all_classes);
    trim();
    /* It did not hear of it yet: full magazines, and the pages that their blocks keep. */
    assert_resident_within(base_bytes, IDLE_BYTES_MAX + IDLE_BYTES_MAX / 2);
    helper_do(&idler, take_slow_paths);
    trim();
    assert_resident_within(base_bytes, IDLE_BYTES_MAX + MIB);
    helper_end(&idler);
    trim();
    assert_resident_within(base_bytes, IDLE_BYTES_MAX / 2);
}

/* One byte an os_page. */
static void touch(char *block, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += os_page_bytes)
        block[at] = 1;
}

static void memory_back__same_large_size_again__faults_no_pages(void **state)
{
    const size_t sizes[] = {100 * KIB, MIB, 5 * MIB, 20 * MIB, 40 * MIB};
    enum { ROUNDS = 200 };
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++) {
        size_t faults_before = support_minor_faults();
        for (unsigned round = 0; round < ROUNDS; round++) {
            char *block = support_hide(hak_malloc(sizes[i]));
            assert_non_null(block);
            touch(block, sizes[i]);
            hak_free(block);
        }
        size_t touched_pages = ROUNDS * (sizes[i] / os_page_bytes);
        size_t faults = support_minor_faults() - faults_before;
        if (!SUPPORT_SHADOWED && faults > touched_pages / 50 + 16)
            fail_msg("%zu KiB: %zu faults for %zu touches", sizes[i] / KIB, faults, touched_pages);
    }
    trim();
}

/* Several live at a time, in a changing order: what a program with large buffers does. */
static void memory_back__few_large_sizes_in_turn__faults_few_pages(void **state)
{
    enum { LIVE = 4, ROUNDS = 400 };
    char *live[LIVE] = {NULL};
    uint64_t seed = 3;
    size_t touched_pages = 0, faults_before = support_minor_faults();
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        char **place = &live[support_random(&seed) % LIVE];
        size_t bytes = MIB << support_random(&seed) % 3;
        hak_free(*place);
        *place = support_hide(hak_malloc(bytes));
        assert_non_null(*place);
        touch(*place, bytes);
        touched_pages += bytes / os_page_bytes;
    }
    size_t faults = support_minor_faults() - faults_before;
    for (unsigned i = 0; i < LIVE; i++)
        hak_free(live[i]);
    trim();
    if (!SUPPORT_SHADOWED && faults > touched_pages / 5)
        fail_msg("%zu faults for %zu touches", faults, touched_pages);
}

static void stamp_pages(char *block, size_t from_bytes, size_t to_bytes)
{
    for (size_t at = from_bytes; at < to_bytes; at += os_page_bytes)
        memcpy(block + at, &(uint64_t){support_word(9, at)}, sizeof(uint64_t));
}

static void assert_stamped(const char *block, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += os_page_bytes) {
        if (memcmp(block + at, &(uint64_t){support_word(9, at)}, sizeof(uint64_t)) != 0)
            fail_msg("contents lost at %zu of %zu bytes", at, bytes);
    }
}

/* Every page faults once at its first use. A copy would fault all of them at every step. */
static void memory_back__one_block_grows_to_512_mib__is_not_copied(void **state)
{
    const size_t top_bytes = SUPPORT_SHADOWED ? 64 * MIB : 512 * MIB;
    (void)state;
    trim();
    size_t base_bytes = support_resident_bytes(), faults_before = support_minor_faults();
    size_t bytes = MIB, stamped_bytes = 0;
    char *block = hak_malloc(bytes), *in_the_way = NULL;
    for (;;) {
        assert_non_null(block);
        stamp_pages(block, stamped_bytes, bytes);
        stamped_bytes = (bytes + os_page_bytes - 1) / os_page_bytes * os_page_bytes;
        assert_stamped(block, bytes);
        if (bytes == top_bytes)
            break;
        bytes = bytes + bytes / 2 < top_bytes ? bytes + bytes / 2 : top_bytes;
        block = hak_realloc(block, bytes);
        if (in_the_way == NULL && bytes > 20 * MIB) /* from here on it cannot just stay */
            in_the_way = hak_malloc(3 * MIB);
    }
    size_t faults = support_minor_faults() - faults_before;
    hak_free(block);
    hak_free(in_the_way);
    trim();
    assert_resident_within(base_bytes, RESIDENT_SLACK_BYTES);
    if (!SUPPORT_SHADOWED && faults > top_bytes / os_page_bytes / 10 * 11 + 4096)
        fail_msg("%zu faults", faults);
}

static void memory_back__large_blocks_freed__return_at_trim(void **state)
{
    enum { COUNT = 20 };
    char *large[COUNT];
    (void)state;
    trim();
    size_t base_bytes = support_resident_bytes();
    for (unsigned i = 0; i < COUNT; i++) {
        large[i] = hak_malloc((i + 1) * MIB / 2);
        assert_non_null(large[i]);
        touch(large[i], (i + 1) * MIB / 2);
    }
    for (unsigned i = 0; i < COUNT; i++)
        hak_free(large[i]);
    trim();
    assert_resident_within(base_bytes, 2 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_back__producer_and_consumer_ended__returns_at_trim),
        cmocka_unit_test(memory_back__producer_ended_first__returns_at_trim),
        cmocka_unit_test(memory_back__no_trim_but_some_work__returns_with_time),
        cmocka_unit_test(memory_back__producer_lives_on__returns_after_its_slow_path),
        cmocka_unit_test(memory_back__producer_trims_itself__returns),
        cmocka_unit_test(memory_back__idle_thread__holds_little),
        cmocka_unit_test(memory_back__same_large_size_again__faults_no_pages),
        cmocka_unit_test(memory_back__few_large_sizes_in_turn__faults_few_pages),
        cmocka_unit_test(memory_back__one_block_grows_to_512_mib__is_not_copied),
        cmocka_unit_test(memory_back__large_blocks_freed__return_at_trim),
    };
    os_page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    return cmocka_run_group_tests_name("memory_back", tests, NULL, NULL);
}
