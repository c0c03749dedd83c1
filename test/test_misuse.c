/*
 * Misuse ends the process with one fixed line on stderr and SIGABRT.
 *
 * Large blocks are judged at the free; smaller ones when the caches are flushed, which
 * hak_malloc_trim() does at once.
 *
 * ctest: labels=quick timeout=120
 */
#include "front/layout.h"

#include "support.h"

static const char already_free[] = "hakmem: free of a block that is already free";
static const char inside_block[] = "hakmem: free of a pointer inside a block";

/* What a child does wrong. */
struct misuse {
    size_t block_bytes;
    size_t offset_bytes; /* of the pointer that is freed */
    char header;         /* written over the block's */
    bool owner_ended;    /* the thread that allocated has ended before the free */
};

static void assert_stops(void (*body)(void *), struct misuse misuse, const char *message)
{
    struct support_end end = support_run_child(body, &misuse);
    if (!WIFSIGNALED(end.status) || WTERMSIG(end.status) != SIGABRT)
        fail_msg("%zu+%zu bytes: status %#x, no abort; it wrote: %s", misuse.block_bytes,
                 misuse.offset_bytes, (unsigned)end.status, end.text);
    /* One line that begins so; the header mode has more to say in one case. */
    if (strncmp(end.text, message, strlen(message)) != 0 ||
        strchr(end.text, '\n') != end.text + strlen(end.text) - 1)
        fail_msg("it wrote '%s', not '%s'", end.text, message);
}

static char *block_of(size_t bytes)
{
    char *block = support_hide(hak_malloc(bytes));
    SUPPORT_REQUIRE(block != NULL);
    return block;
}

static void free_twice(void *argument)
{
    const struct misuse *misuse = argument;
    char *block = block_of(misuse->block_bytes);
    hak_free(block);
    hak_free(support_hide(block));
    hak_malloc_trim(0);
}

static void misuse__small_block_freed_twice__stops_at_flush(void **state)
{
    const size_t sizes[] = {1, 16, 64, 500, 1024, 1025, 2000, 4096, 5000, 20000, 64 * KIB};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
        assert_stops(free_twice, (struct misuse){.block_bytes = sizes[i]}, already_free);
}

static void free_twice_among_others(void *argument)
{
    enum { OTHERS = 100 };
    const struct misuse *misuse = argument;
    char *blocks[OTHERS];
    for (unsigned i = 0; i < OTHERS; i++)
        blocks[i] = block_of(misuse->block_bytes);
    for (unsigned i = 0; i < OTHERS; i++)
        hak_free(blocks[i]);
    hak_free(support_hide(blocks[OTHERS / 2]));
    hak_malloc_trim(0);
}

static void misuse__freed_twice_with_others_between__stops_at_flush(void **state)
{
    const size_t sizes[] = {16, 64, 1000, 3000, 30000};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
        assert_stops(free_twice_among_others, (struct misuse){.block_bytes = sizes[i]},
                     already_free);
}

static void flush_then_free_again(void *argument)
{
    const struct misuse *misuse = argument;
    char *keeper = block_of(misuse->block_bytes), *block = block_of(misuse->block_bytes);
    hak_free(block);
    hak_malloc_trim(0);
    hak_free(support_hide(block));
    hak_malloc_trim(0);
    hak_free(keeper);
}

static void misuse__freed_again_after_flush__stops(void **state)
{
    const size_t sizes[] = {16, 64, 1000, 3000, 6000};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
        assert_stops(flush_then_free_again, (struct misuse){.block_bytes = sizes[i]}, already_free);
}

/* No trim: ordinary use alone must come across it. */
static void free_twice_then_go_on(void *argument)
{
    enum { OTHERS = 200000 };
    static char *blocks[OTHERS];
    const struct misuse *misuse = argument;
    char *block = block_of(misuse->block_bytes);
    hak_free(block);
    hak_free(support_hide(block));
    for (unsigned i = 0; i < OTHERS; i++)
        blocks[i] = block_of(misuse->block_bytes);
    for (unsigned i = 0; i < OTHERS; i++)
        hak_free(blocks[i]);
}

static void misuse__freed_twice_then_many_frees__stops_at_flush(void **state)
{
    (void)state;
    assert_stops(free_twice_then_go_on, (struct misuse){.block_bytes = 64}, already_free);
}

/* The two frees stand somewhere among others, so that flushes come before, between and after. */
static void free_twice_anywhere(void *argument)
{
    enum { BLOCKS = 2000 };
    static char *blocks[BLOCKS];
    const struct misuse *misuse = argument;
    uint64_t random = misuse->offset_bytes;
    for (unsigned i = 0; i < BLOCKS; i++)
        blocks[i] = block_of(misuse->block_bytes);
    size_t first = 1 + support_random(&random) % (BLOCKS / 2);
    size_t second = first + support_random(&random) % (BLOCKS - first);
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (i == second)
            hak_free(support_hide(blocks[first - 1]));
        hak_free(blocks[i]);
    }
    hak_malloc_trim(0);
}

static void misuse__freed_twice_anywhere__stops_once_both_are_flushed(void **state)
{
    const size_t sizes[] = {16, 200, 1000, 2000, 20000};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
        for (size_t seed = 1; seed <= 20; seed++)
            assert_stops(free_twice_anywhere, (struct misuse){sizes[i], seed, 0, false},
                         already_free);
}

/* Before a flush the block may be handed out twice. Whoever frees it last is stopped. */
static void free_what_came_twice(void *argument)
{
    const struct misuse *misuse = argument;
    char *block = block_of(misuse->block_bytes);
    hak_free(block);
    hak_free(support_hide(block));
    char *one = block_of(misuse->block_bytes), *other = block_of(misuse->block_bytes);
    SUPPORT_REQUIRE(one == other);
    hak_free(one);
    hak_free(other);
    hak_malloc_trim(0);
}

static void misuse__handed_out_twice__stops_when_both_come_back(void **state)
{
    const size_t sizes[] = {16, 1000, 2000, 20000};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
        assert_stops(free_what_came_twice, (struct misuse){.block_bytes = sizes[i]}, already_free);
}

static void free_inside(void *argument)
{
    const struct misuse *misuse = argument;
    char *block = block_of(misuse->block_bytes);
    hak_free(support_hide(block + misuse->offset_bytes));
    hak_malloc_trim(0);
}

static void misuse__pointer_inside_small_block__stops_at_flush(void **state)
{
    const struct misuse cases[] = {
        {.block_bytes = 64, .offset_bytes = 16},     {.block_bytes = 64, .offset_bytes = 8},
        {.block_bytes = 64, .offset_bytes = 1},      {.block_bytes = 1000, .offset_bytes = 512},
        {.block_bytes = 2000, .offset_bytes = 16},   {.block_bytes = 4096, .offset_bytes = 2048},
        {.block_bytes = 20000, .offset_bytes = 16},  {.block_bytes = 20000, .offset_bytes = 10000},
        {.block_bytes = 60000, .offset_bytes = 4096}};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(cases); i++)
        assert_stops(free_inside, cases[i], inside_block);
}

static void free_without_header(void *argument)
{
    const struct misuse *misuse = argument;
    char *block = block_of(misuse->block_bytes);
    while ((uintptr_t)block % HAK_PAGE_BYTES == 0)
        block = block_of(misuse->block_bytes); /* that one has none */
    block[-1] = misuse->header;
    hak_free(block);
    hak_malloc_trim(0);
}

/* The header mode: what the neighbour in front wrote into a block's byte. */
static void misuse__header_overwritten__stops(void **state)
{
    const size_t sizes[] = {1, 100, 1000, 3000, 5000};
    const char no_header[] = "hakmem: the header of a block was overwritten";
    const char other_bin[] = HAK_LAYOUT_MISPLACED;
    (void)state;
    if (HAK_LAYOUT_BYTES == 0)
        skip();
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++) {
        assert_stops(free_without_header, (struct misuse){sizes[i], 0, '\0', false}, no_header);
        assert_stops(free_without_header, (struct misuse){sizes[i], 0, 'a', false}, no_header);
        assert_stops(free_without_header, (struct misuse){sizes[i], 0, (char)0xc5, false},
                     other_bin);
    }
}

static void free_large_twice(void *argument)
{
    const struct misuse *misuse = argument;
    char *block = block_of(misuse->block_bytes);
    hak_free(block);
    hak_free(support_hide(block));
}

static void misuse__large_block_freed_twice__stops_at_once(void **state)
{
    const size_t sizes[] = {100 * KIB, 300 * KIB, MIB, 3 * MIB, 20 * MIB, 100 * MIB};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
        assert_stops(free_large_twice, (struct misuse){.block_bytes = sizes[i]}, already_free);
}

static void free_inside_large(void *argument)
{
    const struct misuse *misuse = argument;
    char *block = block_of(misuse->block_bytes);
    hak_free(support_hide(block + misuse->offset_bytes));
}

static void misuse__pointer_inside_large_block__stops_at_once(void **state)
{
    const struct misuse cases[] = {{.block_bytes = MIB, .offset_bytes = 64 * KIB},
                                   {.block_bytes = MIB, .offset_bytes = 16},
                                   {.block_bytes = MIB, .offset_bytes = 4096},
                                   {.block_bytes = MIB, .offset_bytes = MIB - 16},
                                   {.block_bytes = 8 * MIB, .offset_bytes = 2 * MIB},
                                   {.block_bytes = 8 * MIB, .offset_bytes = 5 * MIB + 64 * KIB}};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(cases); i++)
        assert_stops(free_inside_large, cases[i], inside_block);
}

/* A thread that hands a block out and then stays, or ends, as the case wants. */
struct owner {
    const struct misuse *misuse;
    char *block;
    pthread_barrier_t handed_out;
};

static void *owner_run(void *argument)
{
    struct owner *owner = argument;
    owner->block = block_of(owner->misuse->block_bytes);
    if (owner->misuse->owner_ended)
        return NULL;
    pthread_barrier_wait(&owner->handed_out);
    for (;;)
        pause();
}

static char *block_of_another_thread(const struct misuse *misuse)
{
    static struct owner owner;
    pthread_t thread;
    owner.misuse = misuse;
    SUPPORT_REQUIRE(pthread_barrier_init(&owner.handed_out, NULL, 2) == 0);
    SUPPORT_REQUIRE(pthread_create(&thread, NULL, owner_run, &owner) == 0);
    if (misuse->owner_ended)
        SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
    else
        pthread_barrier_wait(&owner.handed_out);
    return owner.block;
}

static void free_anothers_twice(void *argument)
{
    char *block = block_of_another_thread(argument);
    hak_free(block);
    hak_free(support_hide(block));
    hak_malloc_trim(0);
}

static void misuse__anothers_block_freed_twice__stops(void **state)
{
    const size_t sizes[] = {16, 64, 1000, 3000, 20000, MIB};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++) {
        struct misuse misuse = {.block_bytes = sizes[i]};
        assert_stops(free_anothers_twice, misuse, already_free);
        misuse.owner_ended = true;
        assert_stops(free_anothers_twice, misuse, already_free);
    }
}

static void free_inside_anothers(void *argument)
{
    const struct misuse *misuse = argument;
    char *block = block_of_another_thread(misuse);
    hak_free(support_hide(block + misuse->offset_bytes));
    hak_malloc_trim(0);
}

static void misuse__pointer_inside_anothers_block__stops(void **state)
{
    const size_t sizes[] = {64, 1000, 3000, 20000, MIB};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++) {
        struct misuse misuse = {.block_bytes = sizes[i], .offset_bytes = 16};
        assert_stops(free_inside_anothers, misuse, inside_block);
        misuse.owner_ended = true;
        assert_stops(free_inside_anothers, misuse, inside_block);
    }
}

/* The other way round: good use of the same kind does not stop anything. */
static void use_well(void *argument)
{
    const struct misuse *misuse = argument;
    char *block = block_of_another_thread(misuse), *mine = block_of(misuse->block_bytes);
    hak_free(block);
    hak_free(mine);
    hak_malloc_trim(0);
    hak_free(block_of(misuse->block_bytes));
    hak_malloc_trim(0);
}

static void misuse__none__runs_to_its_end(void **state)
{
    const size_t sizes[] = {16, 64, 1000, 3000, 20000, MIB};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++) {
        struct misuse misuse = {.block_bytes = sizes[i], .owner_ended = i % 2 == 0};
        struct support_end end = support_run_child(use_well, &misuse);
        assert_int_equal(end.status, 0);
        assert_string_equal(end.text, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misuse__small_block_freed_twice__stops_at_flush),
        cmocka_unit_test(misuse__freed_twice_with_others_between__stops_at_flush),
        cmocka_unit_test(misuse__freed_again_after_flush__stops),
        cmocka_unit_test(misuse__freed_twice_then_many_frees__stops_at_flush),
        cmocka_unit_test(misuse__freed_twice_anywhere__stops_once_both_are_flushed),
        cmocka_unit_test(misuse__handed_out_twice__stops_when_both_come_back),
        cmocka_unit_test(misuse__pointer_inside_small_block__stops_at_flush),
        cmocka_unit_test(misuse__header_overwritten__stops),
        cmocka_unit_test(misuse__large_block_freed_twice__stops_at_once),
        cmocka_unit_test(misuse__pointer_inside_large_block__stops_at_once),
        cmocka_unit_test(misuse__anothers_block_freed_twice__stops),
        cmocka_unit_test(misuse__pointer_inside_anothers_block__stops),
        cmocka_unit_test(misuse__none__runs_to_its_end),
    };
    return cmocka_run_group_tests_name("misuse", tests, NULL, NULL);
}
