/*
 * The walker that all other tests ask: hak_heap_is_valid() sees each thing that can be wrong with a
 * heap. On the fake kernel.
 *
 * ctest: labels=quick timeout=60 core=fake
 */
#include "front/heap.h"
#include "front/layout.h"
#include "hakmem.h"
#include "scenario.h"

#define BYTES_MAX 16

/* With other bytes in a place the heap is not valid, and then it is again. */
static void break_and_mend(const char *what, void *place, const void *other, size_t bytes)
{
    char kept[BYTES_MAX];
    SUPPORT_REQUIRE(bytes <= sizeof kept && memcmp(place, other, bytes) != 0);
    memcpy(kept, place, bytes);
    memcpy(place, other, bytes);
    if (hak_heap_is_valid()) {
        dprintf(STDERR_FILENO, "not seen: %s\n", what);
        abort();
    }
    memcpy(place, kept, bytes);
    SUPPORT_REQUIRE(hak_heap_is_valid());
}

#define BREAK(what, place, other) break_and_mend(what, &(place), &(other), sizeof(other))

/* A heap with blocks of a size in use, some of them freed again. */
static struct hak_heap *heap_with(size_t bytes)
{
    void *blocks[40];
    hak_fake_wake(4096);
    for (size_t i = 0; i < SUPPORT_COUNT(blocks); i++)
        SUPPORT_REQUIRE((blocks[i] = hak_malloc(bytes)) != NULL);
    for (size_t i = 0; i < SUPPORT_COUNT(blocks); i += 2)
        hak_free(blocks[i]);
    SUPPORT_REQUIRE(hak_heap_is_valid());
    return hak_heap_self;
}

static void break_magazine(void *bytes)
{
    struct hak_heap *heap = heap_with(*(size_t *)bytes);
    struct hak_bin *bin = &heap->bins[hak_class_bin(*(size_t *)bytes + HAK_LAYOUT_BYTES)];
    size_t count = hak_bin_count(bin);
    SUPPORT_REQUIRE(count >= 2);
    void **oldest = bin->top - count + 1;
    void *inside = (char *)*oldest + 8, *none = NULL;
    BREAK("the first block is not the newest", bin->first, inside);
    BREAK("a magazine without its first block", bin->first, none);
    BREAK("a pointer inside a block", *oldest, inside);
    uint8_t bin_idx = hak_page_of(*oldest)->bin_idx + 1;
    BREAK("a block of another size", hak_page_of(*oldest)->bin_idx, bin_idx);
}

static void break_page(void *bytes)
{
    struct hak_heap *heap = heap_with(*(size_t *)bytes);
    size_t bin_idx = hak_class_bin(*(size_t *)bytes + HAK_LAYOUT_BYTES);
    hak_malloc_trim(0);                   /* what was freed goes from the magazine to the pages */
    SUPPORT_REQUIRE(hak_heap_is_valid()); /* and the next slow path has no more of that to do */
    struct hak_page *page = heap->shelves[bin_idx].lists[HAK_LIST_PARTIAL].head;
    SUPPORT_REQUIRE(page != NULL && hak_page_free_count(page) != 0);
    size_t word_idx = page->words - 1u;
    uint64_t free_bits = page->free[word_idx];
    uint8_t list = HAK_LIST_FULL;
    uint16_t first_word = page->words;
    uint32_t free_count = hak_page_free_count(page) + 1;
    size_t page_count = heap->page_count + 1;
    struct hak_page *prev = page;
    uint16_t slots = (uint16_t)(page->words * 64 + 1);
    SUPPORT_REQUIRE(free_bits != 0);
    BREAK("slots that are free here and there", page->remote[word_idx], free_bits);
    BREAK("free slots before the first word", page->first_word, first_word);
    BREAK("a count of free slots", page->free_count, free_count);
    BREAK("more slots than bits", page->slots, slots);
    BREAK("a page on another list", page->list, list);
    BREAK("a page before the first", page->prev, prev);
    BREAK("a count of pages", heap->page_count, page_count);
}

static void run_for_sizes(void (*body)(void *))
{
    size_t sizes[] = {16, 100, 3000, 20000}; /* bitmaps of one word, and of several */
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++)
        scenario_run(body, &sizes[i]);
}

static void valid__magazine_is_broken__is_seen(void **state)
{
    (void)state;
    run_for_sizes(break_magazine);
}

static void valid__page_is_broken__is_seen(void **state)
{
    (void)state;
    run_for_sizes(break_page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid__magazine_is_broken__is_seen),
        cmocka_unit_test(valid__page_is_broken__is_seen),
    };
    return cmocka_run_group_tests_name("valid", tests, NULL, NULL);
}
