/*
 * A hardened process: good use of every kind works, and what is promised of memory holds.
 *
 * That misuse is stopped, the programs in misuse/ show.
 *
 * ctest: labels=quick timeout=120
 */
#include "segment/segment.h"

#include "pens.h"
#include "support.h"

#include <sys/resource.h>

#define THREADS 4
#define SHARED 512

/* From 0 to 300 KiB, small ones most often. */
static size_t size_any(uint64_t *random)
{
    uint64_t bits = support_random(random);
    return (bits >> 8) % ((size_t)1 << (bits % 4 == 0 ? 18 : 5 + bits % 8));
}

struct live {
    char *block;
    size_t bytes;
    uint64_t key;
};

static void live_take(struct live *live, size_t bytes, uint64_t key)
{
    live->block = support_hide(key % 5 == 0   ? hak_memalign((size_t)32 << key % 11, bytes)
                               : key % 5 == 1 ? hak_calloc(1, bytes)
                                              : hak_malloc(bytes));
    SUPPORT_REQUIRE(live->block != NULL);
    SUPPORT_REQUIRE(key % 5 != 0 || (uintptr_t)live->block % ((size_t)32 << key % 11) == 0);
    SUPPORT_REQUIRE((uintptr_t)live->block % 16 == 0);
    SUPPORT_REQUIRE(hak_malloc_usable_size(live->block) == bytes);
    SUPPORT_REQUIRE(support_is_zero(live->block, bytes));
    live->bytes = bytes;
    live->key = key;
    support_fill(live->block, bytes, key);
}

static void live_resize(struct live *live, size_t bytes)
{
    size_t kept = live->bytes < bytes ? live->bytes : bytes;
    live->block = support_hide(hak_realloc(live->block, bytes));
    SUPPORT_REQUIRE(live->block != NULL && support_holds(live->block, kept, live->key));
    SUPPORT_REQUIRE(support_is_zero(live->block + kept, bytes - kept));
    live->bytes = bytes;
    support_fill(live->block, bytes, live->key);
}

static void live_drop(struct live *live)
{
    SUPPORT_REQUIRE(support_holds(live->block, live->bytes, live->key));
    if (live->key % 2 == 0)
        hak_free_sized(live->block, live->bytes);
    else
        hak_free(live->block);
    live->block = NULL;
}

static struct live shared[SHARED]; /* each slot guarded by its lock */
static pthread_mutex_t locks[SHARED];

static void *work(void *seed)
{
    uint64_t random = (uintptr_t)seed;
    for (unsigned i = 0; i < 5000; i++) {
        SUPPORT_REQUIRE(i % 1000 != 0 || pens_are_valid());
        uint64_t bits = support_random(&random);
        size_t idx = bits % SHARED;
        pthread_mutex_lock(&locks[idx]);
        if (shared[idx].block == NULL)
            live_take(&shared[idx], size_any(&random), bits);
        else if (bits >> 32 & 1)
            live_resize(&shared[idx], size_any(&random));
        else
            live_drop(&shared[idx]);
        pthread_mutex_unlock(&locks[idx]);
    }
    return NULL;
}

static void harden__threads_share_blocks__contents_hold(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
    for (size_t i = 0; i < SHARED; i++)
        pthread_mutex_init(&locks[i], NULL);
    for (uintptr_t i = 0; i < THREADS; i++)
        SUPPORT_REQUIRE(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < SHARED; i++)
        if (shared[i].block != NULL)
            live_drop(&shared[i]);
    assert_true(hak_segment_is_valid());
}

/* After each case. */
static int check_pens(void **state)
{
    (void)state;
    return pens_are_valid() ? 0 : -1;
}

static void harden__on__threads_have_no_heap(void **state)
{
    (void)state;
    hak_free(support_hide(hak_malloc(1)));
    assert_true(hak_harden_is_on());
    assert_false(hak_heap_is_real(hak_heap_self));
    assert_null(hak_heap_first());
}

static size_t faults_so_far(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return (size_t)usage.ru_minflt;
}

/* A slot is looked at before it is handed out, but memory comes with the first write: the kernel is
 * not asked twice, for a page of zeros and for another one. */
static void harden__slots_never_used__one_fault_a_page(void **state)
{
    enum { COUNT = 4000, BYTES = 1000, OS_PAGES = COUNT * BYTES / 4096 };
    static char *held[COUNT];
    (void)state;
    if (SUPPORT_SHADOWED)
        skip();
    memset(held, 1, sizeof held);
    size_t before = faults_so_far();
    for (size_t i = 0; i < COUNT; i++) {
        held[i] = support_hide(hak_malloc(BYTES));
        memset(held[i], 'x', BYTES);
    }
    size_t faults = faults_so_far() - before;
    for (size_t i = 0; i < COUNT; i++)
        hak_free(held[i]);
    assert_in_range(faults, 1, OS_PAGES + OS_PAGES / 2);
}

/* What is freed before 1000 allocations are over, and when they are, in whatever order. */
static void harden__freed_block__rests_for_1000_allocations(void **state)
{
    const size_t sizes[] = {1, 100, 1000, 3000, 9000, 40000, 65000, 100000, 3000000};
    enum { HELD = 300 };
    static char *held[HELD];
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++) {
        for (size_t k = 0; k < HELD; k++)
            held[k] = support_hide(hak_malloc(sizes[i]));
        char *watched = held[HELD / 3];
        for (size_t k = 0; k < HELD; k++)
            hak_free(held[k]);
        for (unsigned times = 0; times < 1000; times++) {
            char *block = support_hide(hak_malloc(sizes[i]));
            assert_true(block + sizes[i] <= watched || watched + sizes[i] <= block);
            hak_free(block);
        }
    }
}

/* Of the arena: what rests holds them, too. */
static size_t addresses_taken(void)
{
    enum hak_pool pool;
    size_t slots = 0;
    for (size_t i = 0; i < hak_arena_end(); i++)
        slots += (size_t)__builtin_popcount(hak_segment_taken(i, &pool));
    return slots * HAK_PAGE_BYTES;
}

/* Blocks of every class come and go until each pen is one short of telling the others. */
static void pens_hold_their_notice(void)
{
    for (size_t bin_idx = 0; bin_idx < HAK_BINS; bin_idx++)
        while (hak_pens[bin_idx].takes % HAK_NOTICE_TAKES != HAK_NOTICE_TAKES - 1)
            hak_free(support_hide(
                hak_malloc(bin_idx == 0 ? 0 : hak_classes[bin_idx].geometry.slot_bytes - 1)));
}

/* One block of each class, and then so many as are left. */
static void takes_of_all_classes(size_t count)
{
    for (size_t i = 0; i < count; i++)
        hak_free(support_hide(
            hak_malloc(i == 0 || i >= HAK_BINS ? 0 : hak_classes[i].geometry.slot_bytes - 1)));
}

/* What pens have not told of yet when a block is freed is not taken for its rest. */
static void harden__no_pen_has_told_its_last__rests_all_the_same(void **state)
{
    enum { HELD = 400, BYTES = 50000 };
    static char *held[HELD];
    struct hak_pen *pen = &hak_pens[hak_class_bin(BYTES + 1)];
    size_t back = 0;
    (void)state;
    for (size_t phase = 0; phase < 2 * HAK_EPOCH_TAKES; phase += 37) {
        bool long_enough = phase % 2 != 0;
        size_t count = 0;
        do
            held[count] = support_hide(hak_malloc(BYTES));
        while (++count < HELD - 50 && pen->lists[HAK_ON_PARTIAL].head != NULL);
        takes_of_all_classes(phase);
        pens_hold_their_notice();
        hak_free(held[0]);
        takes_of_all_classes(long_enough ? 3 * HAK_EPOCH_TAKES : HAK_REST_TAKES);
        bool found = false;
        for (size_t tries = 0; tries < 50; tries++) {
            held[count] = support_hide(hak_malloc(BYTES));
            found |= held[count++] == held[0];
            if (!long_enough)
                break;
        }
        assert_false(found && !long_enough);
        back += found;
        while (count-- > 1)
            hak_free(held[count]);
    }
    assert_in_range(back, 5, 100);
}

/* Which block was freed when, by all threads. */
static struct {
    pthread_mutex_t lock;
    size_t takes; /* [lock] */
    struct {
        char *block;
        size_t at;
    } freed[1 << 14]; /* [lock] */
    size_t soonest;   /* [lock] */
} watch = {.lock = PTHREAD_MUTEX_INITIALIZER, .soonest = SIZE_MAX};

static char *watched_take(size_t bytes)
{
    char *block = support_hide(hak_malloc(bytes));
    size_t idx = ((uintptr_t)block >> 4) * 0x9e3779b1u % SUPPORT_COUNT(watch.freed);
    pthread_mutex_lock(&watch.lock);
    if (watch.freed[idx].block == block && watch.takes - watch.freed[idx].at < watch.soonest)
        watch.soonest = watch.takes - watch.freed[idx].at;
    watch.takes++;
    pthread_mutex_unlock(&watch.lock);
    return block;
}

static void watched_free(char *block)
{
    size_t idx = ((uintptr_t)block >> 4) * 0x9e3779b1u % SUPPORT_COUNT(watch.freed);
    pthread_mutex_lock(&watch.lock);
    watch.freed[idx].block = block;
    watch.freed[idx].at = watch.takes;
    pthread_mutex_unlock(&watch.lock);
    hak_free(block);
}

static void *work_watched(void *seed)
{
    enum { LIVE = 40 };
    uint64_t random = (uintptr_t)seed;
    char *live[LIVE] = {NULL};
    for (unsigned i = 0; i < 15000; i++) {
        char **place = &live[support_random(&random) % LIVE];
        if (*place != NULL)
            watched_free(*place);
        *place = watched_take(size_any(&random) % 70000);
    }
    for (size_t i = 0; i < LIVE; i++)
        if (live[i] != NULL)
            watched_free(live[i]);
    return NULL;
}

static void harden__threads_and_all_classes__rest_for_1000_allocations(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
    for (uintptr_t i = 0; i < THREADS; i++)
        SUPPORT_REQUIRE(pthread_create(&threads[i], NULL, work_watched, (void *)(i + 1)) == 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    print_message("soonest back after %zu allocations\n", watch.soonest);
    assert_in_range(watch.soonest, HAK_REST_TAKES - THREADS, 100000); /* some are not counted yet */
}

static void harden__freed_blocks__come_back_in_the_end(void **state)
{
    const size_t sizes[] = {100, 1000, 9000, 65000, 300000};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++) {
        for (unsigned times = 0; times < 5000; times++)
            hak_free(support_hide(hak_malloc(sizes[i])));
        size_t before_bytes = addresses_taken();
        for (unsigned times = 0; times < 20000; times++)
            hak_free(support_hide(hak_malloc(sizes[i])));
        assert_true(addresses_taken() <= before_bytes + before_bytes / 2 + 8 * MIB);
    }
}

static void harden__many_freed_at_once__memory_goes_back(void **state)
{
    enum { BLOCKS = 100000 };
    static char *blocks[BLOCKS];
    (void)state;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = support_hide(hak_malloc(1000));
        memset(blocks[i], 'x', 1000);
    }
    size_t full_bytes = support_resident_bytes();
    for (size_t i = 0; i < BLOCKS; i++)
        hak_free(blocks[i]);
    hak_malloc_trim(0);
    if (!SUPPORT_SHADOWED)
        assert_true(support_resident_bytes() + 80 * MIB < full_bytes);
}

/* Two processes would choose the same place in one of 50 cases. */
static void harden__first_block__lies_anywhere(void **state)
{
    (void)state;
    size_t ups = 0;
    char *last = support_hide(hak_malloc(200));
    for (unsigned i = 0; i < 100; i++) {
        char *block = support_hide(hak_malloc(200));
        ups += block > last;
        last = block;
    }
    assert_in_range(ups, 20, 80);
}

static void child_works(void *argument)
{
    struct live live;
    (void)argument;
    for (uint64_t i = 1; i < 300; i++) {
        live_take(&live, i * 300, i);
        live_drop(&live);
    }
    SUPPORT_REQUIRE(pens_are_valid());
}

static _Atomic(bool) stop;

static void *work_on(void *unused)
{
    struct live live;
    /* relaxed: a flag. */
    for (uint64_t i = 1; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
        live_take(&live, i % 5000, i);
        live_drop(&live);
    }
    return unused;
}

static void harden__fork_while_others_allocate__child_works(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        SUPPORT_REQUIRE(pthread_create(&threads[i], NULL, work_on, NULL) == 0);
    for (unsigned i = 0; i < 10; i++) {
        struct support_end end = support_run_child(child_works, NULL);
        assert_int_equal(end.status, 0);
    }
    /* relaxed: a flag. */
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(harden__on__threads_have_no_heap, check_pens),
        cmocka_unit_test_teardown(harden__first_block__lies_anywhere, check_pens),
        cmocka_unit_test_teardown(harden__slots_never_used__one_fault_a_page, check_pens),
        cmocka_unit_test_teardown(harden__freed_block__rests_for_1000_allocations, check_pens),
        cmocka_unit_test_teardown(harden__no_pen_has_told_its_last__rests_all_the_same, check_pens),
        cmocka_unit_test_teardown(harden__threads_and_all_classes__rest_for_1000_allocations,
                                  check_pens),
        cmocka_unit_test_teardown(harden__freed_blocks__come_back_in_the_end, check_pens),
        cmocka_unit_test_teardown(harden__many_freed_at_once__memory_goes_back, check_pens),
        cmocka_unit_test_teardown(harden__threads_share_blocks__contents_hold, check_pens),
        cmocka_unit_test_teardown(harden__fork_while_others_allocate__child_works, check_pens),
    };
    (void)argc;
    if (getenv("HAKMEM_HARDEN") == NULL) { /* the library has read its options already */
        setenv("HAKMEM_HARDEN", "1", 1);
        execv("/proc/self/exe", argv);
        return 99;
    }
    return cmocka_run_group_tests_name("harden", tests, NULL, NULL);
}
