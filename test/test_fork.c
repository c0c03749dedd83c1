/*
 * fork: the child's heap works, whatever the parent's other threads were doing.
 *
 * Children use every tier, free blocks of threads that do not exist there, start threads of
 * their own, fork again and exec. A child that hangs is ended by its alarm and fails the test.
 *
 * ctest: labels=quick,aarch64 timeout=180
 */
#include "front/heap.h"

#include "support.h"

#include <stdatomic.h>

#define BUSY_THREADS 4
#define TABLE_SLOTS 512
#define CHILD_SECONDS 120
#define FORKS (SUPPORT_SHADOWED ? 30 : 300)

static const size_t tier_sizes[] = {1,     16,       64,        200,  256,     257,
                                    1000,  1025,     3000,      4096, 5000,    20000,
                                    65536, 80 * KIB, 300 * KIB, MIB,  3 * MIB, 5 * MIB};

/*
 * Blocks that anyone may take out. The first words of a block are its size and its key, the
 * rest is filled, of large ones the beginning only: forks copy what is resident.
 */
static _Atomic(uint64_t *) table[TABLE_SLOTS];
static _Atomic(bool) stop_now;

static size_t filled_bytes(size_t bytes)
{
    bytes -= 2 * sizeof(uint64_t);
    return bytes < 4 * KIB ? bytes : 4 * KIB;
}

static uint64_t *block_make(size_t bytes, uint64_t key)
{
    bytes += 2 * sizeof(uint64_t);
    uint64_t *block = hak_malloc(bytes);
    SUPPORT_REQUIRE(block != NULL);
    block[0] = bytes;
    block[1] = key;
    support_fill(block + 2, filled_bytes(bytes), key);
    return block;
}

static void block_drop(uint64_t *block)
{
    if (block == NULL)
        return;
    SUPPORT_REQUIRE(support_holds(block + 2, filled_bytes(block[0]), block[1]));
    hak_free(block);
}

static void table_exchange(uint64_t *seed, uint64_t *block)
{
    _Atomic(uint64_t *) *slot = &table[support_random(seed) % TABLE_SLOTS];
    /* acq_rel: hands the contents of `block` over and takes those of the one found. */
    block_drop(atomic_exchange_explicit(slot, block, memory_order_acq_rel));
}

static void table_empty(void)
{
    for (size_t i = 0; i < TABLE_SLOTS; i++) {
        /* acq_rel: sees what the maker of the block wrote, as in table_exchange(). */
        block_drop(atomic_exchange_explicit(&table[i], NULL, memory_order_acq_rel));
    }
}

static size_t busy_bytes(uint64_t *seed)
{
    uint64_t kind = support_random(seed) % 100;
    return kind == 0  ? support_random(seed) % (2 * MIB)
           : kind < 8 ? support_random(seed) % (64 * KIB)
                      : support_random(seed) % 1500;
}

static void *busy_run(void *argument)
{
    uint64_t seed = (uintptr_t)argument;
    /* relaxed: only says when to end; the join orders the rest. */
    while (!atomic_load_explicit(&stop_now, memory_order_relaxed)) {
        for (unsigned i = 0; i < 50; i++)
            table_exchange(&seed, block_make(busy_bytes(&seed), support_random(&seed)));
        block_drop(block_make(busy_bytes(&seed), 1));
    }
    return NULL;
}

struct busy {
    pthread_t threads[BUSY_THREADS];
};

/* qemu-user 7.2 fails in a child of a process with threads when it starts a thread of its own. */
static void skip_under_qemu(void)
{
    if (surroundings_are_qemu())
        skip();
}

static struct busy busy_start(void)
{
    struct busy busy;
    atomic_store_explicit(&stop_now, false, memory_order_relaxed); /* before any thread runs */
    for (uintptr_t i = 0; i < BUSY_THREADS; i++)
        assert_int_equal(pthread_create(&busy.threads[i], NULL, busy_run, (void *)(i + 1)), 0);
    return busy;
}

static void busy_end(struct busy *busy)
{
    atomic_store_explicit(&stop_now, true, memory_order_relaxed); /* a hint, see busy_run() */
    for (unsigned i = 0; i < BUSY_THREADS; i++)
        assert_int_equal(pthread_join(busy->threads[i], NULL), 0);
    table_empty();
    hak_malloc_trim(0);
    assert_true(hak_heap_is_valid());
}

static void use_every_tier(uint64_t seed)
{
    uint64_t *blocks[SUPPORT_COUNT(tier_sizes)];
    for (size_t i = 0; i < SUPPORT_COUNT(tier_sizes); i++)
        blocks[i] = block_make(tier_sizes[i], seed + i);
    for (size_t i = 0; i < SUPPORT_COUNT(tier_sizes); i++)
        block_drop(blocks[i]);
    for (unsigned i = 0; i < 500; i++)
        table_exchange(&seed, block_make(busy_bytes(&seed), i));
}

static void *use_every_tier_in_thread(void *argument)
{
    use_every_tier((uintptr_t)argument);
    SUPPORT_REQUIRE(hak_heap_is_valid());
    return NULL;
}

static void child_work(uint64_t seed)
{
    use_every_tier(seed);
    if (!SUPPORT_SHADOWED) { /* TSan refuses threads in the child of a threaded process */
        pthread_t thread;
        SUPPORT_REQUIRE(pthread_create(&thread, NULL, use_every_tier_in_thread,
                                       (void *)(uintptr_t)(seed + 1)) == 0);
        SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
    }
    table_empty();
    hak_malloc_trim(0);
    SUPPORT_REQUIRE(hak_heap_is_valid());
    use_every_tier(seed + 2);
}

static void wait_for(pid_t child)
{
    int status = -1;
    SUPPORT_REQUIRE(waitpid(child, &status, 0) == child);
    SUPPORT_REQUIRE(status == 0);
}

/* Forks `depth` generations, each working before and after it forks the next. */
static void fork_and_work(unsigned depth, uint64_t seed)
{
    pid_t child = fork();
    SUPPORT_REQUIRE(child >= 0);
    if (child > 0) {
        wait_for(child);
        return;
    }
    support_child_begin(CHILD_SECONDS);
    if (depth > 1) {
        use_every_tier(seed);
        fork_and_work(depth - 1, seed + 10);
    }
    child_work(seed);
    _exit(0);
}

static void fork_and_exec(uint64_t seed)
{
    pid_t child = fork();
    SUPPORT_REQUIRE(child >= 0);
    if (child > 0) {
        wait_for(child);
        return;
    }
    support_child_begin(CHILD_SECONDS);
    use_every_tier(seed);
    execl("/bin/true", "true", (char *)NULL);
    _exit(127);
}

static void fork__other_threads_allocating__child_works_and_execs(void **state)
{
    skip_under_qemu();
    struct busy busy = busy_start();
    (void)state;
    for (unsigned i = 0; i < FORKS; i++) {
        if (i % 3 == 0)
            fork_and_work(1, i);
        else
            fork_and_exec(i);
        block_drop(block_make(i * 100, i));
    }
    busy_end(&busy);
}

static void *forks_run(void *argument)
{
    for (unsigned i = 0; i < FORKS / 10; i++) {
        block_drop(block_make(i * 1000, i));
        fork_and_work(1, i + (uintptr_t)argument);
    }
    return NULL;
}

static void fork__from_other_threads_at_once__children_work(void **state)
{
    skip_under_qemu();
    enum { FORKERS = 3 };
    struct busy busy = busy_start();
    pthread_t forkers[FORKERS];
    (void)state;
    for (uintptr_t i = 0; i < FORKERS; i++)
        assert_int_equal(pthread_create(&forkers[i], NULL, forks_run, (void *)(i * 100)), 0);
    for (unsigned i = 0; i < FORKERS; i++)
        assert_int_equal(pthread_join(forkers[i], NULL), 0);
    busy_end(&busy);
}

static void fork__child_of_child__works(void **state)
{
    skip_under_qemu();
    struct busy busy = busy_start();
    (void)state;
    for (unsigned i = 0; i < FORKS / 20; i++)
        fork_and_work(4, i);
    busy_end(&busy);
}

static void fork__single_thread__child_works(void **state)
{
    (void)state;
    uint64_t *block = block_make(1000, 5);
    for (unsigned i = 0; i < 20; i++)
        fork_and_work(2, i);
    block_drop(block);
    table_empty();
}

/* The parent goes on as before, with everything it had. */
static void fork__many_blocks_held__parent_keeps_them(void **state)
{
    static uint64_t *blocks[20000];
    uint64_t seed = 9;
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(blocks); i++)
        blocks[i] = block_make(support_random(&seed) % 2000, i);
    for (unsigned i = 0; i < 5; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            support_child_begin(CHILD_SECONDS);
            for (size_t k = i; k < SUPPORT_COUNT(blocks); k += 2)
                block_drop(blocks[k]);
            child_work(i);
            _exit(0);
        }
        wait_for(child);
    }
    for (size_t i = 0; i < SUPPORT_COUNT(blocks); i++)
        block_drop(blocks[i]);
    assert_true(hak_heap_is_valid());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fork__single_thread__child_works),
        cmocka_unit_test(fork__many_blocks_held__parent_keeps_them),
        cmocka_unit_test(fork__other_threads_allocating__child_works_and_execs),
        cmocka_unit_test(fork__from_other_threads_at_once__children_work),
        cmocka_unit_test(fork__child_of_child__works),
    };
    alarm(700);
    return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
