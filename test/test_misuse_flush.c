/*
 * Double frees with a flush after them: at every distance, in either half of the magazine, by
 * either thread. Each case is a child, and ends with the fixed message, or the block is not handed
 * out twice; which of the two is counted.
 *
 * ctest: labels=quick timeout=300
 */
#include "front/layout.h"

#include "support.h"

#define BLOCKS 8000
#define STATUS_HANDED_OUT_TWICE 9
#define STATUS_NO_FLUSH 10

static const char already_free[] = "hakmem: free of a block that is already free";

/* Who frees the block the first time, and who the second time. A thread that frees ends then. */
enum hands { BOTH_MINE, OTHERS_FIRST, OTHERS_LAST, BOTH_OTHERS, HANDS };
static const char *const hands_words[HANDS] = {"by one thread", "by another thread first",
                                               "by another thread last", "by two others"};

struct order {
    size_t block_bytes;
    unsigned before;   /* frees before the first of the two */
    unsigned distance; /* frees between them */
    enum hands hands;
};

static struct {
    unsigned stopped, harmless;
} counts;

static void *blocks[BLOCKS];

static void *other_frees(void *block)
{
    hak_free(block);
    return NULL;
}

static void free_by(bool other, void *block)
{
    pthread_t thread;
    if (!other) {
        hak_free(block);
        return;
    }
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, other_frees, block) == 0);
    SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
}

/* Frees blocks until the magazine has got smaller; how many it were, or 0. */
static unsigned free_until_flush(size_t bin_idx, unsigned from)
{
    for (unsigned i = from; i < BLOCKS; i++) {
        size_t before = hak_bin_count(&hak_heap_self->bins[bin_idx]);
        hak_free(blocks[i]);
        if (hak_bin_count(&hak_heap_self->bins[bin_idx]) <= before)
            return i + 1 - from;
    }
    return 0;
}

/* Takes so many blocks and looks whether one comes twice. */
static bool comes_twice(size_t block_bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        blocks[i] = hak_malloc(block_bytes);
        SUPPORT_REQUIRE(blocks[i] != NULL);
        *(size_t *)blocks[i] = i;
    }
    for (unsigned i = 0; i < count; i++)
        if (*(size_t *)blocks[i] != i)
            return true;
    return false;
}

static void free_in_order(void *argument)
{
    const struct order *order = argument;
    size_t bin_idx = hak_class_bin(order->block_bytes + HAK_LAYOUT_BYTES);
    for (unsigned i = 0; i < BLOCKS; i++)
        SUPPORT_REQUIRE((blocks[i] = hak_malloc(order->block_bytes)) != NULL);
    void *twice = support_hide(blocks[order->before]);
    unsigned done = 0;
    for (; done < order->before; done++)
        hak_free(blocks[done]);
    free_by(order->hands == OTHERS_FIRST || order->hands == BOTH_OTHERS, blocks[done++]);
    for (unsigned i = 0; i < order->distance; i++)
        hak_free(blocks[done++]);
    free_by(order->hands == OTHERS_LAST || order->hands == BOTH_OTHERS, twice);
    unsigned more = free_until_flush(bin_idx, done);
    if (more == 0)
        _exit(STATUS_NO_FLUSH);
    if (comes_twice(order->block_bytes, done + more + 1))
        _exit(STATUS_HANDED_OUT_TWICE);
}

static void check_order(struct order order)
{
    struct support_end end = support_run_child(free_in_order, &order);
    bool stopped = WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT &&
                   strncmp(end.text, already_free, strlen(already_free)) == 0;
    if (!stopped && end.status != 0)
        fail_msg("%zu bytes, freed after %u and again after %u, %s: status %#x%s; it wrote: %s",
                 order.block_bytes, order.before, order.distance, hands_words[order.hands],
                 (unsigned)end.status,
                 WIFEXITED(end.status) && WEXITSTATUS(end.status) == STATUS_HANDED_OUT_TWICE
                     ? ", handed out twice"
                     : "",
                 end.text);
    counts.stopped += stopped;
    counts.harmless += !stopped;
}

static void counts_check(enum hands hands)
{
    print_message("%u double frees %s: %u stopped, %u handed out once only\n",
                  counts.stopped + counts.harmless, hands_words[hands], counts.stopped,
                  counts.harmless);
    assert_int_equal(counts.harmless, 0); /* what is found is no matter of luck */
    memset(&counts, 0, sizeof counts);
}

/* Children are slow under a sanitizer. */
static unsigned step(unsigned steps)
{
    return SUPPORT_SHADOWED ? steps * 17 : steps;
}

static void misuse_flush__freed_twice_at_any_distance__stops(void **state)
{
    (void)state;
    for (unsigned distance = 0; distance <= 3000; distance += step(3))
        check_order((struct order){64, distance * 37 % 1200, distance, BOTH_MINE});
    const size_t sizes[] = {16, 300, 1000, 2000, 20000};
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
        for (unsigned distance = (unsigned)i; distance <= 3000; distance += step(41))
            check_order((struct order){sizes[i], distance * 37 % 1200, distance, BOTH_MINE});
    counts_check(BOTH_MINE);
}

/* Close together, both stay in the magazine when its older half goes. */
static void misuse_flush__freed_twice_in_one_half__stops(void **state)
{
    const struct {
        size_t block_bytes;
        unsigned capacity;
    } rows[] = {{64, 1023}, {1000, 63}, {20000, 31}};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(rows); i++)
        for (unsigned distance = 0; distance < 3; distance++)
            for (unsigned before = 0; before <= rows[i].capacity + 3;
                 before += step(rows[i].capacity / 40 + 1))
                check_order((struct order){rows[i].block_bytes, before, distance, BOTH_MINE});
    counts_check(BOTH_MINE);
}

static void misuse_flush__freed_by_another_thread_too__stops(void **state)
{
    const size_t sizes[] = {64, 1000, 20000};
    (void)state;
    for (enum hands hands = OTHERS_FIRST; hands < HANDS; hands++) {
        for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
            for (unsigned distance = 0; distance <= 1500; distance += step(19))
                check_order((struct order){sizes[i], distance * 37 % 1200, distance, hands});
        counts_check(hands);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misuse_flush__freed_twice_at_any_distance__stops),
        cmocka_unit_test(misuse_flush__freed_twice_in_one_half__stops),
        cmocka_unit_test(misuse_flush__freed_by_another_thread_too__stops),
    };
    return cmocka_run_group_tests_name("misuse_flush", tests, NULL, NULL);
}
