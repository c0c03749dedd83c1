/*
 * A hardened process stops at every byte behind the size that was asked for: whichever call the
 * block comes from, whatever its size, at the free, at the next realloc or at the end of the
 * process.
 *
 * ctest: labels=quick timeout=120
 */
#include "front/harden/harden.h"
#include "segment/os.h"

#include "pens.h"
#include "support.h"

#define PAST_END "hakmem: write past the end of a block\n"

typedef char *(*maker)(size_t bytes);

static char *by_malloc(size_t bytes)
{
    return hak_malloc(bytes);
}

static char *by_calloc(size_t bytes)
{
    return hak_calloc(bytes, 1);
}

static char *by_realloc_of_null(size_t bytes)
{
    return hak_realloc(NULL, bytes);
}

/* In place where the slot or the pages suffice. */
static char *by_growing(size_t bytes)
{
    return hak_realloc(hak_malloc(bytes - bytes / 16 - 1), bytes);
}

static char *by_growing_far(size_t bytes)
{
    return hak_realloc(hak_malloc(bytes / 3), bytes);
}

static char *by_shrinking(size_t bytes)
{
    return hak_realloc(hak_malloc(bytes + 1), bytes);
}

static char *by_shrinking_more(size_t bytes)
{
    return hak_realloc(hak_malloc(bytes + bytes / 8 + 9), bytes);
}

static char *by_shrinking_far(size_t bytes)
{
    return hak_realloc(hak_malloc(3 * bytes + 40000), bytes);
}

static char *by_aligned_alloc(size_t bytes)
{
    return hak_aligned_alloc(32, bytes);
}

static char *by_posix_memalign(size_t bytes)
{
    void *block;
    return hak_posix_memalign(&block, 64, bytes) == 0 ? block : NULL;
}

static char *by_memalign(size_t bytes)
{
    return hak_memalign(512, bytes);
}

static char *by_valloc(size_t bytes)
{
    return hak_valloc(bytes);
}

static const maker makers[] = {
    by_malloc,        by_calloc,         by_realloc_of_null, by_growing,
    by_growing_far,   by_shrinking,      by_shrinking_more,  by_shrinking_far,
    by_aligned_alloc, by_posix_memalign, by_memalign,        by_valloc,
};

enum ending { AT_FREE, AT_REALLOC, AT_EXIT, ENDINGS };

static struct attempt {
    maker make;
    size_t bytes;
    size_t behind, count; /* how many bytes are written, and how far behind the block */
    enum ending ending;
} attempt;

static void misuse(void *unused)
{
    (void)unused;
    char *block = support_hide(attempt.make(attempt.bytes));
    SUPPORT_REQUIRE(block != NULL && hak_malloc_usable_size(block) == attempt.bytes);
    memset(block, 'b', attempt.bytes);
    memset(block + attempt.bytes + attempt.behind, attempt.count % 2 == 0 ? 0 : 'x', attempt.count);
    if (attempt.ending == AT_FREE)
        hak_free(block);
    else if (attempt.ending == AT_REALLOC)
        support_hide(hak_realloc(block, attempt.bytes + 1));
    SUPPORT_REQUIRE(pens_are_valid()); /* whatever is written */
    exit(0);
}

static void attempt_stops(void)
{
    struct support_end end = support_run_child(misuse, NULL);
    bool faults = WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGSEGV;
    bool stops = WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT &&
                 strcmp(end.text, PAST_END) == 0;
    if (!faults && !stops)
        fail_msg("%zu bytes, %zu written %zu behind, ending %d: status %#x: %s", attempt.bytes,
                 attempt.count, attempt.behind, (int)attempt.ending, (unsigned)end.status,
                 end.text);
}

/* Bytes from the end of a block to where its slot, or its last page, ends: all are canary. */
static size_t slack_of(const char *block, size_t bytes)
{
    size_t page_idx = hak_region_page_idx(block);
    uintptr_t end = hak_align_up((uintptr_t)block + bytes, hak_os_page_bytes());
    if (hak_region_tag(page_idx) >= HAK_TAG_BINS)
        end = (uintptr_t)block + hak_page_of(block)->slot_bytes;
    return end - (uintptr_t)block - bytes;
}

static const size_t sizes[] = {1,    7,     24,    100,   255,   1000,   1023,  1025,
                               5000, 20001, 40970, 65000, 65530, 100001, 300000};

static void slack__first_and_last_bytes_written__stops(void **state)
{
    size_t attempts = 0;
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(makers); i++)
        for (size_t k = 0; k < SUPPORT_COUNT(sizes); k++) {
            size_t slack = slack_of(makers[i](sizes[k]), sizes[k]);
            size_t last = slack == 0 ? 0 : slack - 1;
            const size_t places[][2] = {{0, 1}, {0, 8}, {0, 15}, {last, 1}, {last - last % 8, 1}};
            for (size_t at = 0; at < SUPPORT_COUNT(places); at++, attempts++) {
                attempt = (struct attempt){makers[i], sizes[k], places[at][0], places[at][1],
                                           (enum ending)(attempts % ENDINGS)};
                attempt_stops();
            }
        }
    print_message("%zu writes behind blocks\n", attempts);
}

static void slack__any_byte_of_it_written__stops(void **state)
{
    const size_t few[] = {1, 20, 500, 1100, 65600};
    (void)state;
    for (size_t k = 0; k < SUPPORT_COUNT(few); k++)
        for (size_t bytes = few[k]; bytes < few[k] + 16; bytes += 5)
            for (size_t behind = slack_of(by_malloc(bytes), bytes); behind-- > 0;) {
                attempt =
                    (struct attempt){by_malloc, bytes, behind, 1, (enum ending)(behind % ENDINGS)};
                attempt_stops();
            }
}

/* Whatever realloc makes of a block, in a row: its slack is all canary, and what was cut off is
 * not there any more when it grows again. */
static void slack__resized_to_and_fro__follows(void **state)
{
    uint64_t random = 5;
    (void)state;
    for (unsigned round = 0; round < 40; round++) {
        size_t bytes = 1 + support_random(&random) % (round % 4 == 0 ? 200000 : 3000);
        char *block = support_hide(hak_malloc(bytes));
        for (unsigned i = 0; i < 50; i++) {
            size_t old = bytes;
            memset(block, 'b', bytes);
            bytes = 1 + (bytes + support_random(&random) % 200 + bytes / 16 * (i % 3)) % 300000;
            block = support_hide(hak_realloc(block, bytes));
            size_t slack = slack_of(block, bytes);
            for (size_t at = 0; at < slack; at++)
                assert_int_equal((unsigned char)block[bytes + at] & ~0x66, 0x91);
            assert_true(bytes <= old || support_is_zero(block + old, bytes - old));
        }
        hak_free(block);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slack__first_and_last_bytes_written__stops),
        cmocka_unit_test(slack__any_byte_of_it_written__stops),
        cmocka_unit_test(slack__resized_to_and_fro__follows),
    };
    (void)argc;
    if (getenv("HAKMEM_HARDEN") == NULL) { /* the library has read its options already */
        setenv("HAKMEM_HARDEN", "1", 1);
        execv("/proc/self/exe", argv);
        return 99;
    }
    return cmocka_run_group_tests_name("harden_slack", tests, NULL, NULL);
}
