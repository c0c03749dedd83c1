/*
 * Pages and spans: slots and addresses, bitmaps, and the protocol of remote frees by one thread.
 *
 * ctest: labels=quick,aarch64 timeout=120 core=fake
 */
#include "segment/run.h"

#include "front/classes.h"
#include "scenario.h"

#define SLOTS_MAX 4096
#define OWNER ((uintptr_t)0x123456789000)
#define OTHER_OWNER ((uintptr_t)0x987654321000)

static const char already_free[] = "hakmem: free of a block that is already free\n";
static const char inside_block[] = "hakmem: free of a pointer inside a block\n";

static struct hak_meta_pool meta;

static struct hak_page *page_open(const struct hak_geometry *geometry, uint8_t bin_idx)
{
    size_t page_idx = hak_pages_claim((enum hak_pool)geometry->pool, geometry->span_pages, 1);
    SUPPORT_REQUIRE(page_idx != HAK_NO_PAGE);
    struct hak_page *page = hak_page_open(page_idx, geometry, bin_idx, OWNER, &meta);
    SUPPORT_REQUIRE(page != NULL && hak_page_idx(page) == page_idx);
    return page;
}

static struct hak_page *page_of_bin(size_t bin_idx)
{
    return page_open(&hak_classes[bin_idx].geometry, (uint8_t)bin_idx);
}

static void begin(void)
{
    scenario_arena(64);
    hak_classes_init(1024, true);
}

static char *block_at(const struct hak_page *page, size_t slot)
{
    return page->first_slot + slot * page->slot_bytes;
}

/* Takes one block, the lowest. */
static char *take_one(struct hak_page *page)
{
    void *block = NULL;
    hak_page_take(page, &block, 1);
    return block;
}

/* As a flush does it, up to a block of another page. */
static size_t give_run(struct hak_page *page, void *const *blocks, void *const *end)
{
    struct hak_cut cut = hak_cut_of(page);
    uint64_t unit = hak_cut_unit(page, *blocks);
    HAK_CHECK(unit < cut.limit, HAK_MESSAGE_INSIDE);
    return hak_page_give(page, cut, unit, blocks, end, end - blocks > 3);
}

static void give_one(struct hak_page *page, void *block)
{
    SUPPORT_REQUIRE(give_run(page, &block, &block + 1) == 1);
}

/* All of an array, behind which others follow. */
static void give_all(struct hak_page *page, void *const *blocks, size_t count, size_t others)
{
    for (size_t done = 0, run; done < count; done += run) {
        run = give_run(page, blocks + done, blocks + count + others);
        SUPPORT_REQUIRE(run != 0 && done + run <= count);
    }
}

/* ---- geometry ------------------------------------------------------------------------------- */

static void check_addresses(const struct hak_page *page)
{
    char *start = page->first_slot;
    size_t span_bytes = page->span_pages * HAK_PAGE_BYTES;
    size_t slot = 0, inside = 0; /* of the offset, without a division */
    for (size_t offset = 0; offset < span_bytes; offset++) {
        bool is_block = inside == 0 && slot < page->slots;
        int64_t found = hak_page_slot(page, start + offset);
        if (found != (is_block ? (int64_t)slot : -1))
            dprintf(STDERR_FILENO, "slots of %u: %zu+%zu is %lld\n", page->slot_bytes, slot, inside,
                    (long long)found);
        SUPPORT_REQUIRE(found == (is_block ? (int64_t)slot : -1));
        if (++inside == page->slot_bytes) {
            slot++;
            inside = 0;
        }
    }
    for (size_t off = 1; off <= 2 * HAK_PAGE_BYTES; off += off < 64 ? 1 : 8) {
        SUPPORT_REQUIRE(hak_page_slot(page, start - off) == -1);
        SUPPORT_REQUIRE(hak_page_slot(page, start + span_bytes + off - 1) == -1);
    }
    SUPPORT_REQUIRE(hak_page_slot(page, NULL) == -1);
    SUPPORT_REQUIRE(hak_page_slot(page, (void *)UINTPTR_MAX) == -1);
}

static void check_every_bin(void *unused)
{
    (void)unused;
    begin();
    for (size_t bin = 1; bin < HAK_BINS; bin++) {
        struct hak_page *page = page_of_bin(bin);
        check_addresses(page);
        for (size_t i = 0; i < page->span_pages; i++) {
            char *inside = hak_page_start(page) + i * HAK_PAGE_BYTES;
            SUPPORT_REQUIRE(hak_page_of(inside) == page);
            SUPPORT_REQUIRE(hak_page_of(inside + HAK_PAGE_BYTES - 1) == page);
        }
        SUPPORT_REQUIRE(hak_page_is_owned(page, OWNER) && !hak_page_is_owned(page, OTHER_OWNER));
        SUPPORT_REQUIRE(hak_page_is_open(page, bin) && !hak_page_is_open(page, bin - 1));
        SUPPORT_REQUIRE(hak_page_free_count(page) == page->slots && hak_page_is_valid(page));
        SUPPORT_REQUIRE(hak_page_close(page, OWNER, &meta, true));
        SUPPORT_REQUIRE(!hak_page_is_open(page, bin) && !hak_page_is_owned(page, OWNER));
    }
    SUPPORT_REQUIRE(hak_segment_is_valid());
}

static void page__every_byte_of_every_class__is_a_slot_or_rejected(void **state)
{
    (void)state;
    scenario_run(check_every_bin, NULL);
}

/* ---- taking and giving ---------------------------------------------------------------------- */

static bool is_free[SLOTS_MAX]; /* what the bitmap should say */
static void *held[SLOTS_MAX];
static size_t held_count;

/* The lowest free slots come, lowest on top. */
static void take_and_check(struct hak_page *page, uint32_t count)
{
    static void *magazine[SLOTS_MAX + 2];
    size_t slot = 0;
    memset(magazine, 0, sizeof magazine);
    hak_page_take(page, &magazine[count], count);
    SUPPORT_REQUIRE(magazine[0] == NULL && magazine[count + 1] == NULL);
    for (size_t at = count; at > 0; at--) {
        while (!is_free[slot])
            slot++;
        SUPPORT_REQUIRE(magazine[at] == block_at(page, slot));
        is_free[slot] = false;
        held[held_count++] = magazine[at];
    }
}

/* Gives some blocks in a row of those held, after they were shuffled a little. */
static void give_and_check(struct hak_page *page, size_t count, uint64_t *seed)
{
    static char elsewhere[16];
    void *blocks[SLOTS_MAX + 1];
    for (size_t i = 0; i < count / 4; i++) {
        size_t a = support_random(seed) % held_count, b = support_random(seed) % held_count;
        void *block = held[a];
        held[a] = held[b];
        held[b] = block;
    }
    held_count -= count;
    memcpy(blocks, held + held_count, count * sizeof(void *));
    blocks[count] = elsewhere; /* here another page's blocks begin */
    give_all(page, blocks, count, 1);
    for (size_t i = 0; i < count; i++)
        is_free[hak_page_slot(page, blocks[i])] = true;
}

static void take_and_give(void *unused)
{
    uint64_t seed = 1;
    (void)unused;
    begin();
    for (size_t bin = 1; bin < HAK_BINS; bin++) {
        struct hak_page *page = page_of_bin(bin);
        memset(is_free, true, page->slots);
        for (unsigned step = 0; step < 100; step++) {
            size_t free_count = page->slots - held_count;
            if (support_random(&seed) % 2 == 0)
                take_and_check(page, (uint32_t)(support_random(&seed) % (free_count + 1)));
            else if (held_count > 0)
                give_and_check(page, support_random(&seed) % (held_count + 1), &seed);
            SUPPORT_REQUIRE(hak_page_free_count(page) == page->slots - held_count);
            SUPPORT_REQUIRE(hak_page_is_valid(page));
        }
        take_and_check(page, hak_page_free_count(page)); /* all there are */
        SUPPORT_REQUIRE(hak_page_free_count(page) == 0 && held_count == page->slots);
        give_and_check(page, held_count, &seed);
        SUPPORT_REQUIRE(hak_page_close(page, OWNER, &meta, true));
    }
}

static void page__blocks_taken_and_given__lowest_first_and_all_accounted(void **state)
{
    (void)state;
    scenario_run(take_and_give, NULL);
}

/* ---- what stops the process ----------------------------------------------------------------- */

static void give_twice(void *unused)
{
    (void)unused;
    struct hak_page *page = page_of_bin(4);
    char *block = take_one(page);
    give_one(page, block);
    give_one(page, block);
}

static void give_twice_at_once(void *unused)
{
    (void)unused;
    struct hak_page *page = page_of_bin(4);
    void *blocks[] = {take_one(page), take_one(page), NULL};
    blocks[2] = blocks[0];
    give_all(page, blocks, 3, 0);
}

static void give_never_taken(void *unused)
{
    (void)unused;
    struct hak_page *page = page_of_bin(4);
    give_one(page, take_one(page) + 64 * 700);
}

static void give_inside(void *unused)
{
    (void)unused;
    struct hak_page *page = page_of_bin(4);
    give_one(page, take_one(page) + 16);
}

static void give_tail(void *unused)
{
    (void)unused;
    struct hak_page *page = page_of_bin(3); /* 48 B: 16 bytes are left at the end */
    SUPPORT_REQUIRE(page->first_bytes + page->slots * 48u == 65520);
    give_one(page, block_at(page, page->slots));
}

static void free_remote_twice(void *unused)
{
    (void)unused;
    struct hak_page *page = page_of_bin(4);
    hak_page_free_remote(page, 2, 5);
    hak_page_free_remote(page, 2, 4);
}

static void free_remote_and_give(void *unused)
{
    (void)unused;
    struct hak_page *page = page_of_bin(4);
    char *block = take_one(page);
    hak_page_free_remote(page, 0, 1);
    give_one(page, block);
    hak_page_collect(page);
}

/* The page knows of both only when the owner takes from that word. */
static void free_remote_after_give(void *unused)
{
    (void)unused;
    struct hak_page *page = page_of_bin(4);
    give_one(page, take_one(page));
    hak_page_free_remote(page, 0, 1);
    (void)take_one(page);
}

static void free_remote_and_collect(void *unused)
{
    (void)unused;
    struct hak_page *page = page_of_bin(4);
    hak_page_free_remote(page, 2, 1);
    hak_page_collect(page);
}

static void close_with_remote_bits(void *unused)
{
    (void)unused;
    struct hak_page *page = page_of_bin(4);
    hak_page_free_remote(page, 9, 1);
    hak_page_close(page, OWNER, &meta, true);
}

static void page__what_is_no_live_block_freed__stops(void **state)
{
    const struct {
        void (*body)(void *);
        const char *message;
    } rows[] = {
        {give_twice, already_free},
        {give_twice_at_once, already_free},
        {give_never_taken, already_free},
        {give_inside, inside_block},
        {give_tail, inside_block},
        {free_remote_twice, already_free},
        {free_remote_and_give, already_free},
        {free_remote_after_give, already_free},
        {free_remote_and_collect, already_free},
        {close_with_remote_bits, already_free},
    };
    (void)state;
    begin();
    for (size_t i = 0; i < SUPPORT_COUNT(rows); i++) {
        struct support_end end = support_run_child(rows[i].body, NULL);
        assert_true(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT);
        assert_string_equal(end.text, rows[i].message);
    }
}

/* ---- remote frees: all orders of what freers and the owner do ------------------------------- */

enum { STEP_FREE, STEP_SET_FULL, STEP_COLLECT, STEP_CLEAR_FULL, STEP_DRAIN, STEPS };
enum { ORDER_LENGTH = 7, FEW_SLOTS = 4 };

static const struct hak_geometry few = {16384, 1 << 21, FEW_SLOTS, 1, 1, HAK_POOL_MID, 0};

/* What the page should be. */
struct remote_model {
    unsigned freed, remote, free_count;
    bool full, pending;
};

static void model_step(struct remote_model *model, struct hak_page *page, unsigned step)
{
    unsigned collected = model->remote;
    switch (step) {
    case STEP_FREE:
        if (model->freed < FEW_SLOTS) {
            bool notify = model->full && !model->pending;
            uintptr_t told = hak_page_free_remote(page, 0, (uint64_t)1 << model->freed++);
            SUPPORT_REQUIRE(told == (notify ? OWNER : 0));
            model->remote++;
            model->pending |= notify;
        }
        return;
    case STEP_CLEAR_FULL:
        hak_page_clear_full(page);
        model->full = false;
        return;
    case STEP_SET_FULL:
        SUPPORT_REQUIRE(hak_page_set_full(page) == (collected != 0));
        model->full = true;
        break;
    case STEP_DRAIN:
        if (!model->pending)
            return; /* it is on no list */
        hak_page_clear_pending(page);
        model->full = model->pending = false;
        SUPPORT_REQUIRE(hak_page_collect(page) == collected);
        break;
    default:
        SUPPORT_REQUIRE(hak_page_collect(page) == collected);
    }
    model->free_count += collected;
    model->remote = 0;
}

static void model_compare(const struct remote_model *model, const struct hak_page *page,
                          uintptr_t owner)
{
    uintptr_t word = owner | HAK_PAGE_ACTIVE | (model->full ? HAK_PAGE_FULL : 0) |
                     (model->pending ? HAK_PAGE_PENDING : 0); /* of the first process */
    SUPPORT_REQUIRE(atomic_load(&page->word) == word);
    SUPPORT_REQUIRE(hak_page_free_count(page) == model->free_count);
    SUPPORT_REQUIRE(hak_page_is_valid(page) && hak_page_is_owned(page, owner));
}

/* Whoever wants the page now gets it only while no notice is on its way. */
static void check_leaving(struct remote_model *model, struct hak_page *page)
{
    SUPPORT_REQUIRE(!hak_page_adopt(page, OTHER_OWNER, OWNER)); /* not the owner's to give */
    SUPPORT_REQUIRE(hak_page_adopt(page, OWNER, OTHER_OWNER) == !model->pending);
    model_compare(model, page, model->pending ? OWNER : OTHER_OWNER);
    if (!model->pending) {
        SUPPORT_REQUIRE(!hak_page_adopt(page, OWNER, OTHER_OWNER));
        SUPPORT_REQUIRE(hak_page_adopt(page, OTHER_OWNER, OWNER));
    }
    while (model->free_count < FEW_SLOTS) {
        model_step(model, page, STEP_FREE);
        model_step(model, page, STEP_COLLECT);
    }
    SUPPORT_REQUIRE(!hak_page_close(page, OTHER_OWNER, &meta, true));
    if (model->pending) {
        SUPPORT_REQUIRE(!hak_page_close(page, OWNER, &meta, true));
        model_compare(model, page, OWNER);
        model_step(model, page, STEP_DRAIN);
    }
    SUPPORT_REQUIRE(hak_page_close(page, OWNER, &meta, true));
    SUPPORT_REQUIRE(atomic_load(&page->word) == 0);
    SUPPORT_REQUIRE(hak_dirty_bytes() == HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(hak_region_tag(hak_page_idx(page)) == HAK_TAG_NONE);
}

static void run_all_orders(void *unused)
{
    unsigned orders = 1;
    (void)unused;
    begin();
    for (unsigned i = 0; i < ORDER_LENGTH; i++)
        orders *= STEPS;
    for (unsigned order = 0; order < orders; order++) {
        struct remote_model model = {0};
        struct hak_page *page = page_open(&few, 9);
        void *blocks[FEW_SLOTS];
        hak_region_set(hak_page_idx(page), 1, HAK_TAG_BINS);
        hak_page_take(page, &blocks[FEW_SLOTS - 1], FEW_SLOTS);
        for (unsigned i = 0, left = order; i < ORDER_LENGTH; i++, left /= STEPS) {
            model_step(&model, page, left % STEPS);
            model_compare(&model, page, OWNER);
        }
        check_leaving(&model, page);
    }
}

static void page__remote_frees_in_all_orders__flags_and_notices_as_the_model_says(void **state)
{
    (void)state;
    scenario_run(run_all_orders, NULL);
}

/* ---- the child of a fork -------------------------------------------------------------------- */

/* PENDING that a vanished thread has set goes; what somebody sets here stays. */
static void check_stale(void *unused)
{
    (void)unused;
    begin();
    for (unsigned forks = 0; forks < 7; forks++) {
        struct hak_page *page = page_open(&few, 9);
        void *blocks[FEW_SLOTS];
        hak_page_take(page, blocks + FEW_SLOTS - 1, FEW_SLOTS);
        SUPPORT_REQUIRE(!hak_page_set_full(page));
        SUPPORT_REQUIRE(hak_page_free_remote(page, 0, 1) == OWNER);
        hak_page_clear_stale(page);
        SUPPORT_REQUIRE(!hak_page_adopt(page, OWNER, OTHER_OWNER)); /* still pending */
        hak_page_forked();
        SUPPORT_REQUIRE(hak_page_free_remote(page, 0, 2) == 0);
        hak_page_clear_stale(page);
        SUPPORT_REQUIRE(hak_page_free_remote(page, 0, 4) == OWNER);
        hak_page_clear_stale(page);
        SUPPORT_REQUIRE(hak_page_free_remote(page, 0, 8) == 0);
        SUPPORT_REQUIRE(hak_page_collect(page) == FEW_SLOTS && hak_page_is_valid(page));
        SUPPORT_REQUIRE(!hak_page_close(page, OWNER, &meta, true));
        hak_page_clear_pending(page);
        SUPPORT_REQUIRE(hak_page_close(page, OWNER, &meta, true));
    }
}

static void page__pending_before_a_fork__is_cleared_after_it(void **state)
{
    (void)state;
    scenario_run(check_stale, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page__every_byte_of_every_class__is_a_slot_or_rejected),
        cmocka_unit_test(page__blocks_taken_and_given__lowest_first_and_all_accounted),
        cmocka_unit_test(page__remote_frees_in_all_orders__flags_and_notices_as_the_model_says),
        cmocka_unit_test(page__what_is_no_live_block_freed__stops),
        cmocka_unit_test(page__pending_before_a_fork__is_cleared_after_it),
    };
    return cmocka_run_group_tests_name("page", tests, NULL, NULL);
}
