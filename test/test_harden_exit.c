/*
 * A hardened process ends in a signal's handler, whatever the handler interrupted: what an
 * operation has half-way is not taken for misuse, and misuse is seen beside it. Nor does it touch
 * the bytes of a live block, to which a program may have taken access away.
 *
 * Operations go by single steps; at each the look that exit() takes at every block is taken, and of
 * some operations a child exits there.
 *
 * ctest: labels=quick timeout=120
 */
#include "segment/purge.h"
#include "segment/segment.h"

#include "pens.h"
#include "steps.h"

#include <sys/mman.h>

/* ---- the look at exit --------------------------------------------------------------------------
 */

static size_t looks;

/* As at exit; a page is looked at once. */
static void look(void)
{
    looks++;
    for (size_t page_idx = 0; page_idx < hak_region_pages(); page_idx++) {
        uintptr_t tag = hak_region_tag(page_idx);
        struct hak_page *page = hak_page_at(page_idx);
        if (tag == HAK_TAG_LARGE)
            hak_fence_check(page_idx);
        else if (hak_slots_own(tag) && page == hak_page_of(hak_page_start(page)))
            hak_slots_check(page, tag);
    }
}

static void exit_in_child(void)
{
    int status = -1;
    looks++;
    pid_t child = fork();
    if (child == 0)
        exit(0);
    SUPPORT_REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
    SUPPORT_REQUIRE(status == 0);
}

/* ---- operations --------------------------------------------------------------------------------
 */

#define BLOCKS 14

static struct {
    char *blocks[BLOCKS];
    size_t idx, bytes;
} work;

static void take(void)
{
    work.blocks[work.idx] = hak_malloc(work.bytes);
}

static void resize(void)
{
    work.blocks[work.idx] = hak_realloc(work.blocks[work.idx], work.bytes);
}

static void drop(void)
{
    hak_free(work.blocks[work.idx]);
    work.blocks[work.idx] = NULL;
}

static void trim(void)
{
    (void)hak_malloc_trim(0);
}

/* So that slots and pages come back. */
static void rest(void)
{
    for (size_t i = 0; i < 3 * HAK_EPOCH_TAKES / HAK_NOTICE_TAKES; i++)
        hak_pen_notice();
}

static void step(void (*operation)(void), size_t idx, size_t bytes, void (*at_each)(void))
{
    work.idx = idx;
    work.bytes = bytes;
    (void)steps_run(operation, STEPS_ALL, at_each);
    SUPPORT_REQUIRE(bytes == 0 || work.blocks[idx] != NULL);
}

static void take_unstepped(size_t idx, size_t bytes)
{
    SUPPORT_REQUIRE((work.blocks[idx] = hak_malloc(bytes)) != NULL);
}

/* All slots of a page come and go, so that a slot is filled with more and with fewer bytes than it
 * had before; the rest of the page lives. */
static void fill_again(size_t bytes, size_t less, void (*at_each)(void))
{
    for (size_t i = 1; i < BLOCKS; i++)
        take_unstepped(i, bytes - i % 2 * less);
    for (size_t i = 1; i < BLOCKS; i++)
        if (i % 4 < 2)
            hak_free(work.blocks[i]);
    rest();
    for (size_t i = 1; i < BLOCKS; i++)
        if (i % 4 < 2) /* the slots of others: any of both kinds */
            step(take, i, bytes - i / 4 % 2 * less, at_each);
    step(resize, 2, bytes - less, at_each);
    step(resize, 2, bytes, at_each);
    step(resize, 2, 2 * bytes, at_each);
    for (size_t i = 1; i < BLOCKS; i++)
        if (i % 8 == 0)
            step(drop, i, 0, at_each);
        else
            hak_free(work.blocks[i]);
}

/* Pages are taken out of use, and closed before a new one is opened. */
static void retire(size_t bytes, void (*at_each)(void))
{
    for (size_t i = 1; i < 4; i++)
        take_unstepped(i, bytes);
    for (size_t i = 1; i < 4; i++)
        hak_free(work.blocks[i]);
    step(trim, 0, 0, at_each);
    rest();
    step(take, 0, bytes, at_each);
    step(drop, 0, 0, at_each);
}

static void begin(void)
{
    SUPPORT_REQUIRE(hak_harden_is_on());
    steps_begin();
}

static void end(void)
{
    SUPPORT_REQUIRE(pens_are_valid() && hak_segment_is_valid());
    dprintf(STDERR_FILENO, "%zu looks\n", looks);
}

/* ---- cases ------------------------------------------------------------------------------------
 */

static void run(void (*body)(void *), void *argument)
{
    struct support_end child = support_run_child(body, argument);
    if (child.status != 0)
        fail_msg("a child ended with status %#x; it wrote: %s", (unsigned)child.status, child.text);
    print_message("%s", child.text);
}

struct kind {
    size_t bytes, less;
    void (*at_each)(void);
};

static void fill_kind(void *argument)
{
    const struct kind *kind = argument;
    begin();
    fill_again(kind->bytes, kind->less, kind->at_each);
    end();
}

static void harden_exit__at_any_instruction__is_no_misuse(void **state)
{
    struct kind kinds[] = {
        {111, 6, look}, {111, 13, look}, {1000, 100, look}, {9000, 900, look}, {70000, 900, look},
    };
    (void)state;
    if (!STEPS_CAN)
        skip();
    for (size_t i = 0; i < SUPPORT_COUNT(kinds); i++)
        run(fill_kind, &kinds[i]);
}

static void retire_kind(void *argument)
{
    const struct kind *kind = argument;
    begin();
    retire(kind->bytes, kind->at_each);
    end();
}

static void harden_exit__while_pages_go__is_no_misuse(void **state)
{
    struct kind kinds[] = {{111, 0, look}, {30000, 0, look}};
    (void)state;
    if (!STEPS_CAN)
        skip();
    for (size_t i = 0; i < SUPPORT_COUNT(kinds); i++)
        run(retire_kind, &kinds[i]);
}

static void exit_anywhere(void *unused)
{
    (void)unused;
    begin();
    for (size_t i = 1; i < BLOCKS; i++)
        take_unstepped(i, 105);
    for (size_t i = 1; i < BLOCKS; i += 2)
        hak_free(work.blocks[i]);
    rest();
    for (size_t i = 1; i < 4; i += 2)
        step(take, i, 111, exit_in_child);
    step(resize, 1, 106, exit_in_child);
    step(drop, 1, 0, exit_in_child);
    end();
}

static void harden_exit__by_exit__is_no_misuse(void **state)
{
    (void)state;
    if (!STEPS_CAN)
        skip();
    run(exit_anywhere, NULL);
}

/* No block but those that were asked for lives at any instruction: a child that is forked there
 * keeps them as they are. */
static void count_live(void)
{
    size_t live = 0;
    for (size_t page_idx = 0; page_idx < hak_region_pages(); page_idx++) {
        const struct hak_page *page = hak_page_at(page_idx);
        const struct hak_notes *notes = page->notes;
        if (!hak_slots_own(hak_region_tag(page_idx)) || hak_page_idx(page) != page_idx ||
            page->slot_bytes < work.bytes || notes == NULL || notes->retired)
            continue;
        for (size_t slot = 0; slot < page->slots; slot++)
            live += hak_slot_is_live(page, slot);
    }
    SUPPORT_REQUIRE(live <= work.idx);
    looks++;
}

/* All slots of a new page. */
static void fill_new(void *unused)
{
    (void)unused;
    begin();
    for (size_t i = 1; i <= 6; i++)
        step(take, i, 65530, count_live);
    end();
}

static void harden_exit__slots_never_used__do_not_live(void **state)
{
    (void)state;
    if (!STEPS_CAN)
        skip();
    run(fill_new, NULL);
}

/* ---- blocks that cannot be touched -------------------------------------------------------------
 */

/* As a program makes a guard of one; in front of some lie blocks with a byte of canary behind them.
 */
static void exit_with_guards(void *unused)
{
    size_t os_page = hak_os_page_bytes();
    (void)unused;
    for (unsigned i = 0; i < 40; i++) {
        SUPPORT_REQUIRE(support_hide(hak_malloc(2 * os_page - 1)) != NULL);
        void *guard = support_hide(hak_aligned_alloc(os_page, os_page));
        SUPPORT_REQUIRE(guard != NULL && mprotect(guard, os_page, PROT_NONE) == 0);
    }
    exit(0);
}

static void harden_exit__block_without_access__is_not_touched(void **state)
{
    (void)state;
    run(exit_with_guards, NULL);
}

/* ---- misuse is seen beside it ------------------------------------------------------------------
 */

struct misuse {
    size_t bytes; /* of the block; the thread is at something with blocks of 111 */
    bool freed;   /* it is written to, or else one byte behind it */
    const char *message;
};

static void exit_with_misuse(void *argument)
{
    const struct misuse *misuse = argument;
    char *block = support_hide(hak_malloc(misuse->bytes));
    if (misuse->freed)
        hak_free(block);
    block = support_hide(block);
    block[misuse->freed ? 0 : misuse->bytes] = 1;
    hak_lock_take(&hak_pens[hak_class_bin(111 + 1)].lock);
    exit(0);
}

static void harden_exit__within_an_operation__misuse_is_stopped(void **state)
{
    struct misuse rows[] = {
        {111, false, HAK_MESSAGE_PAST_END "\n"},
        {1000, false, HAK_MESSAGE_PAST_END "\n"},
        {1000, true, HAK_MESSAGE_AFTER_FREE "\n"},
        {300001, false, HAK_MESSAGE_PAST_END "\n"},
        {111, true, ""}, /* may be half-way */
    };
    (void)state;
    if (SUPPORT_SHADOWED)
        skip();
    for (size_t i = 0; i < SUPPORT_COUNT(rows); i++) {
        struct support_end end = support_run_child(exit_with_misuse, &rows[i]);
        bool stopped = WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT;
        if (stopped != (rows[i].message[0] != 0) || strcmp(end.text, rows[i].message) != 0)
            fail_msg("%zu: status %#x: %s", i, (unsigned)end.status, end.text);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(harden_exit__at_any_instruction__is_no_misuse),
        cmocka_unit_test(harden_exit__while_pages_go__is_no_misuse),
        cmocka_unit_test(harden_exit__by_exit__is_no_misuse),
        cmocka_unit_test(harden_exit__slots_never_used__do_not_live),
        cmocka_unit_test(harden_exit__block_without_access__is_not_touched),
        cmocka_unit_test(harden_exit__within_an_operation__misuse_is_stopped),
    };
    (void)argc;
    if (getenv("HAKMEM_HARDEN") == NULL) { /* the library has read its options already */
        setenv("HAKMEM_HARDEN", "1", 1);
        execv("/proc/self/exe", argv);
        return 99;
    }
    return cmocka_run_group_tests_name("harden_exit", tests, NULL, NULL);
}
