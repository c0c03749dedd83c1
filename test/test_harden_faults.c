/*
 * A hardened process whose kernel refuses a call: for every call of a kind that a workload makes,
 * once and from then on. Blocks may be refused then; what is given is whole, nothing stops, and
 * when the kernel serves again, so does malloc.
 *
 * ctest: labels=quick timeout=180 core=fake
 */
#include "front/harden/inside.h"
#include "segment/os_fake.h"
#include "segment/purge.h"
#include "segment/segment.h"

#include "pens.h"
#include "support.h"

#include <sys/mman.h>

struct fault {
    enum hak_fake_call call;
    size_t at, times; /* 0 times: none, and the calls are counted */
};

/* Blocks of all kinds, more bytes than may rest; `served` says whether each must be had. */
static void work(bool served)
{
    enum { HELD = 24 };
    const size_t sizes[] = {40, 1000, 5000, 60000, 100000, 4000000};
    char *held[HELD] = {NULL};
    for (unsigned i = 0; i < 600; i++) {
        size_t bytes = sizes[i % SUPPORT_COUNT(sizes)];
        char **place = &held[i % HELD];
        if (*place != NULL) {
            SUPPORT_REQUIRE((*place)[0] == 'x');
            hak_free(*place);
        }
        *place = support_hide(hak_malloc(bytes));
        SUPPORT_REQUIRE(*place != NULL || !served);
        if (*place != NULL) {
            SUPPORT_REQUIRE(support_is_zero(*place, bytes < 8192 ? bytes : 8192));
            (*place)[0] = 'x';
            (*place)[bytes - 1] = 'x';
        }
    }
    for (size_t i = 0; i < HELD; i++)
        hak_free(held[i]);
}

static size_t *counts; /* what a child tells its parent */

static void run(void *argument)
{
    const struct fault *fault = argument;
    hak_fake_wake(4096);
    hak_free(support_hide(hak_malloc(1)));
    SUPPORT_REQUIRE(hak_harden_is_on());
    size_t before = hak_fake_count(fault->call);
    if (fault->times != 0)
        hak_fake_fail(fault->call, fault->at, fault->times);
    work(fault->times == 0);
    SUPPORT_REQUIRE(pens_are_valid());
    *counts = hak_fake_count(fault->call) - before;
    hak_fake_heal();
    work(true);
    SUPPORT_REQUIRE(hak_segment_is_valid() && pens_are_valid());
    SUPPORT_REQUIRE(hak_fake_mistakes() == 0);
}

static size_t run_fault(enum hak_fake_call call, size_t at, size_t times)
{
    struct fault fault = {call, at, times};
    struct support_end end = support_run_child(run, &fault);
    if (end.status != 0 || end.text[0] != '\0')
        fail_msg("call %d, %zu, %zu times: status %#x: %s", (int)call, at, times,
                 (unsigned)end.status, end.text);
    return *counts;
}

static void harden_faults__each_call_refused__nothing_is_lost(void **state)
{
    const enum hak_fake_call calls[] = {HAK_FAKE_COMMIT, HAK_FAKE_PURGE, HAK_FAKE_HIDE};
    size_t points = 0;
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(calls); i++) {
        size_t count = run_fault(calls[i], 0, 0);
        assert_int_not_equal(count, 0);
        for (size_t at = 1; at <= count; at += 1 + at / 6, points++) {
            run_fault(calls[i], at, 1);
            run_fault(calls[i], at, HAK_FAKE_FOREVER);
        }
    }
    print_message("%zu fault points, each once and for ever\n", points);
}

/* A run whose memory the kernel does not take back, neither at the free nor later, and in which a
 * refused purge leaves something; then the same pages again. */
static void free_unpurged(void *unused)
{
    enum { BYTES = 4 * HAK_PAGE_BYTES };
    (void)unused;
    hak_fake_wake(4096);
    for (unsigned pass = 0; pass < 2; pass++) {
        char *block = support_hide(hak_aligned_alloc(HAK_PAGE_BYTES, BYTES));
        SUPPORT_REQUIRE(block != NULL && hak_harden_is_on());
        memset(block, 'x', BYTES);
        hak_fake_fail(HAK_FAKE_PURGE, 1, HAK_FAKE_FOREVER);
        hak_free(block);
        hak_fence_release_all();
        SUPPORT_REQUIRE(hak_purge_all() == 0);
        SUPPORT_REQUIRE(!support_is_zero(support_hide(block), BYTES));
        if (pass == 0)
            hak_fake_heal(); /* the pages can be cleared by a purge now, or else by hand */
        char *again = support_hide(hak_aligned_alloc(HAK_PAGE_BYTES, BYTES));
        SUPPORT_REQUIRE(again == block);
        SUPPORT_REQUIRE(support_is_zero(again, BYTES));
        hak_fake_heal();
        hak_free(again);
        hak_fence_release_all();
    }
}

static void harden_faults__purge_of_free_pages_refused__next_block_is_zero(void **state)
{
    (void)state;
    struct support_end end = support_run_child(free_unpurged, NULL);
    if (end.status != 0 || end.text[0] != '\0')
        fail_msg("status %#x: %s", (unsigned)end.status, end.text);
}

/* A block that shrinks where its memory cannot be given back, and grows again in place. */
static void shrink_unpurged(void *unused)
{
    enum { LESS = 600000, MORE = 1000000 };
    (void)unused;
    hak_fake_wake(4096);
    hak_fake_purge_keeps = true;
    char *block = support_hide(hak_malloc(MORE));
    SUPPORT_REQUIRE(block != NULL);
    memset(block, 'x', MORE);
    hak_fake_fail(HAK_FAKE_PURGE, 1, HAK_FAKE_FOREVER);
    SUPPORT_REQUIRE(hak_realloc(block, LESS) == block);
    SUPPORT_REQUIRE(hak_fake_failures(HAK_FAKE_PURGE) > 0);
    SUPPORT_REQUIRE(hak_realloc(block, MORE) == block);
    SUPPORT_REQUIRE(block[0] == 'x' && block[LESS - 1] == 'x');
    SUPPORT_REQUIRE(support_is_zero(block + LESS, MORE - LESS));
    hak_fake_heal();
    hak_free(block);
    SUPPORT_REQUIRE(hak_segment_is_valid() && hak_fake_mistakes() == 0);
}

static void harden_faults__purge_of_what_shrinks_refused__is_zero_when_it_grows(void **state)
{
    (void)state;
    struct support_end end = support_run_child(shrink_unpurged, NULL);
    if (end.status != 0 || end.text[0] != '\0')
        fail_msg("status %#x: %s", (unsigned)end.status, end.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(harden_faults__each_call_refused__nothing_is_lost),
        cmocka_unit_test(harden_faults__purge_of_free_pages_refused__next_block_is_zero),
        cmocka_unit_test(harden_faults__purge_of_what_shrinks_refused__is_zero_when_it_grows),
    };
    setenv("HAKMEM_HARDEN", "1", 1);    /* read when the fake kernel wakes */
    setenv("HAKMEM_ARENA_GIB", "1", 1); /* so that freed large blocks leave their rest */
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return cmocka_run_group_tests_name("harden_faults", tests, NULL, NULL);
}
