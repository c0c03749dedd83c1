/*
 * What the cases of front/ share; see cases.h.
 */
#include "schedule/cases.h"

#include <sys/mman.h>

#include "segment/purge.h"

/* Of the allocator's records: more than any case has. It commits the second half at once. */
#define RECORDS_BYTES (128 * KIB)

char *case_blocks[CASE_BLOCKS];

void case_begin(void)
{
    setenv("HAKMEM_ARENA_GIB", "1", 1);
    setenv("HAKMEM_ARENA_MB_MAX", "2", 1);
    hak_fake_wake(4096);
    hak_fake_at_yield(schedule_wait);
}

/* Has the allocator commit some room for records that schedules may take. */
static void records_commit(void)
{
    while (hak_meta_used_bytes() <= RECORDS_BYTES / 2)
        SUPPORT_REQUIRE(hak_meta_new(KIB, 64) != NULL);
}

void case_save(size_t segments)
{
    bool is_new = atomic_load(&hak_arena.tabled) < segments; /* it will commit tables and records */
    size_t groups = (hak_arena.max_segments + HAK_GROUP_SEGMENTS - 1) / HAK_GROUP_SEGMENTS;
    char *tables = (char *)(uintptr_t)hak_region.tags;
    char *records =
        (char *)hak_arena.maps + hak_align_up(groups * sizeof(struct hak_segment_maps), 4096);
    SUPPORT_REQUIRE(segments <= HAK_GROUP_SEGMENTS);
    if (!is_new)
        records_commit();
    /* All of it exists, whatever the allocator has committed so far. */
    SUPPORT_REQUIRE(
        mprotect(tables, (size_t)(records - tables) + RECORDS_BYTES, PROT_READ | PROT_WRITE) == 0);
    schedule_save(tables, segments * HAK_SEGMENT_PAGES * sizeof(uintptr_t), is_new);
    schedule_save(hak_arena.pages, segments * HAK_SEGMENT_PAGES * sizeof(struct hak_page), is_new);
    schedule_save(hak_arena.segments, segments * sizeof(struct hak_segment), is_new);
    schedule_save(hak_arena.maps, sizeof(struct hak_segment_maps), is_new);
    schedule_save(records, RECORDS_BYTES, is_new);
}

/* ---- blocks --------------------------------------------------------------------------------- */

size_t case_bin(void)
{
    return hak_class_bin(8192);
}

size_t case_slots(void)
{
    return hak_classes[case_bin()].geometry.slots;
}

size_t case_take(void)
{
    char *block = hak_malloc(CASE_BYTES);
    size_t free_place = CASE_BLOCKS;
    SUPPORT_REQUIRE(block != NULL);
    for (size_t i = 0; i < CASE_BLOCKS; i++) {
        SUPPORT_REQUIRE(case_blocks[i] != block);
        free_place = case_blocks[i] == NULL && free_place == CASE_BLOCKS ? i : free_place;
    }
    SUPPORT_REQUIRE(free_place < CASE_BLOCKS);
    case_blocks[free_place] = block;
    return free_place;
}

/* From here on somebody else may have it. */
static char *block_forget(size_t i)
{
    char *block = case_blocks[i];
    SUPPORT_REQUIRE(block != NULL);
    case_blocks[i] = NULL;
    return block;
}

void case_free(size_t i)
{
    hak_free(block_forget(i));
}

void case_free_remote(size_t i)
{
    hak_remote_free_now(block_forget(i));
}

void case_attach(void)
{
    struct hak_heap *heap = hak_heap_enter();
    SUPPORT_REQUIRE(heap != NULL);
    hak_heap_leave(heap);
}

void case_fill_page(void)
{
    struct hak_heap *heap = hak_heap_enter();
    hak_heap_warm(heap, case_bin(), case_slots());
    hak_heap_leave(heap);
    for (size_t i = 0; i < case_slots(); i++)
        (void)case_take();
    SUPPORT_REQUIRE(hak_bin_count(&heap->bins[case_bin()]) == 0);
}

/* ---- what is true at rest ------------------------------------------------------------------- */

static uint64_t places[HAK_GROUP_SEGMENTS * HAK_SEGMENT_PAGES]; /* a page: slots that were found */

static void place_add(const struct hak_page *page, uint64_t slots)
{
    SUPPORT_REQUIRE((places[hak_page_idx(page)] & slots) == 0);
    places[hak_page_idx(page)] |= slots;
}

static void block_add(const char *block)
{
    struct hak_page *page = hak_page_of(block);
    int64_t slot = hak_page_slot(page, block);
    SUPPORT_REQUIRE(slot >= 0 && hak_page_is_open(page, case_bin()));
    place_add(page, (uint64_t)1 << slot);
}

static uintptr_t word_of(const struct hak_page *page)
{
    return atomic_load(&page->word);
}

static uint64_t remote_of(const struct hak_page *page)
{
    return atomic_load(&page->remote[0]);
}

/* What a heap holds of blocks and pages; returns how many of its pages are announced. */
static size_t heap_check(struct hak_heap *heap)
{
    uint32_t heap_state = atomic_load(&heap->state);
    const struct hak_bin *bin = &heap->bins[case_bin()];
    size_t pages = 0, announced = 0;
    SUPPORT_REQUIRE(atomic_load(&heap->holder) == 0);
    SUPPORT_REQUIRE(heap_state == HAK_HEAP_IDLE || heap_state == HAK_HEAP_ORPHAN);
    for (size_t i = 0; i < hak_bin_count(bin); i++)
        block_add(hak_bin_at(bin, i));
    for (size_t i = 0; i < HAK_REMOTE_ENTRIES; i++) {
        uintptr_t key = heap->remote[i].key;
        if (key != 0)
            place_add((struct hak_page *)key, heap->remote[i].bits);
    }
    for (enum hak_list list = HAK_LIST_PARTIAL; list < HAK_LISTS; list++) {
        struct hak_page *page = heap->shelves[case_bin()].lists[list].head;
        for (; page != NULL; page = page->next, pages++) {
            bool is_full = (word_of(page) & HAK_PAGE_FULL) != 0;
            SUPPORT_REQUIRE(page->list == list && hak_page_is_owned(page, (uintptr_t)heap));
            SUPPORT_REQUIRE(is_full || list == HAK_LIST_PARTIAL); /* else nobody looks at it */
        }
    }
    SUPPORT_REQUIRE(pages == atomic_load(&heap->page_count));
    struct hak_page *page = atomic_load(&heap->pending);
    for (; page != NULL; page = atomic_load(&page->pending_next), announced++) {
        SUPPORT_REQUIRE((word_of(page) & HAK_PAGE_PENDING) != 0 && announced < CASE_BLOCKS);
        SUPPORT_REQUIRE(hak_page_is_owned(page, (uintptr_t)heap));
    }
    if (heap_state == HAK_HEAP_ORPHAN) { /* nobody would look at these */
        SUPPORT_REQUIRE(announced == 0 && hak_bin_count(bin) == 0);
        SUPPORT_REQUIRE(heap->shelves[case_bin()].lists[HAK_LIST_PARTIAL].head == NULL);
    }
    return announced;
}

/* An open page; returns whether it is announced to its owner. */
static bool page_check(const struct hak_page *page)
{
    uintptr_t word = word_of(page);
    const struct hak_heap *heap = (struct hak_heap *)(word & ~(uintptr_t)HAK_PAGE_FLAGS);
    size_t page_idx = hak_page_idx(page);
    enum hak_pool pool;
    SUPPORT_REQUIRE((word & HAK_PAGE_ACTIVE) != 0 && page->bin_idx == case_bin());
    SUPPORT_REQUIRE(hak_region_tag(page_idx) == (uintptr_t)&heap->bins[page->bin_idx]);
    SUPPORT_REQUIRE(page->words == 1 && hak_page_is_valid(page));
    SUPPORT_REQUIRE(
        hak_segment_taken(page_idx / HAK_SEGMENT_PAGES, &pool) >> page_idx % HAK_SEGMENT_PAGES & 1);
    place_add(page, page->free[0]);
    place_add(page, remote_of(page));
    SUPPORT_REQUIRE(places[page_idx] == ((uint64_t)1 << page->slots) - 1); /* none is lost */
    bool pending = (word & HAK_PAGE_PENDING) != 0;
    SUPPORT_REQUIRE((word & HAK_PAGE_FULL) == 0 || remote_of(page) == 0 || pending);
    return pending;
}

static bool has_bin_tag(size_t page_idx)
{
    return hak_region_tag(page_idx) >= HAK_TAG_BINS;
}

static void own_check(void)
{
    SUPPORT_REQUIRE(hak_heap_is_valid());
}

static void own_release(void)
{
    if (!hak_heap_is_real(hak_heap_self))
        return;
    struct hak_heap *heap = hak_heap_enter();
    hak_heap_release_all(heap);
    hak_heap_leave(heap);
}

void case_check(void)
{
    size_t announced = 0, pending = 0, pages = 0, taken = 0;
    memset(places, 0, sizeof places);
    for (size_t i = 0; i < CASE_BLOCKS; i++) {
        if (case_blocks[i] != NULL)
            block_add(case_blocks[i]);
    }
    for (struct hak_heap *at = hak_heap_first(); at != NULL; at = at->next)
        announced += heap_check(at);
    for (size_t i = 0; i < hak_region_pages(); i++) {
        if (has_bin_tag(i)) {
            pages++;
            pending += page_check(hak_page_at(i));
        } else {
            SUPPORT_REQUIRE(places[i] == 0);
        }
    }
    for (size_t i = 0; i < hak_arena_end(); i++) {
        enum hak_pool pool;
        taken += hak_popcount(hak_segment_taken(i, &pool));
    }
    SUPPORT_REQUIRE(pending == announced && taken == pages);
    SUPPORT_REQUIRE(hak_meta_used_bytes() <= RECORDS_BYTES);
    SUPPORT_REQUIRE(hak_taken_bytes() == taken * HAK_PAGE_BYTES);
    SUPPORT_REQUIRE(hak_segment_is_valid() && hak_region_is_valid() && hak_fake_mistakes() == 0);
    for (unsigned i = 0; i < SCHEDULE_THREADS; i++)
        schedule_as(i, own_check);
}

void case_check_empty(void)
{
    for (size_t i = 0; i < CASE_BLOCKS; i++) {
        if (case_blocks[i] != NULL)
            case_free_remote(i);
    }
    case_check();
    (void)hak_heap_trim();
    for (unsigned i = 0; i < SCHEDULE_THREADS; i++) /* what they have in their magazines */
        schedule_as(i, own_release);
    case_check();
    SUPPORT_REQUIRE(hak_taken_bytes() == 0);
    (void)hak_purge_all();
    SUPPORT_REQUIRE(hak_dirty_bytes() == 0);
}
