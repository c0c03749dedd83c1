/*
 * Blocks that flow from thread to thread: through a pipeline, from all to all, and from owners that
 * end to those who stay. What comes out is what went in, and in the end all memory is back.
 *
 * HAKMEM_TEST_SECONDS is the time for all cases together (default 5).
 *
 * ctest: labels=quick timeout=120
 */
#include "stress.h"

#define RING_SLOTS 256
#define STAGES 5
#define PEERS 8
#define FREERS 3
#define TABLE_SLOTS 2048
#define CROWD (SUPPORT_SHADOWED ? 100 : 1000)

/* ---- a ring with one writer and one reader ----------------------------------------------------
 */

struct ring {
    _Alignas(64) _Atomic(size_t) written; /* [writer] */
    _Alignas(64) _Atomic(size_t) read;    /* [reader] */
    struct stress_block *slots[RING_SLOTS];
};

static bool ring_put(struct ring *ring, struct stress_block *block)
{
    /* relaxed: its own. acquire: the reader is done with the slot. */
    size_t at = atomic_load_explicit(&ring->written, memory_order_relaxed);
    if (at - atomic_load_explicit(&ring->read, memory_order_acquire) == RING_SLOTS)
        return false;
    ring->slots[at % RING_SLOTS] = block;
    /* release: hands the block over. */
    atomic_store_explicit(&ring->written, at + 1, memory_order_release);
    return true;
}

static struct stress_block *ring_take(struct ring *ring)
{
    /* relaxed: its own. acquire: pairs with ring_put(). */
    size_t at = atomic_load_explicit(&ring->read, memory_order_relaxed);
    if (at == atomic_load_explicit(&ring->written, memory_order_acquire))
        return NULL;
    struct stress_block *block = ring->slots[at % RING_SLOTS];
    /* release: the slot may be written again. */
    atomic_store_explicit(&ring->read, at + 1, memory_order_release);
    return block;
}

static void wait_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
}

static void sleep_seconds(double seconds)
{
    double end = support_seconds() + seconds;
    while (support_seconds() < end)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

/* Runs body(0) ... body(count - 1) for so long. */
static void run_threads(void *(*body)(void *), unsigned count, double seconds)
{
    pthread_t threads[PEERS + STAGES];
    for (uintptr_t i = 0; i < count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, body, (void *)i), 0);
    sleep_seconds(seconds);
    set_over(true);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    set_over(false);
}

/* ---- a pipeline -------------------------------------------------------------------------------
 */

static struct ring pipes[STAGES]; /* what goes into stage i; none goes into the first */
static _Atomic(unsigned) ended;   /* stages that are through, in order */

static struct stress_block *stage_next(unsigned stage, uint64_t *seed)
{
    if (stage == 0)
        return is_over() ? NULL : stress_make(seed);
    for (;;) {
        /* acquire: whatever the stage before put into the pipe is there. */
        bool last = atomic_load_explicit(&ended, memory_order_acquire) >= stage;
        struct stress_block *block = ring_take(&pipes[stage]);
        if (block != NULL || last)
            return block;
        wait_a_little();
    }
}

/* Some blocks change their size on the way, some are replaced by others. */
static void *stage_run(void *argument)
{
    unsigned stage = (unsigned)(uintptr_t)argument;
    uint64_t seed = stress_seed(stage + 1), count = 0;
    struct stress_block *block;
    while ((block = stage_next(stage, &seed)) != NULL) {
        count++;
        if (stage != 0 && support_random(&seed) % 8 == 0) {
            block = stress_resize(block, &seed);
        } else if (stage != 0 && support_random(&seed) % 16 == 0) {
            stress_drop(block);
            block = stress_make(&seed);
        }
        if (stage == STAGES - 1)
            stress_drop(block);
        else
            while (!ring_put(&pipes[stage + 1], block))
                wait_a_little();
    }
    count_operations(count);
    /* acq_rel: everything is in the pipe. */
    atomic_fetch_add_explicit(&ended, 1, memory_order_acq_rel);
    return NULL;
}

static void flows__through_a_pipeline__come_out_whole_and_memory_returns(void **state)
{
    double seconds = stress_seconds(0.3);
    (void)state;
    struct stress_memory before = stress_memory();
    run_threads(stage_run, STAGES, seconds);
    atomic_store_explicit(&ended, 0, memory_order_relaxed); /* nobody else runs */
    stress_assert_returned(before, 16 * MIB);
    stress_say("pipeline", STAGES, seconds, operations_take());
}

/* ---- from all to all --------------------------------------------------------------------------
 */

static struct ring mesh[PEERS][PEERS]; /* from, to */

static void *peer_run(void *argument)
{
    size_t self = (uintptr_t)argument;
    uint64_t seed = stress_seed(self + 100), count = 0;
    for (; !is_over(); count++) {
        struct stress_block *block = stress_make(&seed);
        if (!ring_put(&mesh[self][support_random(&seed) % PEERS], block))
            stress_drop(block);
        size_t from = support_random(&seed) % PEERS;
        for (unsigned i = 0; i < 4; i++)
            stress_drop(ring_take(&mesh[from][self]));
    }
    count_operations(count);
    return NULL;
}

static void flows__from_all_to_all__come_out_whole_and_memory_returns(void **state)
{
    double seconds = stress_seconds(0.3);
    (void)state;
    struct stress_memory before = stress_memory();
    run_threads(peer_run, PEERS, seconds);
    for (size_t i = 0; i < PEERS * PEERS; i++) {
        struct stress_block *block;
        while ((block = ring_take(&mesh[i / PEERS][i % PEERS])) != NULL)
            stress_drop(block);
    }
    stress_assert_returned(before, 16 * MIB);
    stress_say("all to all", PEERS, seconds, operations_take());
}

/* ---- owners that end --------------------------------------------------------------------------
 */

static _Atomic(struct stress_block *) table[TABLE_SLOTS];

static void table_put(size_t slot, struct stress_block *block)
{
    /* acq_rel: hands the block over and takes the contents of the one found. */
    stress_drop(atomic_exchange_explicit(&table[slot], block, memory_order_acq_rel));
}

static void *freer_run(void *argument)
{
    uint64_t seed = stress_seed((uintptr_t)argument + 200);
    while (!is_over()) {
        for (unsigned i = 0; i < TABLE_SLOTS; i++)
            table_put(support_random(&seed) % TABLE_SLOTS, NULL);
        if (support_random(&seed) % 64 == 0)
            hak_malloc_trim(0);
    }
    return NULL;
}

/* Makes blocks and ends at once, while they are freed. */
static void *owner_run(void *argument)
{
    uint64_t seed = (uintptr_t)argument;
    unsigned count = 50 + support_random(&seed) % 1000;
    for (unsigned i = 0; i < count; i++)
        table_put(support_random(&seed) % TABLE_SLOTS, stress_make(&seed));
    count_operations(count);
    return NULL;
}

static void flows__owners_end_while_others_free__memory_returns(void **state)
{
    double seconds = stress_seconds(0.3), end = support_seconds() + seconds;
    pthread_t freers[FREERS], owners[2];
    uint64_t seed = stress_seed(300), generations = 0;
    (void)state;
    struct stress_memory before = stress_memory();
    for (uintptr_t i = 0; i < FREERS; i++)
        assert_int_equal(pthread_create(&freers[i], NULL, freer_run, (void *)i), 0);
    for (; support_seconds() < end; generations++) {
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&owners[i], NULL, owner_run,
                                            (void *)(uintptr_t)support_random(&seed)),
                             0);
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(pthread_join(owners[i], NULL), 0);
    }
    set_over(true);
    for (unsigned i = 0; i < FREERS; i++)
        assert_int_equal(pthread_join(freers[i], NULL), 0);
    set_over(false);
    for (size_t i = 0; i < TABLE_SLOTS; i++)
        table_put(i, NULL);
    stress_assert_returned(before, 16 * MIB);
    stress_say("owners end", FREERS + 2, seconds, operations_take());
    print_message("%llu owners ended\n", (unsigned long long)generations * 2);
}

/* ---- a crowd ----------------------------------------------------------------------------------
 */

static pthread_barrier_t all_here;
static struct stress_block *of_crowd[1000][8];

/* Everybody is there before the first block, and frees what the neighbour made. */
static void *crowd_run(void *argument)
{
    size_t self = (uintptr_t)argument;
    uint64_t seed = stress_seed(self + 400);
    pthread_barrier_wait(&all_here);
    for (size_t i = 0; i < SUPPORT_COUNT(*of_crowd); i++)
        of_crowd[self][i] = stress_make(&seed);
    pthread_barrier_wait(&all_here);
    for (size_t i = 0; i < SUPPORT_COUNT(*of_crowd); i++)
        stress_drop(of_crowd[(self + 1) % CROWD][i]);
    pthread_barrier_wait(&all_here);
    return NULL;
}

static void run_crowd(void)
{
    static pthread_t threads[1000];
    pthread_attr_t attributes;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, SUPPORT_SHADOWED ? MIB : 64 * KIB), 0);
    assert_int_equal(pthread_barrier_init(&all_here, NULL, CROWD), 0);
    for (uintptr_t i = 0; i < CROWD; i++)
        assert_int_equal(pthread_create(&threads[i], &attributes, crowd_run, (void *)i), 0);
    for (unsigned i = 0; i < CROWD; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&all_here);
    pthread_attr_destroy(&attributes);
}

static void flows__1000_threads_at_once__memory_returns(void **state)
{
    (void)state;
    size_t used_bytes = stress_memory().used_bytes;
    double begin = support_seconds();
    run_crowd();
    struct stress_memory first = stress_memory();
    assert_int_equal(first.used_bytes, used_bytes);
    for (unsigned i = 0; i < 3; i++)
        run_crowd();
    stress_assert_returned(first, 8 * MIB); /* the heaps are there, and serve again */
    stress_say("crowd", CROWD, support_seconds() - begin, (uint64_t)CROWD * 4 * 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flows__through_a_pipeline__come_out_whole_and_memory_returns),
        cmocka_unit_test(flows__from_all_to_all__come_out_whole_and_memory_returns),
        cmocka_unit_test(flows__owners_end_while_others_free__memory_returns),
        cmocka_unit_test(flows__1000_threads_at_once__memory_returns),
    };
    return cmocka_run_group_tests_name("flows", tests, NULL, NULL);
}
