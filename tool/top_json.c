/*
 * top_json.c: the figures as one JSON object on one line.
 *
 * What is not known is null. Names keep their meaning within a schema; new ones may come.
 */
#include <inttypes.h>

#include "top.h"

static void number_print(const char *name, uint64_t value)
{
    printf(",\"%s\":%" PRIu64, name, value);
}

static void known_print(const char *name, bool known, uint64_t value)
{
    if (known) {
        number_print(name, value);
    } else {
        printf(",\"%s\":null", name);
    }
}

static void class_print(const struct top *top, size_t i, const char *comma)
{
    const struct top_class *class = &top->now.classes[i];
    printf("%s{\"bytes\":%" PRIu32 ",\"tier\":\"%s\"", comma, class->slot_bytes,
           heap_tier_name(class->tier));
    number_print("live", class->used);
    known_print("cached", !top->published, class->cached);
    number_print("free", class->free);
    number_print("pages", class->spans * class->span_pages);
    printf(",\"live_per_second\":%.1f}", top_rate(top, class->used, top->before.classes[i].used));
}

void top_print_json(const struct top *top)
{
    const struct top_figures *now = &top->now;
    const char *comma = "";
    double age = top_clock() - now->seconds;
    printf(
        "{\"schema\":%d,\"process\":%d,\"program\":\"%s\",\"source\":\"%s\",\"age_seconds\":%.3f,"
        "\"hardened\":%s",
        TOP_SCHEMA, top->target.process, top->target.program,
        top->published ? "live file" : "memory", age < 0 ? 0 : age,
        now->hardened ? "true" : "false");
    number_print("resident_bytes", now->resident_bytes);
    number_print("hugetlb_bytes", now->hugetlb_bytes);
    number_print("thp_bytes", now->thp_bytes);
    number_print("segments", now->segments);
    number_print("segments_hugetlb", now->segments_huge);
    number_print("segments_thp", now->segments_thp);
    number_print("pages_bytes", now->taken_bytes);
    number_print("free_with_memory_bytes", now->dirty_bytes);
    known_print("records_bytes", top->published, now->meta_bytes);
    number_print("large_blocks", now->large_blocks);
    number_print("large_bytes", now->large_bytes);
    number_print("heaps", now->heaps);
    number_print("orphans", now->orphans);
    number_print("slow_paths", now->slow_paths);
    printf(",\"slow_paths_per_second\":%.1f,\"classes\":[",
           top_rate(top, now->slow_paths, top->before.slow_paths));
    for (size_t i = 1; i < now->class_count; i++) {
        if (now->classes[i].spans != 0) {
            class_print(top, i, comma);
            comma = ",";
        }
    }
    puts("]}");
}
