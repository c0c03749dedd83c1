/*
 * hak_heap_visit(): what it tells of against what the test knows.
 *
 * ctest: labels=quick timeout=60
 */
#include "support.h"

#include "front/heap.h"

#define BLOCKS 6000
#define TABLE_BITS 16
#define TABLE_SIZE ((size_t)1 << TABLE_BITS)

/* What the test has allocated, and how often it was told of. */
struct known {
    const void *address;
    size_t asked_bytes;
    unsigned told;
    bool live;
};

/* A set by address: open addressing. Blocks that are freed stay in it, not live. */
struct oracle {
    struct known *table;
    size_t live;
    size_t told_live;    /* of the blocks that are live */
    size_t told_freed;   /* of blocks that were freed */
    size_t told_unknown; /* of others */
    size_t told_wrong;   /* with sizes, a tier or an owner that cannot be */
    size_t told_not_own;
    size_t stop_after; /* 0: never */
    size_t calls;
};

static struct known *oracle_find(struct oracle *oracle, const void *address)
{
    size_t at = (uintptr_t)address * 0x9e3779b97f4a7c15u >> (64 - TABLE_BITS);
    while (oracle->table[at].address != NULL && oracle->table[at].address != address)
        at = (at + 1) % TABLE_SIZE;
    return &oracle->table[at];
}

static void oracle_make(struct oracle *oracle)
{
    memset(oracle, 0, sizeof *oracle);
    oracle->table = calloc(TABLE_SIZE, sizeof *oracle->table);
    assert_non_null(oracle->table);
}

static void oracle_add(struct oracle *oracle, const void *address, size_t bytes)
{
    struct known *known = oracle_find(oracle, address);
    known->address = address;
    known->asked_bytes = bytes;
    known->live = true;
    oracle->live++;
}

static void oracle_drop(struct oracle *oracle, const void *address)
{
    oracle_find(oracle, address)->live = false;
    oracle->live--;
}

static void oracle_forget_told(struct oracle *oracle)
{
    oracle->told_live = oracle->told_freed = oracle->told_unknown = oracle->told_wrong = 0;
    oracle->told_not_own = oracle->calls = 0;
    for (size_t i = 0; i < TABLE_SIZE; i++)
        oracle->table[i].told = 0;
}

static int oracle_told(const struct hak_block *block, void *context)
{
    struct oracle *oracle = context;
    struct known *known = oracle_find(oracle, block->address);
    oracle->calls++;
    if (known->address == NULL) {
        oracle->told_unknown++;
    } else if (!known->live) {
        oracle->told_freed++;
    } else {
        oracle->told_live += known->told == 0;
        oracle->told_wrong += block->bytes < known->asked_bytes ||
                              block->slot_bytes < block->bytes || known->told != 0 ||
                              (block->tier == HAK_TIER_LARGE) != (block->owner == NULL);
        oracle->told_not_own += !block->is_own;
    }
    known->told++;
    return oracle->stop_after != 0 && oracle->calls >= oracle->stop_after;
}

/* All sizes that there are: most small, some from each tier, a few large. */
static size_t size_of(uint64_t *seed)
{
    uint64_t random = support_random(seed);
    switch (random % 64) {
    case 0:
        return 65 * KIB + (random >> 8) % (3 * MIB);
    case 1:
    case 2:
    case 3:
        return 1 + (random >> 8) % (66 * KIB);
    case 4:
        return 0;
    default:
        return 1 + (random >> 8) % 2000;
    }
}

/* One pass of allocations, frees and resizes; all that is live is in the oracle. */
static void churn(struct oracle *oracle, void **blocks, size_t count, uint64_t *seed)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = support_random(seed) % BLOCKS;
        size_t bytes = size_of(seed);
        if (blocks[at] == NULL) {
            blocks[at] = hak_malloc(bytes);
        } else if (support_random(seed) % 4 == 0) {
            oracle_drop(oracle, blocks[at]);
            blocks[at] = hak_realloc(blocks[at], bytes);
        } else {
            oracle_drop(oracle, blocks[at]);
            hak_free(blocks[at]);
            blocks[at] = NULL;
            continue;
        }
        assert_non_null(blocks[at]);
        oracle_add(oracle, blocks[at], bytes);
    }
}

static void let_go(struct oracle *oracle, void **blocks)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        hak_free(blocks[i]);
        blocks[i] = NULL;
    }
    free(oracle->table);
}

static void visit__one_thread__tells_exactly_of_what_is_live(void **state)
{
    static void *blocks[BLOCKS];
    struct oracle oracle;
    uint64_t seed = 1;
    (void)state;
    oracle_make(&oracle);
    for (unsigned round = 0; round < 12; round++) {
        churn(&oracle, blocks, 1500 + round * 37, &seed);
        oracle_forget_told(&oracle);
        assert_int_equal(hak_heap_visit(oracle_told, &oracle), HAK_VISIT_ALL);
        assert_int_equal(oracle.told_live, oracle.live);
        assert_int_equal(oracle.calls, oracle.live);
        assert_int_equal(oracle.told_unknown + oracle.told_freed, 0);
        assert_int_equal(oracle.told_wrong, 0);
    }
    assert_true(oracle.live > 2000);
    assert_true(hak_heap_is_valid());
    let_go(&oracle, blocks);
}

static void visit__aligned_blocks_and_calloc__are_told_of(void **state)
{
    struct oracle oracle;
    void *blocks[64];
    size_t count = 0;
    (void)state;
    oracle_make(&oracle);
    for (size_t alignment = 16; alignment <= 4 * MIB; alignment *= 2, count++) {
        blocks[count] = hak_memalign(alignment, alignment / 2 + 1);
        assert_non_null(blocks[count]);
        oracle_add(&oracle, blocks[count], alignment / 2 + 1);
    }
    blocks[count] = hak_calloc(100, 100);
    oracle_add(&oracle, blocks[count++], 10000);
    assert_int_equal(hak_heap_visit(oracle_told, &oracle), HAK_VISIT_ALL);
    assert_int_equal(oracle.told_live, count);
    assert_int_equal(oracle.calls, count);
    assert_int_equal(oracle.told_wrong, 0);
    while (count > 0)
        hak_free(blocks[--count]);
    free(oracle.table);
}

static int usable_told(const struct hak_block *block, void *context)
{
    SUPPORT_REQUIRE(block->bytes == hak_malloc_usable_size(block->address));
    *(size_t *)context += 1;
    return 0;
}

static void visit__bytes__are_those_that_may_be_used(void **state)
{
    void *blocks[300];
    size_t told = 0;
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(blocks); i++) {
        blocks[i] = hak_malloc(i * i * 3);
        assert_non_null(blocks[i]);
    }
    assert_int_equal(hak_heap_visit(usable_told, &told), HAK_VISIT_ALL);
    assert_int_equal(told, SUPPORT_COUNT(blocks));
    for (size_t i = 0; i < SUPPORT_COUNT(blocks); i++)
        hak_free(blocks[i]);
}

static void visit__visitor_says_stop__ends(void **state)
{
    static void *blocks[BLOCKS];
    struct oracle oracle;
    uint64_t seed = 2;
    (void)state;
    oracle_make(&oracle);
    churn(&oracle, blocks, 2000, &seed);
    for (size_t i = 1; i < 500; i += 83) {
        oracle_forget_told(&oracle);
        oracle.stop_after = i;
        assert_int_equal(hak_heap_visit(oracle_told, &oracle), HAK_VISIT_STOPPED);
        assert_int_equal(oracle.calls, i);
    }
    assert_true(hak_heap_is_valid());
    let_go(&oracle, blocks);
}

/* More notes than one record holds: 128 KiB are 16384 words, and a page of 16 B has 65. */
static void visit__many_pages__are_noted_piece_by_piece(void **state)
{
    const size_t count = 600 * 4096;
    void **blocks = malloc(count * sizeof *blocks);
    size_t told = 0;
    (void)state;
    assert_non_null(blocks);
    for (size_t i = 0; i < count; i++)
        blocks[i] = hak_malloc(8);
    assert_int_equal(hak_heap_visit(usable_told, &told), HAK_VISIT_ALL);
    assert_int_equal(told, count);
    for (size_t i = 0; i < count; i++)
        hak_free(blocks[i]);
    free(blocks);
}

/* ---- a visitor that does what it must not ---- */

struct meddler {
    size_t told, freed, count;
    void *made[20000];
    void *given[20000];
};

static int meddle(const struct hak_block *block, void *context)
{
    struct meddler *meddler = context;
    (void)block;
    meddler->told++;
    if (meddler->count < SUPPORT_COUNT(meddler->made)) {
        meddler->made[meddler->count++] = hak_malloc(meddler->told * 7 % 3000);
    }
    if (meddler->freed < SUPPORT_COUNT(meddler->given)) {
        hak_free(meddler->given[meddler->freed++]);
    }
    return meddler->told >= 100000;
}

static void visit__visitor_allocates_and_frees__nothing_breaks(void **state)
{
    static struct meddler meddler;
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(meddler.given); i++)
        meddler.given[i] = hak_malloc(i * 13 % 5000);
    (void)hak_heap_visit(meddle, &meddler);
    assert_true(meddler.told >= SUPPORT_COUNT(meddler.given) / 3);
    assert_true(hak_heap_is_valid());
    for (size_t i = meddler.freed; i < SUPPORT_COUNT(meddler.given); i++)
        hak_free(meddler.given[i]);
    for (size_t i = 0; i < meddler.count; i++)
        hak_free(meddler.made[i]);
    assert_true(hak_heap_is_valid());
    size_t told = 0;
    assert_int_equal(hak_heap_visit(usable_told, &told), HAK_VISIT_ALL);
    assert_int_equal(told, 0);
}

/* ---- other threads ---- */

struct worker {
    pthread_t thread;
    pthread_barrier_t *barrier;
    void *kept[2000], *freed[2000];
    unsigned number;
    bool ends; /* before the visit */
    _Atomic(bool) busy, stop;
};

/* Keeps half of its blocks; then waits, works on, or ends. */
static void *worker_run(void *argument)
{
    struct worker *worker = argument;
    uint64_t seed = worker->number + 10;
    for (size_t i = 0; i < SUPPORT_COUNT(worker->kept); i++) {
        size_t bytes = 1 + support_random(&seed) % 3000;
        worker->kept[i] = hak_malloc(bytes);
        worker->freed[i] = hak_malloc(bytes);
        SUPPORT_REQUIRE(worker->kept[i] != NULL && worker->freed[i] != NULL);
    }
    for (size_t i = 0; i < SUPPORT_COUNT(worker->freed); i++)
        hak_free(worker->freed[i]);
    if (worker->ends)
        return NULL;
    pthread_barrier_wait(worker->barrier);
    while (worker->busy && !worker->stop) {
        void *block = hak_malloc(1 + support_random(&seed) % 3000);
        SUPPORT_REQUIRE(block != NULL);
        hak_free(block);
    }
    pthread_barrier_wait(worker->barrier);
    for (size_t i = 0; i < SUPPORT_COUNT(worker->kept); i++)
        hak_free(worker->kept[i]);
    return NULL;
}

/* Threads of each kind; what they keep must be told of. What stands in their magazines may be: */
#define AT_HAND_MAX 20000

static void threads_visit(bool busy)
{
    enum { WORKERS = 4 };
    static struct worker workers[WORKERS];
    pthread_barrier_t barrier;
    struct oracle oracle;
    oracle_make(&oracle);
    pthread_barrier_init(&barrier, NULL, WORKERS);
    for (unsigned i = 0; i < WORKERS; i++) {
        memset(&workers[i], 0, sizeof workers[i]);
        workers[i].barrier = &barrier;
        workers[i].number = i;
        workers[i].ends = i == 0;
        workers[i].busy = busy;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]), 0);
        if (i == 0)
            pthread_join(workers[i].thread, NULL);
    }
    pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < WORKERS; i++) {
        for (size_t j = 0; j < SUPPORT_COUNT(workers[i].kept); j++)
            oracle_add(&oracle, workers[i].kept[j], 1);
        for (size_t j = 0; j < SUPPORT_COUNT(workers[i].freed); j++) {
            if (oracle_find(&oracle, workers[i].freed[j])->address == NULL) {
                oracle_add(&oracle, workers[i].freed[j], 1);
                oracle_drop(&oracle, workers[i].freed[j]);
            }
        }
    }
    enum hak_visit result = HAK_VISIT_PART;
    for (unsigned i = 0; i < 100 && result == HAK_VISIT_PART; i++) {
        oracle_forget_told(&oracle);
        result = hak_heap_visit(oracle_told, &oracle);
    }
    assert_int_equal(result, HAK_VISIT_ALL);
    assert_int_equal(oracle.told_live, oracle.live);
    assert_int_equal(oracle.told_wrong, 0);
    assert_int_equal(oracle.told_not_own, oracle.live);
    assert_true(oracle.told_freed + oracle.told_unknown <= AT_HAND_MAX);
    for (unsigned i = 1; i < WORKERS; i++)
        workers[i].stop = true;
    pthread_barrier_wait(&barrier);
    for (unsigned i = 1; i < WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    for (size_t i = 0; i < SUPPORT_COUNT(workers[0].kept); i++)
        hak_free(workers[0].kept[i]);
    pthread_barrier_destroy(&barrier);
    free(oracle.table);
}

static void visit__threads_that_wait_or_have_ended__tells_of_all_that_they_keep(void **state)
{
    (void)state;
    threads_visit(false);
}

static void visit__threads_that_allocate__tells_of_all_that_they_keep(void **state)
{
    (void)state;
    threads_visit(true);
}

/* What this thread frees of others is not told of any more. */
static void *kept_alloc(void *argument)
{
    void **blocks = argument;
    for (size_t i = 0; i < 1000; i++)
        blocks[i] = hak_malloc(100);
    return NULL;
}

static void visit__blocks_of_others_that_were_freed_here__are_not_told_of(void **state)
{
    static void *blocks[1000];
    struct oracle oracle;
    pthread_t thread;
    (void)state;
    oracle_make(&oracle);
    assert_int_equal(pthread_create(&thread, NULL, kept_alloc, blocks), 0);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < SUPPORT_COUNT(blocks); i++) {
        oracle_add(&oracle, blocks[i], 100);
        if (i % 3 == 0) {
            oracle_drop(&oracle, blocks[i]);
            hak_free(blocks[i]);
        }
    }
    assert_int_equal(hak_heap_visit(oracle_told, &oracle), HAK_VISIT_ALL);
    assert_int_equal(oracle.told_live, oracle.live);
    assert_int_equal(oracle.told_freed, 0);
    for (size_t i = 0; i < SUPPORT_COUNT(blocks); i++) {
        if (i % 3 != 0)
            hak_free(blocks[i]);
    }
    free(oracle.table);
}

static void *third_free(void *argument)
{
    void **blocks = argument;
    for (size_t i = 0; i < 1000; i += 3)
        hak_free(blocks[i]);
    return NULL; /* and hands them back */
}

static void visit__blocks_that_a_thread_freed_before_its_end__are_not_told_of(void **state)
{
    static void *blocks[1000];
    struct oracle oracle;
    pthread_t thread;
    (void)state;
    oracle_make(&oracle);
    for (size_t i = 0; i < SUPPORT_COUNT(blocks); i++) {
        blocks[i] = hak_malloc(i % 7 * 300 + 1);
        assert_non_null(blocks[i]);
        oracle_add(&oracle, blocks[i], 1);
    }
    assert_int_equal(pthread_create(&thread, NULL, third_free, blocks), 0);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < SUPPORT_COUNT(blocks); i += 3)
        oracle_drop(&oracle, blocks[i]);
    assert_int_equal(hak_heap_visit(oracle_told, &oracle), HAK_VISIT_ALL);
    assert_int_equal(oracle.told_live, oracle.live);
    assert_int_equal(oracle.told_freed, 0);
    for (size_t i = 0; i < SUPPORT_COUNT(blocks); i++) {
        if (i % 3 != 0)
            hak_free(blocks[i]);
    }
    free(oracle.table);
}

/* ---- in a child ---- */

static void child_visit(void *argument)
{
    struct oracle *oracle = argument;
    oracle_forget_told(oracle);
    SUPPORT_REQUIRE(hak_heap_visit(oracle_told, oracle) == HAK_VISIT_ALL);
    SUPPORT_REQUIRE(oracle->told_live == oracle->live);
    SUPPORT_REQUIRE(oracle->told_freed == 0 && oracle->told_wrong == 0);
}

static void visit__in_the_child_of_a_fork__tells_of_the_parents_blocks(void **state)
{
    static void *blocks[BLOCKS];
    struct oracle oracle;
    uint64_t seed = 3;
    (void)state;
    oracle_make(&oracle);
    churn(&oracle, blocks, 3000, &seed);
    struct support_end end = support_run_child(child_visit, &oracle);
    if (end.status != 0)
        fail_msg("the child ended with %#x: %s", (unsigned)end.status, end.text);
    let_go(&oracle, blocks);
}

/* Of a hardened process, bytes are those that were asked for. */
static int hardened_told(const struct hak_block *block, void *context)
{
    struct oracle *oracle = context;
    struct known *known = oracle_find(oracle, block->address);
    SUPPORT_REQUIRE(block->owner == NULL && !block->is_own);
    SUPPORT_REQUIRE(known->address != NULL && known->live && known->told++ == 0);
    SUPPORT_REQUIRE(block->bytes == known->asked_bytes && block->slot_bytes > block->bytes);
    oracle->told_live++;
    return 0;
}

/* The library of this program is started already: the test runs itself hardened. */
static void hardened_body(void)
{
    static void *blocks[BLOCKS];
    struct oracle oracle;
    uint64_t seed = 4;
    oracle_make(&oracle);
    for (unsigned round = 0; round < 6; round++) {
        churn(&oracle, blocks, 1500, &seed);
        oracle_forget_told(&oracle);
        SUPPORT_REQUIRE(hak_heap_visit(hardened_told, &oracle) == HAK_VISIT_ALL);
        SUPPORT_REQUIRE(oracle.told_live == oracle.live && oracle.live > 100);
    }
    oracle.stop_after = 1;
    SUPPORT_REQUIRE(hak_heap_visit(oracle_told, &oracle) == HAK_VISIT_STOPPED);
    let_go(&oracle, blocks);
}

static void hardened_run(void *argument)
{
    (void)argument;
    setenv("HAKMEM_HARDEN", "1", 1);
    execl("/proc/self/exe", "test_visit", "hardened", (char *)NULL);
    abort();
}

static void visit__hardened__tells_exactly_of_what_is_live(void **state)
{
    (void)state;
    struct support_end end = support_run_child(hardened_run, NULL);
    if (end.status != 0)
        fail_msg("the child ended with %#x: %s", (unsigned)end.status, end.text);
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "hardened") == 0) {
        hardened_body();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(visit__one_thread__tells_exactly_of_what_is_live),
        cmocka_unit_test(visit__aligned_blocks_and_calloc__are_told_of),
        cmocka_unit_test(visit__bytes__are_those_that_may_be_used),
        cmocka_unit_test(visit__visitor_says_stop__ends),
        cmocka_unit_test(visit__many_pages__are_noted_piece_by_piece),
        cmocka_unit_test(visit__visitor_allocates_and_frees__nothing_breaks),
        cmocka_unit_test(visit__threads_that_wait_or_have_ended__tells_of_all_that_they_keep),
        cmocka_unit_test(visit__threads_that_allocate__tells_of_all_that_they_keep),
        cmocka_unit_test(visit__blocks_of_others_that_were_freed_here__are_not_told_of),
        cmocka_unit_test(visit__blocks_that_a_thread_freed_before_its_end__are_not_told_of),
        cmocka_unit_test(visit__in_the_child_of_a_fork__tells_of_the_parents_blocks),
        cmocka_unit_test(visit__hardened__tells_exactly_of_what_is_live),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
