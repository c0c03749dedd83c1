/*
 * Notices of remote frees, at the narrowest place: one page and few threads. No bit and no notice
 * is lost, and a notice finds the owner that the page has then.
 *
 * ctest: labels=quick timeout=120 core=fake
 */
#include "segment/page.h"

#include "front/classes.h"
#include "scenario.h"

/* Whoever owns a page has a list of those with remote frees. */
struct owner {
    _Alignas(64) _Atomic(struct hak_page *) pending;
};

static struct owner owners[2];
static struct hak_meta_pool meta;
static _Atomic(bool) stop_now;

static uintptr_t owner_of(const struct hak_page *page)
{
    return atomic_load(&page->word) & ~(uintptr_t)HAK_PAGE_FLAGS;
}

static void notify(uintptr_t address, struct hak_page *page)
{
    struct owner *owner = (struct owner *)address;
    SUPPORT_REQUIRE(owner == &owners[0] || owner == &owners[1]);
    atomic_store(&page->pending_next, atomic_load(&owner->pending));
    atomic_store(&owner->pending, page);
}

/* ---- adoption against notices --------------------------------------------------------------- */

/* Two threads change the owner to and fro; whoever succeeds has the page to itself. */
static _Atomic(unsigned) adoptions[2];

static void adopt_or_free(unsigned index, void *argument)
{
    struct hak_page *page = argument;
    unsigned rounds = SUPPORT_SHADOWED ? 3000 : 30000;
    for (unsigned round = 0; index < 2 && round < rounds; round++) {
        uintptr_t from = (uintptr_t)&owners[index], to = (uintptr_t)&owners[1 - index];
        if (hak_page_adopt(page, from, to))
            atomic_fetch_add(&adoptions[index], 1);
    }
    if (index < 2)
        return;
    for (size_t slot = index - 2; slot < page->slots; slot += 2) {
        uintptr_t told = hak_page_free_remote(page, slot / 64, (uint64_t)1 << slot % 64);
        if (told != 0)
            notify(told, page);
    }
}

static void race_for_a_page(void *unused)
{
    (void)unused;
    scenario_arena(64);
    hak_classes_init(1024, true);
    struct hak_page *page =
        hak_page_open(hak_pages_claim(HAK_POOL_TINY, 1, 1), &hak_classes[4].geometry, 4,
                      (uintptr_t)&owners[0], &meta);
    void **blocks = calloc(page->slots, sizeof *blocks);
    hak_page_take(page, blocks + page->slots - 1, page->slots);
    SUPPORT_REQUIRE(!hak_page_set_full(page));
    scenario_threads(4, adopt_or_free, page);
    unsigned there = atomic_load(&adoptions[0]), back = atomic_load(&adoptions[1]);
    SUPPORT_REQUIRE(there == back || there == back + 1);
    /* One notice was sent, to whoever owned the page then, and from there on nobody adopted. */
    struct owner *owner = &owners[there - back];
    SUPPORT_REQUIRE(owner_of(page) == (uintptr_t)owner);
    SUPPORT_REQUIRE(atomic_load(&owner->pending) == page);
    SUPPORT_REQUIRE(atomic_load(&page->pending_next) == NULL);
    SUPPORT_REQUIRE(atomic_load(&owners[back + 1 - there].pending) == NULL);
    hak_page_clear_pending(page);
    SUPPORT_REQUIRE(hak_page_collect(page) == page->slots);
    SUPPORT_REQUIRE(hak_page_close(page, (uintptr_t)owner, &meta, true));
    free(blocks);
}

static void page__adoption_against_notices__the_notice_finds_the_owner(void **state)
{
    (void)state;
    for (unsigned round = 0; round < (SUPPORT_SHADOWED ? 5 : 30); round++)
        scenario_run(race_for_a_page, NULL);
}

/* ---- one word, to and fro ------------------------------------------------------------------- */

#define WORD_SLOTS 64

static _Atomic(bool) is_out[WORD_SLOTS]; /* the slot is a freer's */
static _Atomic(bool) is_told;

static void free_slots(unsigned index, struct hak_page *page)
{
    while (!atomic_load(&stop_now)) {
        bool found = false;
        for (unsigned slot = index - 1; slot < WORD_SLOTS; slot += 2) {
            if (!atomic_load(&is_out[slot]))
                continue;
            found = true;
            atomic_store(&is_out[slot], false);
            if (hak_page_free_remote(page, 0, (uint64_t)1 << slot) != 0)
                SUPPORT_REQUIRE(!atomic_exchange(&is_told, true));
        }
        if (!found)
            sched_yield();
    }
}

/* Takes what is free and hands it out; when there is nothing, waits for a notice and no longer
 * looks by itself. */
static void take_slots(struct hak_page *page)
{
    for (size_t sent = 0; sent < (SUPPORT_SHADOWED ? 50000 : 5000000);) {
        uint32_t count = hak_page_free_count(page);
        if (count == 0 && hak_page_collect(page) == 0) {
            if (hak_page_set_full(page)) {
                hak_page_clear_full(page);
            } else {
                while (!atomic_load(&is_told)) /* for ever, if the notice was lost */
                    sched_yield();
            }
            if (atomic_exchange(&is_told, false)) {
                hak_page_clear_pending(page);
                (void)hak_page_collect(page);
            }
            continue;
        }
        for (; count > 0; count--, sent++) {
            void *block = NULL;
            hak_page_take(page, &block, 1);
            SUPPORT_REQUIRE(!atomic_exchange(&is_out[hak_page_slot(page, block)], true));
        }
    }
    atomic_store(&stop_now, true);
}

static void take_or_free(unsigned index, void *page)
{
    if (index == 0)
        take_slots(page);
    else
        free_slots(index, page);
}

static void race_for_a_word(void *unused)
{
    const struct hak_geometry one_word = {1024, 1 << 25, WORD_SLOTS, 1, 1, HAK_POOL_TINY, 0};
    (void)unused;
    scenario_arena(64);
    size_t page_idx = hak_pages_claim(HAK_POOL_TINY, 1, 1);
    struct hak_page *page = hak_page_open(page_idx, &one_word, 64, (uintptr_t)&owners[0], &meta);
    scenario_threads(3, take_or_free, page);
    /* Whatever the freers still had is theirs; all else is free or remotely free. */
    (void)hak_page_collect(page);
    for (size_t slot = 0; slot < WORD_SLOTS; slot++)
        SUPPORT_REQUIRE(atomic_load(&is_out[slot]) == ((*page->free >> slot & 1) == 0));
    SUPPORT_REQUIRE(hak_page_is_valid(page));
}

static void page__one_word_to_and_fro__no_bit_and_no_notice_is_lost(void **state)
{
    (void)state;
    scenario_run(race_for_a_word, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page__adoption_against_notices__the_notice_finds_the_owner),
        cmocka_unit_test(page__one_word_to_and_fro__no_bit_and_no_notice_is_lost),
    };
    return cmocka_run_group_tests_name("page_notices", tests, NULL, NULL);
}
