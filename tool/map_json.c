/*
 * map_json.c: a map as one JSON object on one line.
 *
 * hakmem-json(5) names the members. They keep their meaning within a schema; new ones may come.
 */
#include <inttypes.h>

#include "heap.h"

#define MAP_SCHEMA 1

/* What stands before the n-th item of an array. */
static const char *comma(bool *first)
{
    const char *text = *first ? "" : ",";
    *first = false;
    return text;
}

static void classes_print(const struct heap_map *map)
{
    bool first = true;
    fputs(",\"classes\":[", stdout);
    for (size_t i = 1; i < map->class_count; i++) {
        const struct heap_class *class = &map->classes[i];
        printf("%s{\"class\":%zu,\"bytes\":%" PRIu32 ",\"tier\":\"%s\",\"slots\":%" PRIu32
               ",\"pages\":%" PRIu32 ",\"cached\":%" PRIu64 "}",
               comma(&first), i, class->slot_bytes, heap_tier_name(class->tier), class->slots,
               class->span_pages, class->cached);
    }
}

static void heaps_print(const struct heap_map *map)
{
    bool first = true;
    fputs("],\"heaps\":[", stdout);
    for (size_t i = 0; i < map->owner_count; i++) {
        const struct heap_owner *owner = &map->owners[i];
        printf("%s{\"heap\":%zu,\"state\":\"%s\",\"slow_paths\":%" PRIu64 ",\"spans\":%" PRIu32 "}",
               comma(&first), i + 1, heap_state_name(owner->state), owner->slow_paths,
               owner->spans);
    }
}

static void segments_print(const struct heap_map *map)
{
    bool first = true;
    fputs("],\"segments\":[", stdout);
    for (size_t i = 0; i < map->segment_count; i++) {
        const struct heap_segment *segment = &map->segments[i];
        printf("%s{\"segment\":%zu,\"tier\":\"%s\",\"backing\":\"%s\",\"pages_in_use\":%d,"
               "\"pages_free_with_memory\":%d}",
               comma(&first), i, heap_tier_name(segment->tier), heap_backing_name(segment->backing),
               __builtin_popcount(segment->taken),
               __builtin_popcount(segment->dirty & ~segment->taken));
    }
}

/* A number, or null for 0. */
static void number_print(const char *name, uint32_t value)
{
    if (value == 0) {
        printf(",\"%s\":null", name);
    } else {
        printf(",\"%s\":%" PRIu32, name, value);
    }
}

static void spans_print(const struct heap_map *map)
{
    bool first = true;
    fputs("],\"spans\":[", stdout);
    for (size_t i = 0; i < heap_page_count(map); i++) {
        const struct heap_page *page = &map->pages[i];
        if (page->kind == PAGE_SLOTS || page->kind == PAGE_LARGE) {
            printf("%s{\"page\":%zu,\"pages\":%" PRIu32, comma(&first), i, page->span_pages);
            number_print("class", page->kind == PAGE_SLOTS ? page->class_idx : 0);
            number_print("heap", page->kind == PAGE_SLOTS ? page->owner : 0);
            printf(",\"used\":%" PRIu32 "}", page->kind == PAGE_SLOTS ? page->used : 1);
        }
    }
}

void map_json(const struct heap_map *map)
{
    printf("{\"schema\":%d,\"process\":%d,\"program\":\"%s\",\"time\":%" PRId64
           ",\"hardened\":%s,\"base\":\"0x%" PRIx64 "\",\"page_bytes\":%" PRIu32
           ",\"segment_pages\":%" PRIu32,
           MAP_SCHEMA, map->process, map->program, map->time, map->hardened ? "true" : "false",
           map->base, map->page_bytes, map->segment_pages);
    classes_print(map);
    heaps_print(map);
    segments_print(map);
    spans_print(map);
    puts("]}");
}
