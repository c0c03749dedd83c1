/*
 * heap_words.c: what map and top share of words, and the small change of struct heap_map.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap.h"

/* Set by the command that runs. */
static const char *verb = "map";
static bool is_silent;

int heap_complain(int status, const char *what, const char *detail)
{
    if (is_silent) {
        return status;
    }
    fprintf(stderr, "hakmem: %s: %s%s%s\n", verb, what, detail != NULL ? ": " : "",
            detail != NULL ? detail : "");
    return status;
}

void heap_verb(const char *name)
{
    verb = name;
}

void heap_silence(bool silent)
{
    is_silent = silent;
}

bool heap_colour(void)
{
    const char *refused = getenv("NO_COLOR"); /* no-color.org: empty is as not set */
    return isatty(STDOUT_FILENO) && (refused == NULL || refused[0] == '\0');
}

void *heap_table(size_t count, size_t item_bytes)
{
    void *table = calloc(count + 1, item_bytes); /* never of zero bytes */
    if (table == NULL) {
        exit(heap_complain(HEAP_FAILED, "out of memory", NULL));
    }
    return table;
}

void heap_map_free(struct heap_map *map)
{
    free(map->classes);
    free(map->segments);
    free(map->pages);
    free(map->owners);
    memset(map, 0, sizeof *map);
}

int heap_process(const char *text)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    bool is_number = text[0] >= '1' && text[0] <= '9' && *end == '\0' && errno == 0;
    return is_number && number <= INT_MAX ? (int)number : 0;
}

size_t heap_head(const struct heap_map *map, size_t page_idx)
{
    size_t back = map->pages[page_idx].back;
    const struct heap_page *head = &map->pages[page_idx - (back <= page_idx ? back : 0)];
    bool reaches =
        (head->kind == PAGE_SLOTS || head->kind == PAGE_LARGE) && back < head->span_pages;
    return reaches && back <= page_idx ? page_idx - back : page_idx;
}

unsigned heap_fill(const struct heap_map *map, size_t page_idx)
{
    const struct heap_page *page = &map->pages[heap_head(map, page_idx)];
    const struct heap_class *class = &map->classes[page->class_idx];
    if (page->kind != PAGE_SLOTS || class->slots == 0) {
        return page->kind == PAGE_LARGE ? 1000 : 0;
    }
    return (unsigned)(((uint64_t)page->used * 1000 + class->slots - 1) / class->slots);
}

void heap_clean(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~' || strchr("<>&\"\\", *text) != NULL) {
            *text = '?';
        }
    }
}

struct heap_text heap_bytes(uint64_t bytes)
{
    static const char units[] = "BKMGTPE";
    struct heap_text text;
    size_t unit = 0;
    uint64_t tenths = bytes > UINT64_MAX / 10 ? UINT64_MAX : bytes * 10;
    while (tenths >= 10240 && unit + 2 < sizeof units) {
        tenths = (tenths + 512) / 1024;
        unit++;
    }
    if (unit == 0) {
        snprintf(text.text, sizeof text.text, "%" PRIu64, bytes);
    } else if (tenths % 10 == 0 || tenths >= 1000) {
        snprintf(text.text, sizeof text.text, "%" PRIu64 "%c", (tenths + 5) / 10, units[unit]);
    } else {
        snprintf(text.text, sizeof text.text, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10,
                 units[unit]);
    }
    return text;
}

const char *heap_tier_name(uint32_t tier)
{
    static const char *const names[TIER_COUNT] = {"free", "Tiny", "Small-Mid", "Mid", "Large"};
    return names[tier < TIER_COUNT ? tier : TIER_NONE];
}

const char *heap_backing_name(uint32_t backing)
{
    static const char *const names[BACKED_COUNT] = {"ordinary", "THP", "hugetlb", "1 GiB"};
    return names[backing < BACKED_COUNT ? backing : BACKED_SMALL];
}

const char *heap_state_name(uint32_t state)
{
    static const char *const names[HEAP_STATES + 1] = {
        "in use", "in use", "without thread", "without thread", "left by a fork", "unknown"};
    return names[state < HEAP_STATES ? state : HEAP_STATES];
}
