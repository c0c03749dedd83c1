/*
 * The clock of rest never goes back: a handler that interrupts a thread which moves it on, and
 * allocates, has moved it on as well.
 *
 * ctest: labels=quick timeout=60
 */
#include "pens.h"
#include "steps.h"

#define EPOCHS 2
#define NOTICES (EPOCHS * HAK_EPOCH_TAKES / HAK_NOTICE_TAKES + 1)

/* As by so many blocks: an exact count of epochs, or a little more. */
static void notice_epochs(void)
{
    for (size_t i = 0; i < NOTICES; i++)
        hak_pen_notice();
}

/* As a page with that block is told it. */
static uint32_t epoch_now(const char *block)
{
    struct hak_page *page = hak_page_of(block);
    hak_pen_age(&hak_pens[page->bin_idx], page);
    return hak_notes_of(page)->epoch;
}

static void interrupt_each(void *unused)
{
    size_t stop = 1;
    (void)unused;
    char *block = support_hide(hak_malloc(100));
    SUPPORT_REQUIRE(hak_harden_is_on() && __libc_single_threaded != 0);
    steps_begin();
    for (;; stop++) {
        uint32_t before = epoch_now(block);
        if (!steps_run(hak_pen_notice, stop, notice_epochs))
            break;
        SUPPORT_REQUIRE(epoch_now(block) - before >= EPOCHS);
    }
    SUPPORT_REQUIRE(stop > 3);
    hak_free(block);
    SUPPORT_REQUIRE(pens_are_valid());
}

static void harden_clock__handler_allocates_at_any_instruction__goes_on(void **state)
{
    (void)state;
    if (!STEPS_CAN)
        skip();
    struct support_end end = support_run_child(interrupt_each, NULL);
    if (end.status != 0)
        fail_msg("a child ended with status %#x; it wrote: %s", (unsigned)end.status, end.text);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(harden_clock__handler_allocates_at_any_instruction__goes_on),
    };
    (void)argc;
    if (getenv("HAKMEM_HARDEN") == NULL) { /* the library has read its options already */
        setenv("HAKMEM_HARDEN", "1", 1);
        execv("/proc/self/exe", argv);
        return 99;
    }
    return cmocka_run_group_tests_name("harden_clock", tests, NULL, NULL);
}
