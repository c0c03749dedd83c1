/*
 * Random work by many threads that hand blocks to each other.
 *
 * A worker keeps some blocks to itself and exchanges others with a table that all workers
 * share: what it finds there it verifies and frees, so those blocks are freed by a thread that
 * did not allocate them. Workers live for a moment only and are replaced while their blocks
 * live on. Every block is filled with the XXH3 stream of its identity.
 *
 * HAKMEM_TEST_SECONDS is the time for all cases together (default 5).
 *
 * ctest: labels=quick timeout=120
 */
#include "stress.h"

#define THREADS_MAX 16
#define TABLE_SLOTS 4096
#define OWN_SLOTS 256
#define STEPS_BETWEEN_WALKS 2048

/* A block and what stands in it. Held by whoever took its pointer out of a table. */
struct item {
    char *block;
    size_t bytes;
    uint64_t key;
};

static _Atomic(struct item *) table[TABLE_SLOTS];
static _Atomic(bool) stop_now;
static _Atomic(uint64_t) blocks_made;

/* One run of the workers. */
struct scenario {
    const char *name;
    unsigned threads;
    unsigned remote_percent; /* of blocks that go through the shared table */
    unsigned life_ms_max;    /* workers are replaced after at most this time */
    size_t bytes_max;
};

struct worker {
    const struct scenario *scenario;
    uint64_t seed;
    struct item *own[OWN_SLOTS];
};

static size_t random_bytes(uint64_t *seed, size_t bytes_max)
{
    uint64_t percentage = support_random(seed) % 1000;
    unsigned bits = percentage < 800 ? 10 : percentage < 950 ? 12 : percentage < 990 ? 16 : 20;
    if (percentage == 999)
        bits = 23;
    size_t bytes = support_random(seed) % ((size_t)1 << (1 + support_random(seed) % bits));
    return bytes % (bytes_max + 1);
}

static struct item *item_make(uint64_t *seed, size_t bytes_max)
{
    struct item *item = malloc(sizeof *item);
    SUPPORT_REQUIRE(item != NULL);
    unsigned way = support_random(seed) % 20;
    size_t alignment = 16;
    item->bytes = random_bytes(seed, bytes_max);
    item->key = XXH3_64bits_withSeed(&item->bytes, sizeof item->bytes, support_random(seed));
    if (way == 0) {
        item->block = hak_calloc(1, item->bytes);
        SUPPORT_REQUIRE(item->block != NULL);
        SUPPORT_REQUIRE(support_is_zero(item->block, item->bytes));
    } else if (way == 1) {
        alignment <<= support_random(seed) % 13;
        item->block = hak_memalign(alignment, item->bytes);
    } else {
        item->block = hak_malloc(item->bytes);
    }
    SUPPORT_REQUIRE(item->block != NULL);
    SUPPORT_REQUIRE((uintptr_t)item->block % alignment == 0);
    SUPPORT_REQUIRE(hak_malloc_usable_size(item->block) >= item->bytes);
    support_fill(item->block, item->bytes, item->key);
    atomic_fetch_add_explicit(&blocks_made, 1, memory_order_relaxed); /* only a count */
    return item;
}

static void item_drop(struct item *item)
{
    if (item == NULL)
        return;
    SUPPORT_REQUIRE(support_holds(item->block, item->bytes, item->key));
    hak_free(item->block);
    free(item);
}

static void item_resize(struct item *item, uint64_t *seed, size_t bytes_max)
{
    size_t bytes = random_bytes(seed, bytes_max) + 1;
    char *block = hak_realloc(item->block, bytes);
    SUPPORT_REQUIRE(block != NULL);
    SUPPORT_REQUIRE(support_holds(block, item->bytes < bytes ? item->bytes : bytes, item->key));
    item->block = block;
    item->bytes = bytes;
    support_fill(block, bytes, item->key);
}

/* One step: make a block, or resize one, and drop what it replaces. */
static void worker_step(struct worker *worker)
{
    const struct scenario *scenario = worker->scenario;
    uint64_t *seed = &worker->seed;
    if (support_random(seed) % 100 < scenario->remote_percent) {
        _Atomic(struct item *) *slot = &table[support_random(seed) % TABLE_SLOTS];
        struct item *item = item_make(seed, scenario->bytes_max);
        /* acq_rel: hands the contents of `item` over and takes those of the one found. */
        item_drop(atomic_exchange_explicit(slot, item, memory_order_acq_rel));
        return;
    }
    struct item **own = &worker->own[support_random(seed) % OWN_SLOTS];
    if (*own != NULL && support_random(seed) % 8 == 0) {
        item_resize(*own, seed, scenario->bytes_max);
        return;
    }
    item_drop(*own);
    *own = NULL;
    if (support_random(seed) % 8 != 0)
        *own = item_make(seed, scenario->bytes_max);
}

/* What a worker leaves: with remote frees, others get most of its blocks after its end. */
static void worker_leave(struct worker *worker)
{
    for (size_t i = 0; i < OWN_SLOTS; i++) {
        struct item *item = worker->own[i];
        worker->own[i] = NULL;
        if (item != NULL &&
            support_random(&worker->seed) % 100 < worker->scenario->remote_percent) {
            size_t idx = support_random(&worker->seed) % TABLE_SLOTS;
            /* acq_rel: as in worker_step(). */
            item = atomic_exchange_explicit(&table[idx], item, memory_order_acq_rel);
        }
        item_drop(item);
    }
}

/* Now and then: what walks over the heaps of others while they are at work. */
static void worker_look_at_all(struct worker *worker)
{
    uint64_t kind = support_random(&worker->seed) % 16;
    if (kind == 0)
        hak_malloc_trim(0);
    else if (kind == 1)
        SUPPORT_REQUIRE(hak_mallinfo2().arena != 0);
}

static void *worker_run(void *argument)
{
    struct worker *worker = argument;
    double end = support_seconds() +
                 (double)(support_random(&worker->seed) % worker->scenario->life_ms_max) / 1000;
    bool over = false;
    while (!over) {
        for (unsigned i = 0; i < STEPS_BETWEEN_WALKS; i++)
            worker_step(worker);
        SUPPORT_REQUIRE(hak_heap_is_valid());
        worker_look_at_all(worker);
        /* relaxed: only a hint to end; joining orders everything else. */
        over = atomic_load_explicit(&stop_now, memory_order_relaxed) || support_seconds() >= end;
    }
    worker_leave(worker);
    return NULL;
}

static void table_empty(void)
{
    for (size_t i = 0; i < TABLE_SLOTS; i++) {
        /* acq_rel: as in worker_step(). */
        item_drop(atomic_exchange_explicit(&table[i], NULL, memory_order_acq_rel));
    }
}

/* Keeps `threads` workers running, each replaced as soon as its turn to be joined comes. */
static void run_workers(const struct scenario *scenario, double seconds)
{
    static struct worker workers[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    double end = support_seconds() + seconds;
    uint64_t seed = stress_seed(scenario->threads * 1000 + scenario->remote_percent);
    for (unsigned i = 0; i < scenario->threads; i++) {
        workers[i] = (struct worker){.scenario = scenario, .seed = support_random(&seed)};
        assert_int_equal(pthread_create(&threads[i], NULL, worker_run, &workers[i]), 0);
    }
    for (unsigned i = 0; support_seconds() < end; i = (i + 1) % scenario->threads) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        workers[i].seed = support_random(&seed);
        assert_int_equal(pthread_create(&threads[i], NULL, worker_run, &workers[i]), 0);
    }
    /* relaxed: a hint, see worker_run(). */
    atomic_store_explicit(&stop_now, true, memory_order_relaxed);
    for (unsigned i = 0; i < scenario->threads; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    atomic_store_explicit(&stop_now, false, memory_order_relaxed); /* nobody else runs */
}

/* `share` is this case's part of the time for all. */
static void run_scenario(const struct scenario *scenario, double share)
{
    struct stress_memory before = stress_memory();
    uint64_t made_before = blocks_made;
    double seconds = stress_seconds(share);

    run_workers(scenario, seconds);
    table_empty();

    assert_true(blocks_made > made_before);
    stress_assert_returned(before, 16 * MIB);
    stress_say(scenario->name, scenario->threads, seconds, blocks_made - made_before);
}

static void stress__all_frees_local__contents_hold_and_memory_returns(void **state)
{
    const struct scenario scenario = {"all local", 16, 0, 300, 8 * MIB};
    (void)state;
    run_scenario(&scenario, 0.2);
}

static void stress__half_of_frees_remote__contents_hold_and_memory_returns(void **state)
{
    const struct scenario scenario = {"half remote", 16, 50, 300, 8 * MIB};
    (void)state;
    run_scenario(&scenario, 0.2);
}

static void stress__nine_of_ten_frees_remote__contents_hold_and_memory_returns(void **state)
{
    const struct scenario scenario = {"nine of ten remote", 16, 90, 300, 8 * MIB};
    (void)state;
    run_scenario(&scenario, 0.2);
}

static void stress__tiny_blocks_of_few_threads__contents_hold_and_memory_returns(void **state)
{
    const struct scenario scenario = {"tiny, few threads", 4, 90, 500, 200};
    (void)state;
    run_scenario(&scenario, 0.2);
}

static void stress__threads_that_hardly_live__contents_hold_and_memory_returns(void **state)
{
    const struct scenario scenario = {"short lives", 8, 70, 2, 64 * KIB};
    (void)state;
    run_scenario(&scenario, 0.2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stress__all_frees_local__contents_hold_and_memory_returns),
        cmocka_unit_test(stress__half_of_frees_remote__contents_hold_and_memory_returns),
        cmocka_unit_test(stress__nine_of_ten_frees_remote__contents_hold_and_memory_returns),
        cmocka_unit_test(stress__tiny_blocks_of_few_threads__contents_hold_and_memory_returns),
        cmocka_unit_test(stress__threads_that_hardly_live__contents_hold_and_memory_returns),
    };
    return cmocka_run_group_tests_name("stress", tests, NULL, NULL);
}
