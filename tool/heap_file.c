/*
 * heap_file.c: a map as a file, and back.
 *
 * Text, one thing a line, its numbers in decimal but for addresses and masks:
 *
 *   hakmem-map 1
 *   process ID TIME HARDENED BASE PAGE_BYTES PROGRAM
 *   count CLASSES SEGMENTS OWNERS
 *   class NUMBER SLOT_BYTES SLOTS SPAN_PAGES TIER CACHED
 *   owner NUMBER ADDRESS STATE SLOW_PATHS SPANS
 *   segment NUMBER TAKEN DIRTY TIER BACKING
 *   slots PAGE CLASS OWNER USED
 *   large PAGE SPAN_PAGES
 *   end
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "heap.h"

#define FILE_VERSION 1
#define SEGMENTS_MAX ((size_t)1 << 25)

/* ---- writing ---- */

static void lines_write(const struct heap_map *map, FILE *file)
{
    fprintf(file, "hakmem-map %d\nprocess %d %" PRId64 " %d %" PRIx64 " %" PRIu32 " %s\n",
            FILE_VERSION, map->process, map->time, map->hardened, map->base, map->page_bytes,
            map->program);
    fprintf(file, "count %zu %zu %zu\n", map->class_count, map->segment_count, map->owner_count);
    for (size_t i = 1; i < map->class_count; i++) {
        const struct heap_class *class = &map->classes[i];
        fprintf(file, "class %zu %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu64 "\n", i,
                class->slot_bytes, class->slots, class->span_pages, class->tier, class->cached);
    }
    for (size_t i = 0; i < map->owner_count; i++) {
        const struct heap_owner *owner = &map->owners[i];
        fprintf(file, "owner %zu %" PRIx64 " %" PRIu32 " %" PRIu64 " %" PRIu32 "\n", i + 1,
                owner->address, owner->state, owner->slow_paths, owner->spans);
    }
    for (size_t i = 0; i < map->segment_count; i++) {
        const struct heap_segment *segment = &map->segments[i];
        fprintf(file, "segment %zu %08" PRIx32 " %08" PRIx32 " %" PRIu32 " %" PRIu32 "\n", i,
                segment->taken, segment->dirty, segment->tier, segment->backing);
    }
    for (size_t i = 0; i < heap_page_count(map); i++) {
        const struct heap_page *page = &map->pages[i];
        if (page->kind == PAGE_SLOTS) {
            fprintf(file, "slots %zu %u %u %" PRIu32 "\n", i, page->class_idx, page->owner,
                    page->used);
        } else if (page->kind == PAGE_LARGE) {
            fprintf(file, "large %zu %" PRIu32 "\n", i, page->span_pages);
        }
    }
    fputs("end\n", file);
}

int heap_save(const struct heap_map *map, const char *path)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        heap_complain(HEAP_FAILED, path, strerror(errno));
        return HEAP_FAILED;
    }
    lines_write(map, file);
    bool failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed) {
        return heap_complain(HEAP_FAILED, "cannot write", path);
    }
    return 0;
}

/* ---- reading ---- */

/* Puts a span's pages behind its first one; false: they overlap with others or the end. */
static bool span_put(struct heap_map *map, size_t page_idx, struct heap_page head)
{
    if (page_idx >= heap_page_count(map) || head.span_pages == 0 ||
        head.span_pages > heap_page_count(map) - page_idx) {
        return false;
    }
    for (size_t i = 0; i < head.span_pages; i++) {
        struct heap_page *page = &map->pages[page_idx + i];
        if (page->kind != PAGE_NONE) {
            return false;
        }
        *page = head;
        page->kind = i == 0 ? head.kind : PAGE_MORE;
        page->back = (uint32_t)i;
    }
    return true;
}

static bool count_take(struct heap_map *map, const char *line)
{
    if (map->classes != NULL ||
        sscanf(line, "count %zu %zu %zu", &map->class_count, &map->segment_count,
               &map->owner_count) != 3 ||
        map->class_count < 2 || map->class_count > 256 || map->segment_count > SEGMENTS_MAX ||
        map->owner_count > UINT16_MAX) {
        return false;
    }
    map->classes = heap_table(map->class_count, sizeof *map->classes);
    map->owners = heap_table(map->owner_count, sizeof *map->owners);
    map->segments = heap_table(map->segment_count, sizeof *map->segments);
    map->pages = heap_table(heap_page_count(map), sizeof *map->pages);
    return true;
}

static bool class_take(struct heap_map *map, const char *line)
{
    struct heap_class class;
    size_t i;
    if (sscanf(line, "class %zu %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu64, &i,
               &class.slot_bytes, &class.slots, &class.span_pages, &class.tier,
               &class.cached) != 6 ||
        i == 0 || i >= map->class_count || class.tier >= TIER_COUNT || class.span_pages > 32 ||
        class.slots > 65536) {
        return false;
    }
    map->classes[i] = class;
    return true;
}

static bool owner_take(struct heap_map *map, const char *line)
{
    struct heap_owner owner;
    size_t i;
    if (sscanf(line, "owner %zu %" SCNx64 " %" SCNu32 " %" SCNu64 " %" SCNu32, &i, &owner.address,
               &owner.state, &owner.slow_paths, &owner.spans) != 5 ||
        i == 0 || i > map->owner_count) {
        return false;
    }
    map->owners[i - 1] = owner;
    return true;
}

static bool segment_take(struct heap_map *map, const char *line)
{
    struct heap_segment segment;
    size_t i;
    if (sscanf(line, "segment %zu %" SCNx32 " %" SCNx32 " %" SCNu32 " %" SCNu32, &i, &segment.taken,
               &segment.dirty, &segment.tier, &segment.backing) != 5 ||
        i >= map->segment_count || segment.tier >= TIER_COUNT || segment.backing >= BACKED_COUNT) {
        return false;
    }
    map->segments[i] = segment;
    return true;
}

static bool slots_take(struct heap_map *map, const char *line)
{
    struct heap_page page = {.kind = PAGE_SLOTS};
    size_t page_idx, class_idx, owner;
    if (sscanf(line, "slots %zu %zu %zu %" SCNu32, &page_idx, &class_idx, &owner, &page.used) !=
            4 ||
        class_idx == 0 || class_idx >= map->class_count || owner > map->owner_count ||
        page.used > map->classes[class_idx].slots) {
        return false;
    }
    page.class_idx = (uint8_t)class_idx;
    page.owner = (uint16_t)owner;
    page.span_pages = map->classes[class_idx].span_pages;
    return span_put(map, page_idx, page);
}

static bool large_take(struct heap_map *map, const char *line)
{
    struct heap_page page = {.kind = PAGE_LARGE};
    size_t page_idx;
    return sscanf(line, "large %zu %" SCNu32, &page_idx, &page.span_pages) == 2 &&
           span_put(map, page_idx, page);
}

static bool process_take(struct heap_map *map, const char *line)
{
    int hardened;
    map->segment_pages = 32;
    bool taken =
        sscanf(line, "process %d %" SCNd64 " %d %" SCNx64 " %" SCNu32 " %31[^\n]", &map->process,
               &map->time, &hardened, &map->base, &map->page_bytes, map->program) >= 5 &&
        map->page_bytes != 0;
    map->hardened = taken && hardened != 0;
    heap_clean(map->program);
    return taken;
}

/* A line that is not the first; false: it is none of the format. */
static bool line_take(struct heap_map *map, const char *line)
{
    static const struct {
        const char *word;
        bool (*take)(struct heap_map *, const char *);
    } kinds[] = {{"class ", class_take},    {"owner ", owner_take}, {"segment ", segment_take},
                 {"slots ", slots_take},    {"large ", large_take}, {"count ", count_take},
                 {"process ", process_take}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strncmp(line, kinds[i].word, strlen(kinds[i].word)) == 0) {
            return (map->classes != NULL || i >= 5) && kinds[i].take(map, line);
        }
    }
    return false;
}

static int lines_read(FILE *file, const char *path, struct heap_map *map)
{
    char line[256];
    char where[64];
    int version = 0;
    if (fgets(line, sizeof line, file) == NULL || sscanf(line, "hakmem-map %d", &version) != 1) {
        return heap_complain(HEAP_FAILED, "neither a process id nor a saved map", path);
    }
    if (version != FILE_VERSION) {
        snprintf(where, sizeof where, "%d, and this command reads version %d", version,
                 FILE_VERSION);
        return heap_complain(HEAP_OTHER_VERSION, "the saved map is of version", where);
    }
    for (size_t number = 2; fgets(line, sizeof line, file) != NULL; number++) {
        if (strcmp(line, "end\n") == 0 && map->classes != NULL && map->page_bytes != 0) {
            return 0;
        }
        if (!line_take(map, line)) {
            snprintf(where, sizeof where, "line %zu is not one of a saved map", number);
            return heap_complain(HEAP_FAILED, path, where);
        }
    }
    return heap_complain(HEAP_FAILED, path, "the file was cut off");
}

int heap_load(const char *path, struct heap_map *map)
{
    memset(map, 0, sizeof *map);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return heap_complain(HEAP_FAILED, path, strerror(errno));
    }
    int status = lines_read(file, path, map);
    fclose(file);
    if (status != 0) {
        heap_map_free(map);
    }
    return status;
}
