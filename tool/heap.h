/*
 * heap: what `hakmem map` and `hakmem top` know of a process's heap.
 *
 * Purpose   target.c finds the allocator in a process, heap_read.c makes a struct heap_map of its
 *           tables, heap_file.c writes that to a file and reads it back, map_text.c and map_svg.c
 *           draw it, map_json.c tells it to programs, top_figures.c adds it up. Reading draws
 *           nothing; drawing reads nothing.
 *           The process runs on all the while, so parts of a map are of different moments: each
 *           number is bounded by what it counts, and no more is promised.
 * Owner     a map lives until heap_map_free().
 * Errors    a function that fails has said why on standard error, in one sentence, and returns the
 *           exit status.
 */
#ifndef HAK_HEAP_MAP_H
#define HAK_HEAP_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "target.h"

enum heap_tier { TIER_NONE, TIER_TINY, TIER_SMALLMID, TIER_MID, TIER_LARGE, TIER_COUNT };
enum heap_backing { BACKED_SMALL, BACKED_THP, BACKED_HUGETLB, BACKED_GIGANTIC, BACKED_COUNT };

struct heap_class {
    uint32_t slot_bytes, slots, span_pages; /* slots of a span of that many pages */
    uint32_t tier;
    uint64_t cached; /* blocks in magazines of all threads */
};

struct heap_segment {
    uint32_t taken, dirty; /* a bit a page: in use; may have memory if it is not */
    uint32_t tier, backing;
};

enum heap_page_kind {
    PAGE_NONE,  /* no block starts here, and none goes on here */
    PAGE_SLOTS, /* of a class; the first of a span */
    PAGE_LARGE, /* the first of a large block */
    PAGE_MORE,  /* goes on what began in a page before */
};

struct heap_page {
    uint8_t kind;
    uint8_t class_idx;
    uint16_t owner; /* number of the heap, from 1 on; 0: none that is known */
    uint32_t span_pages;
    uint32_t back; /* pages to the one that it begins in */
    uint32_t used; /* slots not free; those in magazines are among them */
};

/* As enum hak_heap_state in front/heap.h. */
enum heap_state { HEAP_IDLE, HEAP_BUSY, HEAP_ORPHAN, HEAP_ORPHAN_HELD, HEAP_FROZEN, HEAP_STATES };

struct heap_owner {
    uint64_t address, slow_paths;
    uint32_t state, spans;
};

struct heap_map {
    int process;
    char program[32];
    int64_t time; /* of day, in seconds */
    uint64_t base;
    uint32_t page_bytes, segment_pages;
    bool hardened;
    struct heap_class *classes; /* [0] is not used */
    struct heap_segment *segments;
    struct heap_page *pages; /* `segment_pages` a segment */
    struct heap_owner *owners;
    size_t class_count, segment_count, owner_count;
};

/* A table that begins all zero; ends the command when memory is out. */
void *heap_table(size_t count, size_t item_bytes);
void heap_map_free(struct heap_map *map);

int heap_read(const struct target *target, struct heap_map *map);

/* A text of lines; see heap_file.c. */
int heap_save(const struct heap_map *map, const char *path);
int heap_load(const char *path, struct heap_map *map);

static inline size_t heap_page_count(const struct heap_map *map)
{
    return map->segment_count * map->segment_pages;
}

/* Whether a page is in use; if not, whether it may have memory. */
static inline bool heap_is_taken(const struct heap_map *map, size_t page_idx)
{
    return map->segments[page_idx / map->segment_pages].taken >> page_idx % map->segment_pages & 1;
}

static inline bool heap_is_dirty(const struct heap_map *map, size_t page_idx)
{
    return map->segments[page_idx / map->segment_pages].dirty >> page_idx % map->segment_pages & 1;
}

/* The page in which what lies in a page begins. */
size_t heap_head(const struct heap_map *map, size_t page_idx);

/* How full a page's span is, in thousandths, rounded up: 0 is empty. A large block is full. */
unsigned heap_fill(const struct heap_map *map, size_t page_idx);

/* ---- words ---- */

struct heap_text {
    char text[24];
};

/* "64", "1.5K", "24M": at most five characters below 1 TiB; exact below 1024. */
struct heap_text heap_bytes(uint64_t bytes);

const char *heap_tier_name(uint32_t tier);
const char *heap_backing_name(uint32_t backing);
const char *heap_state_name(uint32_t state);

/* "hakmem: VERB: WHAT" or "hakmem: VERB: WHAT: DETAIL" on standard error; returns `status`. */
int heap_complain(int status, const char *what, const char *detail);

/* Names the command in what follows; and keeps what follows to itself. */
void heap_verb(const char *name);
void heap_silence(bool silent);

/* Replaces what a terminal or an XML file must not hold. */
void heap_clean(char *text);

/* ---- commands ---- */

int map_command(char **arguments);
int top_command(char **arguments);

/* A process id; 0 if the text is none. */
int heap_process(const char *text);

/* Whether standard output is a terminal whose user has not asked for none, by NO_COLOR. */
bool heap_colour(void);

void map_text(const struct heap_map *map, const char *show, bool colour);
int map_svg(const struct heap_map *map, const char *path);
void map_json(const struct heap_map *map);

#endif
