/*
 * Remote frees under threads: freers set bits and notify, while the owner takes, collects, says
 * that pages are full, closes them, opens others, and changes its identity. Every block comes back
 * exactly once, no notice is lost, and none goes to a former owner.
 *
 * ctest: labels=quick,aarch64_full timeout=120 core=fake
 */
#include "segment/page.h"

#include "front/classes.h"
#include "scenario.h"

#define PAGES 12
#define FREERS 3
#define RING 256
#define GATHERED 16
#define BLOCKS_PER_ROUND (SUPPORT_SHADOWED ? 100000 : 5000000)

/* Whoever owns pages has a list of those with remote frees. */
struct owner {
    _Alignas(64) _Atomic(struct hak_page *) pending;
};

static struct owner owners[2];
static struct hak_page *pages[PAGES]; /* [owner's thread] */
static bool is_full[PAGES];           /* [owner's thread] waits for a notice */
static struct hak_meta_pool meta;

static _Atomic(char *) rings[FREERS][RING]; /* blocks on their way to a freer */
static _Atomic(bool) stop_now;              /* no more blocks will come */
static _Atomic(unsigned) freers_running;
static _Atomic(uint8_t) live[64 * HAK_SEGMENT_BYTES / 16]; /* of each 16 bytes: a block starts */

static _Atomic(uint8_t) *live_at(const char *block)
{
    return &live[(size_t)(block - hak_arena.base) / 16];
}

/* ---- freers --------------------------------------------------------------------------------- */

static void notify(uintptr_t address, struct hak_page *page)
{
    struct owner *owner = (struct owner *)address;
    SUPPORT_REQUIRE(owner == &owners[0] || owner == &owners[1]);
    struct hak_page *head = atomic_load(&owner->pending);
    do {
        atomic_store(&page->pending_next, head);
    } while (!atomic_compare_exchange_weak(&owner->pending, &head, page));
}

struct gathered {
    struct hak_page *page;
    size_t word_idx;
    uint64_t bits;
};

static void gathered_free(struct gathered *entry)
{
    if (entry->page != NULL) {
        uintptr_t told = hak_page_free_remote(entry->page, entry->word_idx, entry->bits);
        if (told != 0)
            notify(told, entry->page);
    }
    entry->page = NULL;
    entry->bits = 0;
}

static void block_free(struct gathered *gathered, char *block, uint64_t *seed)
{
    struct hak_page *page = hak_page_of(block);
    int64_t slot = hak_page_slot(page, block);
    SUPPORT_REQUIRE(slot >= 0 && atomic_exchange(live_at(block), 0) == 1);
    memset(block, 0xee, 16);
    struct gathered *entry = &gathered[((size_t)page / 128 + (size_t)slot / 64) % GATHERED];
    if (entry->page != page || entry->word_idx != (size_t)slot / 64)
        gathered_free(entry);
    entry->page = page;
    entry->word_idx = (size_t)slot / 64;
    entry->bits |= (uint64_t)1 << slot % 64;
    if (support_random(seed) % 4 == 0)
        gathered_free(&gathered[support_random(seed) % GATHERED]);
}

static void freer_run(unsigned freer)
{
    struct gathered gathered[GATHERED] = {{NULL, 0, 0}};
    uint64_t seed = freer + 77;
    for (;;) {
        bool was_stopped = atomic_load(&stop_now);
        unsigned found = 0;
        for (unsigned i = 0; i < RING; i++) {
            char *block = atomic_exchange(&rings[freer][i], NULL);
            if (block != NULL) {
                block_free(gathered, block, &seed);
                found++;
            }
        }
        if (found == 0) { /* the owner may wait for what was gathered */
            for (unsigned i = 0; i < GATHERED; i++)
                gathered_free(&gathered[i]);
            if (was_stopped)
                break;
            sched_yield();
        }
    }
    atomic_fetch_sub(&freers_running, 1);
}

/* ---- the owner ------------------------------------------------------------------------------ */

static const uint8_t bins[] = {1, 4, 30, 64, 80, HAK_BINS - 1}; /* 4096 slots, down to 8 */

static void page_open(size_t i, uint64_t *seed)
{
    uint8_t bin = bins[support_random(seed) % SUPPORT_COUNT(bins)];
    const struct hak_geometry *geometry = &hak_classes[bin].geometry;
    size_t page_idx = hak_pages_claim((enum hak_pool)geometry->pool, geometry->span_pages, 1);
    SUPPORT_REQUIRE(page_idx != HAK_NO_PAGE);
    pages[i] = hak_page_open(page_idx, geometry, bin, (uintptr_t)&owners[i % 2], &meta);
    SUPPORT_REQUIRE(pages[i] != NULL);
    is_full[i] = false;
}

static uintptr_t owner_of(const struct hak_page *page)
{
    return atomic_load(&page->word) & ~(uintptr_t)HAK_PAGE_FLAGS;
}

static size_t idx_of(const struct hak_page *page)
{
    size_t i = 0;
    while (i < PAGES && pages[i] != page)
        i++;
    SUPPORT_REQUIRE(i < PAGES); /* no notice comes of a page that was closed */
    return i;
}

/* As the front does it: read the link, clear, collect, and look again if nothing is left. */
static void owner_drain(struct owner *owner)
{
    struct hak_page *page = atomic_exchange(&owner->pending, NULL);
    while (page != NULL) {
        struct hak_page *next = atomic_load(&page->pending_next);
        size_t i = idx_of(page);
        SUPPORT_REQUIRE(owner_of(page) == (uintptr_t)owner);
        hak_page_clear_pending(page);
        (void)hak_page_collect(page);
        is_full[i] = hak_page_free_count(page) == 0 && !hak_page_set_full(page);
        if (!is_full[i])
            hak_page_clear_full(page);
        page = next;
    }
}

/* Sends up to `most` blocks of a page to freers; returns how many. */
static size_t owner_send(struct hak_page *page, size_t most, uint64_t *seed)
{
    size_t sent = 0;
    for (; sent < most && hak_page_free_count(page) > 0; sent++) {
        _Atomic(char *) *place = &rings[support_random(seed) % FREERS][support_random(seed) % RING];
        void *block = NULL;
        if (atomic_load(place) != NULL)
            break;
        hak_page_take(page, &block, 1);
        SUPPORT_REQUIRE(atomic_exchange(live_at(block), 1) == 0);
        memset(block, 0x11, 16);
        atomic_store(place, (char *)block);
    }
    return sent;
}

/* One step on one page; returns how many blocks were sent. */
static size_t owner_step(size_t i, uint64_t *seed)
{
    struct hak_page *page = pages[i];
    if (is_full[i])
        return 0; /* nobody looks at it until it is notified */
    if (hak_page_free_count(page) == 0 && hak_page_collect(page) == 0) {
        is_full[i] = !hak_page_set_full(page);
        if (!is_full[i])
            hak_page_clear_full(page);
        return 0;
    }
    if (hak_page_free_count(page) == page->slots && support_random(seed) % 2 == 0) {
        if (hak_page_close(page, owner_of(page), &meta, true))
            page_open(i, seed);
        return 0;
    }
    if (support_random(seed) % 4 == 0) {
        uintptr_t from = owner_of(page);
        uintptr_t to = (uintptr_t)&owners[from == (uintptr_t)&owners[0]];
        bool adopted = hak_page_adopt(page, from, to);
        SUPPORT_REQUIRE(owner_of(page) == (adopted ? to : from));
    }
    return owner_send(page, 1 + support_random(seed) % 40, seed);
}

/* When all came back: what was waiting was told, and every slot is free. */
static void owner_end(void)
{
    while (atomic_load(&freers_running) != 0)
        sched_yield();
    owner_drain(&owners[0]);
    owner_drain(&owners[1]);
    for (size_t i = 0; i < PAGES; i++) {
        SUPPORT_REQUIRE(!is_full[i]); /* else its notice was lost */
        (void)hak_page_collect(pages[i]);
        SUPPORT_REQUIRE(hak_page_free_count(pages[i]) == pages[i]->slots);
        SUPPORT_REQUIRE(hak_page_is_valid(pages[i]));
        SUPPORT_REQUIRE(hak_page_close(pages[i], owner_of(pages[i]), &meta, true));
    }
}

static void owner_run(void)
{
    uint64_t seed = 1;
    size_t sent = 0;
    for (size_t i = 0; i < PAGES; i++)
        page_open(i, &seed);
    for (size_t step = 0; sent < BLOCKS_PER_ROUND; step++) {
        size_t now = owner_step(step % PAGES, &seed);
        sent += now;
        if (step % PAGES == 0) {
            owner_drain(&owners[0]);
            owner_drain(&owners[1]);
        }
        if (now == 0 && step % (8 * PAGES) == 0)
            sched_yield();
    }
    atomic_store(&stop_now, true);
    owner_end();
}

static void owner_or_freer(unsigned index, void *unused)
{
    (void)unused;
    if (index == 0)
        owner_run();
    else
        freer_run(index - 1);
}

static void race(void *unused)
{
    (void)unused;
    scenario_arena(64);
    hak_classes_init(1024, true);
    atomic_store(&freers_running, FREERS);
    scenario_threads(1 + FREERS, owner_or_freer, NULL);
    for (size_t i = 0; i < hak_arena_end(); i++) {
        enum hak_pool pool;
        SUPPORT_REQUIRE(hak_segment_taken(i, &pool) == 0);
    }
    SUPPORT_REQUIRE(hak_segment_is_valid());
}

static void page__freers_against_the_owner__every_block_returns_once(void **state)
{
    (void)state;
    scenario_run(race, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page__freers_against_the_owner__every_block_returns_once),
    };
    return cmocka_run_group_tests_name("page_threads", tests, NULL, NULL);
}
