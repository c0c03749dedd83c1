/*
 * heap_read.c: a map of the tables of a running process.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "heap.h"

/* Descriptors that are read at once. */
#define READ_PAGES ((size_t)1024)
#define SEGMENTS_MAX ((uint64_t)1 << 25) /* of the largest arena */
/* More heaps than a process has; a list that goes on may be a circle. */
#define OWNERS_MAX 65535
#define BLOCKS_A_BIN_MAX 65535

struct reader {
    const struct target *target;
    const struct hak_view *view;
    struct heap_map *map;
    uint64_t below; /* bins below each heap */
    bool failed;    /* something could not be read */
};

static void bytes_read(struct reader *reader, uint64_t address, void *bytes, size_t count)
{
    if (!reader->failed && !target_read(reader->target, address, bytes, count)) {
        reader->failed = true;
    }
    if (reader->failed) {
        memset(bytes, 0, count);
    }
}

/* The value of a variable. */
static uint64_t word_read(struct reader *reader, const void *address)
{
    uint64_t word = 0;
    bytes_read(reader, (uintptr_t)address, &word, sizeof word);
    return word;
}

/* A number of 1, 2, 4 or 8 bytes, little-endian. */
static uint64_t field_of(const char *item, struct hak_view_field field)
{
    uint64_t value = 0;
    memcpy(&value, item + field.offset, field.bytes <= sizeof value ? field.bytes : 0);
    return value;
}

static uint64_t min_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void classes_read(struct reader *reader)
{
    const struct hak_view *view = reader->view;
    struct heap_map *map = reader->map;
    char *table = heap_table(view->class_count, view->class_stride);
    map->class_count = view->class_count;
    map->classes = heap_table(map->class_count, sizeof *map->classes);
    bytes_read(reader, (uintptr_t)view->classes, table,
               (size_t)view->class_count * view->class_stride);
    for (size_t i = 1; i < map->class_count; i++) {
        const char *item = table + i * view->class_stride;
        map->classes[i] = (struct heap_class){
            .slot_bytes = (uint32_t)field_of(item, view->class_slot_bytes),
            .slots = (uint32_t)field_of(item, view->class_slots),
            .span_pages = (uint32_t)field_of(item, view->class_span_pages),
            .tier = (uint32_t)min_of(field_of(item, view->class_tier), TIER_LARGE)};
    }
    free(table);
}

/* Blocks in the magazines of a heap, whose bins begin at that address. */
static void bins_read(struct reader *reader, uint64_t first, char *bins)
{
    const struct hak_view *view = reader->view;
    bytes_read(reader, first, bins, (size_t)view->class_count * view->bin_stride);
    for (size_t i = 1; i < view->class_count; i++) {
        const char *bin = bins + i * view->bin_stride;
        uint64_t blocks = field_of(bin, view->bin_top);
        if (view->bin_block_bytes != 0) {
            blocks = (blocks - field_of(bin, view->bin_base)) / view->bin_block_bytes;
        }
        reader->map->classes[i].cached += blocks <= BLOCKS_A_BIN_MAX ? blocks : 0;
    }
}

static int owner_compare(const void *a, const void *b)
{
    uint64_t left = ((const struct heap_owner *)a)->address;
    uint64_t right = ((const struct heap_owner *)b)->address;
    return left < right ? -1 : left > right;
}

/* By address, so that a heap keeps its number as long as no other is made. */
static void owners_read(struct reader *reader)
{
    const struct hak_view *view = reader->view;
    struct heap_map *map = reader->map;
    char *bins = heap_table(view->class_count, view->bin_stride);
    uint64_t heap = word_read(reader, view->heaps);
    for (; heap != 0 && map->owner_count < OWNERS_MAX && !reader->failed; map->owner_count++) {
        uint64_t next = 0, entries = 0, state = 0;
        if ((map->owner_count & (map->owner_count - 1)) == 0) {
            struct heap_owner *grown = heap_table(map->owner_count * 2 + 1, sizeof *grown);
            memcpy(grown, map->owners, map->owner_count * sizeof *grown);
            free(map->owners);
            map->owners = grown;
        }
        bytes_read(reader, heap + view->heap_next.offset, &next, view->heap_next.bytes);
        bytes_read(reader, heap + view->heap_state.offset, &state, view->heap_state.bytes);
        bytes_read(reader, heap + view->heap_entries.offset, &entries, view->heap_entries.bytes);
        bins_read(reader, heap, bins);
        if (reader->below != 0) {
            bins_read(reader, heap - reader->below * view->bin_stride, bins);
        }
        map->owners[map->owner_count] =
            (struct heap_owner){.address = heap, .slow_paths = entries, .state = (uint32_t)state};
        heap = next;
    }
    qsort(map->owners, map->owner_count, sizeof *map->owners, owner_compare);
    free(bins);
}

/* The number of the heap of a tag; 0: none. With bins below it, a heap starts at the end of the
 * `heap_align` bytes that those lie in, and is shorter than what is between two heaps. */
static uint16_t owner_find(const struct reader *reader, uint64_t tag)
{
    const struct hak_view *view = reader->view;
    const struct heap_map *map = reader->map;
    uint64_t start = tag - tag % view->heap_align;
    struct heap_owner key = {
        .address = start + (reader->below != 0 ? view->heap_align - view->bin_stride : 0)};
    const struct heap_owner *found =
        bsearch(&key, map->owners, map->owner_count, sizeof key, owner_compare);
    return found == NULL ? 0 : (uint16_t)(found - map->owners + 1);
}

static void segments_read(struct reader *reader)
{
    const struct hak_view *view = reader->view;
    struct heap_map *map = reader->map;
    uint64_t table = word_read(reader, view->segments);
    char *items = heap_table(map->segment_count, view->segment_stride);
    map->segments = heap_table(map->segment_count, sizeof *map->segments);
    bytes_read(reader, table, items, map->segment_count * view->segment_stride);
    for (size_t i = 0; i < map->segment_count; i++) {
        const char *item = items + i * view->segment_stride;
        uint64_t word = field_of(item, view->segment_word);
        map->segments[i] = (struct heap_segment){
            .taken = (uint32_t)word,
            .tier = (uint32_t)min_of(word >> 32, TIER_LARGE),
            .dirty = (uint32_t)field_of(item, view->segment_dirty),
            .backing = (uint32_t)min_of(field_of(item, view->segment_backing), BACKED_GIGANTIC)};
    }
    free(items);
}

/* What a page is by its tag and its descriptor. */
static void page_decode(struct reader *reader, size_t page_idx, uint64_t tag, const char *item)
{
    const struct hak_view *view = reader->view;
    struct heap_map *map = reader->map;
    struct heap_page *page = &map->pages[page_idx];
    uint64_t left = heap_page_count(map) - page_idx;
    if (tag == 1) {
        page->kind = PAGE_LARGE;
        page->span_pages = (uint32_t)min_of(field_of(item, view->page_span_pages), left);
    } else if (tag >= view->tag_bins) {
        uint64_t before = reader->below + (reader->below != 0);
        uint64_t class_idx =
            (tag + before * view->bin_stride) % view->heap_align / view->bin_stride;
        if (class_idx == 0 || class_idx >= map->class_count) {
            return;
        }
        const struct heap_class *class = &map->classes[class_idx];
        page->back = (uint32_t)min_of(field_of(item, view->page_back), UINT32_MAX);
        bool is_first = page->back == 0;
        page->kind = is_first ? PAGE_SLOTS : PAGE_MORE;
        page->class_idx = (uint8_t)class_idx;
        page->owner = owner_find(reader, tag);
        page->span_pages = (uint32_t)min_of(class->span_pages, left);
        page->used =
            class->slots - (uint32_t)min_of(field_of(item, view->page_free_count), class->slots);
        if (is_first && page->owner != 0) {
            map->owners[page->owner - 1].spans++;
        }
    }
}

/* The other pages of large blocks have no tag. */
static void large_extend(struct heap_map *map)
{
    for (size_t i = 0; i < heap_page_count(map); i++) {
        if (map->pages[i].kind != PAGE_LARGE) {
            continue;
        }
        for (size_t j = 1; j < map->pages[i].span_pages; j++) {
            if (map->pages[i + j].kind != PAGE_NONE) {
                map->pages[i].span_pages = (uint32_t)j; /* it ended meanwhile */
                break;
            }
            map->pages[i + j].kind = PAGE_MORE;
            map->pages[i + j].back = (uint32_t)j;
        }
    }
}

static void pages_read(struct reader *reader)
{
    const struct hak_view *view = reader->view;
    struct heap_map *map = reader->map;
    size_t count = heap_page_count(map);
    uint64_t tags = word_read(reader, view->tags);
    uint64_t table = word_read(reader, view->pages);
    uint64_t *row = heap_table(READ_PAGES, sizeof *row);
    char *items = heap_table(READ_PAGES, view->page_stride);
    map->pages = heap_table(count, sizeof *map->pages);
    for (size_t at = 0; at < count && !reader->failed; at += READ_PAGES) {
        size_t part = min_of(count - at, READ_PAGES);
        bytes_read(reader, tags + at * sizeof *row, row, part * sizeof *row);
        bytes_read(reader, table + at * view->page_stride, items, part * view->page_stride);
        for (size_t i = 0; i < part; i++) {
            page_decode(reader, at + i, row[i], items + i * view->page_stride);
        }
    }
    large_extend(map);
    free(row);
    free(items);
}

int heap_read(const struct target *target, struct heap_map *map)
{
    struct reader reader = {.target = target, .view = &target->view, .map = map};
    memset(map, 0, sizeof *map);
    map->process = target->process;
    memcpy(map->program, target->program, sizeof map->program);
    map->time = (int64_t)time(NULL);
    map->base = word_read(&reader, reader.view->base);
    map->page_bytes = reader.view->page_bytes;
    map->segment_pages = reader.view->segment_pages;
    char hardened = 0;
    bytes_read(&reader, (uintptr_t)reader.view->hardened, &hardened, 1);
    map->hardened = hardened != 0;
    reader.below = word_read(&reader, reader.view->below) != 0 ? reader.view->class_count : 0;
    map->segment_count = (size_t)min_of(word_read(&reader, reader.view->end), SEGMENTS_MAX);
    classes_read(&reader);
    owners_read(&reader);
    segments_read(&reader);
    pages_read(&reader);
    if (reader.failed) {
        heap_map_free(map);
        return heap_complain(HEAP_FAILED, "the process ended while it was read", NULL);
    }
    return 0;
}
