/*
 * Birth and death of threads: what they allocate at their very end, and what they leave.
 *
 * ctest: labels=quick,aarch64_full timeout=120
 */
#include "segment/os.h"

#include "clean.h"

#include <limits.h>

#define KEYS 4
#define BLOCKS 40
#define THREADS 8
/* How often a key's value comes back: to the last round, where TSan has left the thread already. */
#define COMEBACKS (PTHREAD_DESTRUCTOR_ITERATIONS - (SUPPORT_SHADOWED ? 2 : 1))

/* What a thread keeps under a key: its destructor frees it and puts another in its place. */
struct parcel {
    unsigned rounds_left;
    uint64_t key;
    char *blocks[BLOCKS];
};

static pthread_key_t keys[KEYS];

static size_t parcel_bytes(const struct parcel *parcel, unsigned i)
{
    size_t bytes = 8 + (parcel->key * 7 + i * 13) % 50;
    return i % 10 == 9 ? bytes * 2500 : i % 3 == 0 ? bytes * 90 : bytes * 3;
}

static struct parcel *parcel_make(unsigned rounds, uint64_t key)
{
    struct parcel *parcel = hak_calloc(1, sizeof *parcel);
    SUPPORT_REQUIRE(parcel != NULL);
    parcel->rounds_left = rounds;
    parcel->key = key;
    for (unsigned i = 0; i < BLOCKS; i++) {
        parcel->blocks[i] = hak_malloc(parcel_bytes(parcel, i));
        SUPPORT_REQUIRE(parcel->blocks[i] != NULL);
        support_fill(parcel->blocks[i], parcel_bytes(parcel, i), key + i);
    }
    return parcel;
}

static void parcel_drop(struct parcel *parcel)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        SUPPORT_REQUIRE(support_holds(parcel->blocks[i], parcel_bytes(parcel, i), parcel->key + i));
        hak_free(parcel->blocks[i]);
    }
    hak_free(parcel);
}

/* Comes back round after round of destructors, also after the allocator's own. */
static void key_destroy(void *value)
{
    struct parcel *parcel = value;
    unsigned rounds = parcel->rounds_left;
    uint64_t key = parcel->key;
    parcel_drop(parcel);
    if (rounds == 0)
        return;
    parcel = parcel_make(rounds - 1, key + 100);
    for (unsigned i = 0; i < KEYS; i++) {
        if (pthread_getspecific(keys[i]) == NULL) {
            SUPPORT_REQUIRE(pthread_setspecific(keys[i], parcel) == 0);
            return;
        }
    }
    SUPPORT_REQUIRE(false);
}

/* Leaves a parcel under every key; `argument` is one of another thread, or NULL. */
static void *leave_parcels(void *argument)
{
    for (unsigned i = 0; i < KEYS; i++) {
        struct parcel *parcel = parcel_make(COMEBACKS, i * 1000);
        SUPPORT_REQUIRE(pthread_setspecific(keys[i], parcel) == 0);
    }
    if (argument != NULL)
        parcel_drop(argument);
    return NULL;
}

static void run_threads(void *(*body)(void *), bool with_parcel)
{
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        void *parcel = with_parcel ? parcel_make(0, i) : NULL;
        assert_int_equal(pthread_create(&threads[i], NULL, body, parcel), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void thread__keys_free_and_allocate_at_the_end__nothing_is_lost(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(pthread_key_create(&keys[i], key_destroy), 0);
    size_t before_bytes = used_bytes();
    for (unsigned round = 0; round < 20; round++)
        run_threads(leave_parcels, round % 2 != 0);
    assert_clean(before_bytes);
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(pthread_key_delete(keys[i]), 0);
}

/* All that such a thread does is to free in a destructor, after some rounds that do nothing. */
struct late {
    unsigned rounds_left;
    struct parcel *parcel;
};

static pthread_key_t late_key;
static unsigned late_rounds;

static void free_late(void *value)
{
    struct late *late = value;
    if (late->rounds_left-- > 0) {
        SUPPORT_REQUIRE(pthread_setspecific(late_key, late) == 0);
        return;
    }
    parcel_drop(late->parcel);
    free(late);
}

static void *keep_for_the_end(void *argument)
{
    struct late *late = malloc(sizeof *late);
    SUPPORT_REQUIRE(late != NULL);
    *late = (struct late){late_rounds, argument};
    SUPPORT_REQUIRE(pthread_setspecific(late_key, late) == 0);
    return NULL;
}

static void thread__first_use_is_its_last__nothing_is_lost(void **state)
{
    (void)state;
    if (SUPPORT_SHADOWED)
        skip(); /* TSan leaves a thread before the last round of destructors */
    assert_int_equal(pthread_key_create(&late_key, free_late), 0);
    for (late_rounds = 0; late_rounds < PTHREAD_DESTRUCTOR_ITERATIONS - 1; late_rounds++) {
        size_t before_bytes = used_bytes();
        for (unsigned round = 0; round < 20; round++)
            run_threads(keep_for_the_end, true);
        assert_clean(before_bytes);
    }
    assert_int_equal(pthread_key_delete(late_key), 0);
}

static struct parcel *left_behind[THREADS];

static void *leave_behind(void *argument)
{
    struct parcel **place = argument;
    *place = parcel_make(0, (uintptr_t)place);
    return NULL;
}

/* Blocks live on after their thread, are freed by others, and their memory serves new threads. */
static void thread__blocks_outlive_it__others_free_them(void **state)
{
    (void)state;
    size_t before_bytes = used_bytes();
    for (unsigned round = 0; round < 50; round++) {
        pthread_t threads[THREADS];
        for (unsigned i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, leave_behind, &left_behind[i]), 0);
        for (unsigned i = 0; i < THREADS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (unsigned i = 0; i < THREADS; i++)
            parcel_drop(left_behind[i]);
    }
    assert_clean(before_bytes);
}

static void drop_at_cancel(void *parcel)
{
    parcel_drop(parcel);
}

static void *cancel_me(void *argument)
{
    void *parcel = parcel_make(0, 3);
    pthread_cleanup_push(drop_at_cancel, parcel);
    pthread_barrier_wait(argument);
    for (;;)
        pause();
    pthread_cleanup_pop(1);
    return NULL;
}

static void thread__cancelled__cleanup_frees(void **state)
{
    (void)state;
    size_t before_bytes = used_bytes();
    for (unsigned round = 0; round < 50; round++) {
        pthread_barrier_t barrier;
        pthread_t thread;
        assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
        assert_int_equal(pthread_create(&thread, NULL, cancel_me, &barrier), 0);
        pthread_barrier_wait(&barrier);
        assert_int_equal(pthread_cancel(thread), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        pthread_barrier_destroy(&barrier);
    }
    assert_clean(before_bytes);
}

/* Each of these calls the kernel by way of what libc makes a cancellation point. */
static void *call_while_cancelled(void *argument)
{
    pthread_barrier_wait(argument); /* the cancellation is pending from here on */
    pthread_barrier_wait(argument);
    hak_malloc_stats();
    hak_os_yield();
    hak_free(hak_malloc(100));
    return argument;
}

static void thread__cancellation_pending__calls_are_not_its_end(void **state)
{
    (void)state;
    pthread_barrier_t barrier;
    pthread_t thread;
    void *result = NULL;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, call_while_cancelled, &barrier), 0);
    pthread_barrier_wait(&barrier);
    assert_int_equal(pthread_cancel(thread), 0);
    pthread_barrier_wait(&barrier);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &barrier);
    pthread_barrier_destroy(&barrier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thread__keys_free_and_allocate_at_the_end__nothing_is_lost),
        cmocka_unit_test(thread__first_use_is_its_last__nothing_is_lost),
        cmocka_unit_test(thread__blocks_outlive_it__others_free_them),
        cmocka_unit_test(thread__cancelled__cleanup_frees),
        cmocka_unit_test(thread__cancellation_pending__calls_are_not_its_end),
    };
    return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
