/*
 * hakmem_inline.h gives the same answers as the calls, on the same magazines. Optimised, it is in
 * line; without optimisation and in the header mode, malloc is a call here.
 *
 * ctest: labels=quick timeout=120
 */
#include "hakmem_inline.h"

#include "front/layout.h"
#include "segment/count.h"

#include "support.h"

/* Sizes at the edges of bins, known to the compiler; the last ones are calls. */
/* clang-format off */
#define SIZES(X) \
    X(0) X(1) X(8) X(15) X(16) X(17) X(31) X(32) X(33) X(48) X(64) X(65) X(100) X(128) X(255) \
    X(256) X(257) X(500) X(512) X(513) X(1000) X(1008) X(1009) X(1023) X(1024) X(1025) X(2000) \
    X(65536) X(65537) X(3000000)
/* clang-format on */

static const size_t sizes[] = {
#define SIZE(size) size,
    SIZES(SIZE)
#undef SIZE
};

static void *take_inline(size_t which)
{
    switch (sizes[which]) {
#define TAKE(size)                                                                                 \
    case size:                                                                                     \
        return hak_inline_malloc(size);
        SIZES(TAKE)
#undef TAKE
    default:
        return NULL;
    }
}

static void give_inline_sized(void *block, size_t which)
{
    switch (sizes[which]) {
#define GIVE(size)                                                                                 \
    case size:                                                                                     \
        hak_inline_free_sized(block, size);                                                        \
        break;
        SIZES(GIVE)
#undef GIVE
    default:
        break;
    }
}

/* ---- one thread ----------------------------------------------------------------------------- */

static void inline__any_constant_size__is_a_block_like_the_calls(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3; round++)
        for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++) {
            char *block = take_inline(i), *called = hak_malloc(support_hide_size(sizes[i]));
            assert_non_null(block);
            assert_int_equal((uintptr_t)block % 16, 0);
            assert_int_equal(hak_malloc_usable_size(block), hak_malloc_usable_size(called));
            support_fill(block, sizes[i], i);
            support_fill(called, sizes[i], ~i);
            assert_true(support_holds(block, sizes[i], i));
            hak_free(called);
            hak_inline_free(block);
        }
    assert_true(hak_heap_is_valid());
}

static void inline__block_freed__is_the_next_of_either_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes) && sizes[i] <= 65536 - HAK_LAYOUT_BYTES; i++) {
        void *keeper = hak_malloc(support_hide_size(sizes[i])); /* the magazine is there */
        void *block = take_inline(i);
        hak_free(block);
        assert_ptr_equal(take_inline(i), block);
        hak_inline_free(block);
        assert_ptr_equal(hak_malloc(support_hide_size(sizes[i])), block);
        give_inline_sized(block, i);
        assert_ptr_equal(take_inline(i), block);
        hak_free(block);
        hak_free(keeper);
    }
}

static void inline__size_not_known__is_a_call(void **state)
{
    (void)state;
    for (size_t size = 0; size < 3000; size += 7) {
        void *block = hak_inline_malloc(support_hide_size(size));
        assert_non_null(block);
        assert_true(hak_malloc_usable_size(block) >= size);
        hak_inline_free_sized(block, support_hide_size(size));
        assert_ptr_equal(hak_malloc(support_hide_size(size)), block);
        hak_free(block);
    }
}

static void inline__wrong_or_old_size__block_goes_home(void **state)
{
    (void)state;
    void *block = hak_malloc(500);
    block = hak_realloc(block, 40); /* stays where it is */
    hak_inline_free_sized(block, 40);
    assert_ptr_equal(hak_malloc(500), block);
    hak_free(block);
    block = hak_memalign(4096, 100);
    hak_inline_free_sized(block, 100);
    block = hak_malloc(1 << 20);
    hak_inline_free_sized(block, 64);
    assert_true(hak_heap_is_valid());
}

static uint64_t foreign_frees(void)
{
    return hak_figure(&hak_counts[HAK_COUNT_FOREIGN_FREE]);
}

static void inline__null_and_foreign__are_left_alone(void **state)
{
    (void)state;
    int local = 0;
    uint64_t before = foreign_frees();
    errno = EDOM;
    hak_inline_free(NULL);
    hak_inline_free_sized(NULL, 64);
    assert_int_equal(foreign_frees(), before);
    hak_inline_free(support_hide(&local));
    hak_inline_free_sized(support_hide(&local), 64);
    assert_int_equal(foreign_frees(), before + 2);
    assert_int_equal(errno, EDOM);
}

static void inline__no_such_size__null_and_enomem(void **state)
{
    (void)state;
    errno = 0;
    assert_null(hak_inline_malloc(PTRDIFF_MAX));
    assert_int_equal(errno, ENOMEM);
}

/* Refills, flushes, and both forms at random; a block's fill tells whether it was handed out twice.
 */
static void inline__mixed_with_calls__blocks_are_whole(void **state)
{
    enum { SLOTS = 3000, STEPS = 400000 };
    static struct {
        char *block;
        size_t which;
    } slots[SLOTS];
    uint64_t random = 7;
    (void)state;
    for (unsigned i = 0; i < STEPS; i++) {
        unsigned at = (unsigned)(support_random(&random) % SLOTS);
        unsigned form = (unsigned)(support_random(&random) % 3);
        if (slots[at].block == NULL) {
            slots[at].which = support_random(&random) % (SUPPORT_COUNT(sizes) - 5);
            size_t size = sizes[slots[at].which];
            slots[at].block =
                form != 0 ? take_inline(slots[at].which) : hak_malloc(support_hide_size(size));
            SUPPORT_REQUIRE(slots[at].block != NULL);
            support_fill(slots[at].block, size < 24 ? size : 24, at);
            continue;
        }
        size_t size = sizes[slots[at].which];
        SUPPORT_REQUIRE(support_holds(slots[at].block, size < 24 ? size : 24, at));
        if (form == 0)
            hak_free(slots[at].block);
        else if (form == 1)
            hak_inline_free(slots[at].block);
        else
            give_inline_sized(slots[at].block, slots[at].which);
        slots[at].block = NULL;
        if (i % 50000 == 0)
            assert_true(hak_heap_is_valid());
    }
    for (unsigned at = 0; at < SLOTS; at++)
        hak_inline_free(slots[at].block);
    assert_true(hak_heap_is_valid());
}

/* ---- misuse --------------------------------------------------------------------------------- */

static void free_twice(void *unused)
{
    (void)unused;
    void *block = hak_inline_malloc(64);
    hak_inline_free(block);
    hak_inline_free_sized(support_hide(block), 64);
    hak_malloc_trim(0);
}

static void inline__block_freed_twice__stops_at_flush(void **state)
{
    (void)state;
    const char already_free[] = "hakmem: free of a block that is already free";
    struct support_end end = support_run_child(free_twice, NULL);
    assert_true(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT);
    assert_true(strncmp(end.text, already_free, strlen(already_free)) == 0);
}

/* ---- threads -------------------------------------------------------------------------------- */

enum { THREADS = 4, BLOCKS = 700, ROUNDS = 12 };

static pthread_barrier_t turn;
static char *handed[THREADS][BLOCKS];
static pthread_key_t late_key;

/* Runs after the thread's heap is gone, or before; both are fine. */
static void late(void *block)
{
    hak_inline_free(block);
    hak_inline_free_sized(hak_inline_malloc(48), 48);
}

/* Each thread frees what another has allocated. */
static void *relay(void *argument)
{
    size_t self = (size_t)argument;
    SUPPORT_REQUIRE(pthread_setspecific(late_key, hak_inline_malloc(100)) == 0);
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < BLOCKS; i++) {
            char *block = take_inline(i % 25);
            SUPPORT_REQUIRE(block != NULL);
            support_fill(block, sizes[i % 25], self * BLOCKS + i);
            handed[self][i] = block;
        }
        pthread_barrier_wait(&turn);
        size_t other = (self + 1 + round % (THREADS - 1)) % THREADS;
        for (size_t i = 0; i < BLOCKS; i++) {
            SUPPORT_REQUIRE(support_holds(handed[other][i], sizes[i % 25], other * BLOCKS + i));
            if (i % 2 == 0)
                hak_inline_free(handed[other][i]);
            else
                give_inline_sized(handed[other][i], i % 25);
        }
        pthread_barrier_wait(&turn);
    }
    SUPPORT_REQUIRE(hak_heap_is_valid());
    return NULL;
}

static void inline__freed_by_other_threads__nothing_is_lost(void **state)
{
    (void)state;
    assert_int_equal(pthread_barrier_init(&turn, NULL, THREADS), 0);
    assert_int_equal(pthread_key_create(&late_key, late), 0);
    for (unsigned generation = 0; generation < 3; generation++) {
        pthread_t threads[THREADS];
        for (size_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, relay, (void *)i), 0);
        for (size_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_true(hak_heap_is_valid());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inline__any_constant_size__is_a_block_like_the_calls),
        cmocka_unit_test(inline__block_freed__is_the_next_of_either_form),
        cmocka_unit_test(inline__size_not_known__is_a_call),
        cmocka_unit_test(inline__wrong_or_old_size__block_goes_home),
        cmocka_unit_test(inline__null_and_foreign__are_left_alone),
        cmocka_unit_test(inline__no_such_size__null_and_enomem),
        cmocka_unit_test(inline__mixed_with_calls__blocks_are_whole),
        cmocka_unit_test(inline__block_freed_twice__stops_at_flush),
        cmocka_unit_test(inline__freed_by_other_threads__nothing_is_lost),
    };
    return cmocka_run_group_tests_name("inline", tests, NULL, NULL);
}
