/*
 * map_text.c: a map in a terminal, one line a segment and one sign a page.
 */
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "heap.h"

/* What stands for the n-th class or heap that is drawn; behind the last, '*' for all others. None
 * is one of the signs below. */
static const char letters[] = "123456789abcdefghijklmnpqrstuvwxyzABCDEFGHIJKMNOPQRSTUVWXYZ";
#define LETTERS (sizeof letters - 1)

/* Signs for what is not in use, for large blocks, and for eight steps of fill. */
struct signs {
    const char *clean, *dirty, *unknown, *large, *large_more;
    const char *fill[9];
};

static const struct signs ascii = {".", "o", "?",
                                   "L", "=", {"0", "1", "2", "3", "4", "5", "6", "7", "8"}};
static const struct signs unicode = {"·", "░", "?",
                                     "L", "=", {"_", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}};

struct drawing {
    const struct heap_map *map;
    const struct signs *signs;
    enum { SHOW_FILL, SHOW_CLASS, SHOW_OWNER } show;
    bool colour;
    size_t *ranks; /* of a class or heap: its letter's number + 1; 0: not drawn */
    size_t rank_count;
};

/* Of the palette of Okabe and Ito, which colour-blind readers can tell apart. */
static const char *const colours[TIER_COUNT] = {"", "\033[38;5;74m", "\033[38;5;214m",
                                                "\033[38;5;36m", "\033[38;5;175m"};

/* The thing that a page is drawn for, when classes or heaps are. */
static size_t thing_of(const struct drawing *drawing, size_t head)
{
    const struct heap_page *page = &drawing->map->pages[head];
    return drawing->show == SHOW_CLASS ? page->class_idx : page->owner;
}

static void ranks_make(struct drawing *drawing)
{
    const struct heap_map *map = drawing->map;
    size_t count = drawing->show == SHOW_CLASS ? map->class_count : map->owner_count + 1;
    bool *used = heap_table(count, sizeof *used);
    drawing->ranks = heap_table(count, sizeof *drawing->ranks);
    for (size_t i = 0; i < heap_page_count(map); i++) {
        if (map->pages[i].kind == PAGE_SLOTS) {
            used[thing_of(drawing, i)] = true;
        }
    }
    for (size_t i = 1; i < count; i++) {
        if (used[i]) {
            drawing->ranks[i] = ++drawing->rank_count;
        }
    }
    free(used);
}

static const char *sign_of(const struct drawing *drawing, size_t page_idx)
{
    static char letter[2];
    const struct heap_map *map = drawing->map;
    size_t head = heap_head(map, page_idx);
    const struct heap_page *page = &map->pages[head];
    if (page->kind == PAGE_LARGE) {
        return head == page_idx ? drawing->signs->large : drawing->signs->large_more;
    }
    if (page->kind != PAGE_SLOTS) {
        return heap_is_taken(map, page_idx)   ? drawing->signs->unknown
               : heap_is_dirty(map, page_idx) ? drawing->signs->dirty
                                              : drawing->signs->clean;
    }
    if (drawing->show == SHOW_FILL) {
        return drawing->signs->fill[(heap_fill(map, page_idx) * 8 + 999) / 1000];
    }
    size_t rank = drawing->ranks[thing_of(drawing, head)];
    letter[0] = rank == 0 ? '-' : rank <= LETTERS ? letters[rank - 1] : '*';
    return letter;
}

static void segment_print(const struct drawing *drawing, size_t i)
{
    const struct heap_map *map = drawing->map;
    const struct heap_segment *segment = &map->segments[i];
    const char *colour = drawing->colour ? colours[segment->tier] : "";
    printf("%6zu  %-9s  %-8s  %s", i, heap_tier_name(segment->tier),
           heap_backing_name(segment->backing), colour);
    for (size_t page = 0; page < map->segment_pages; page++) {
        fputs(sign_of(drawing, i * map->segment_pages + page), stdout);
    }
    puts(colour[0] != '\0' ? "\033[0m" : "");
}

static void legend_print(const struct drawing *drawing)
{
    const struct signs *signs = drawing->signs;
    const struct heap_map *map = drawing->map;
    printf("\n%s free, without memory   %s free, its memory still there   %s%s a large block   "
           "%s in between\n",
           signs->clean, signs->dirty, signs->large, signs->large_more, signs->unknown);
    if (drawing->show == SHOW_FILL) {
        printf("%s to %s: how many slots of the page or span are in use, none to all\n",
               signs->fill[0], signs->fill[8]);
        return;
    }
    size_t count = drawing->show == SHOW_CLASS ? map->class_count : map->owner_count + 1;
    for (size_t i = 1; i < count; i++) {
        size_t rank = drawing->ranks[i];
        if (rank == 0 || rank > LETTERS) {
            continue;
        }
        if (drawing->show == SHOW_CLASS) {
            printf("%c class of %u bytes\n", letters[rank - 1], map->classes[i].slot_bytes);
        } else {
            printf("%c heap %zu, %s, %u pages and spans\n", letters[rank - 1], i,
                   heap_state_name(map->owners[i - 1].state), map->owners[i - 1].spans);
        }
    }
    puts(drawing->rank_count > LETTERS ? "* others" : "- none that is known");
}

static void head_print(const struct heap_map *map)
{
    uint64_t taken = 0;
    uint64_t dirty = 0;
    for (size_t i = 0; i < map->segment_count; i++) {
        const struct heap_segment *segment = &map->segments[i];
        taken += (uint64_t)__builtin_popcount(segment->taken);
        dirty += (uint64_t)__builtin_popcount(segment->dirty & ~segment->taken);
    }
    printf("hakmem map: %s (%d)%s: segments %zu, in use %s, free with memory %s, heaps %zu\n\n",
           map->program, map->process, map->hardened ? ", hardened" : "", map->segment_count,
           heap_bytes(taken * map->page_bytes).text, heap_bytes(dirty * map->page_bytes).text,
           map->owner_count);
    puts("   seg  tier       backing   32 pages of 64K");
}

void map_text(const struct heap_map *map, const char *show, bool colour)
{
    struct drawing drawing = {.map = map, .colour = colour};
    drawing.show = strcmp(show, "class") == 0   ? SHOW_CLASS
                   : strcmp(show, "owner") == 0 ? SHOW_OWNER
                                                : SHOW_FILL;
    setlocale(LC_CTYPE, "");
    drawing.signs = strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? &unicode : &ascii;
    if (drawing.show != SHOW_FILL) {
        ranks_make(&drawing);
    }
    head_print(map);
    for (size_t i = 0; i < map->segment_count; i++) {
        segment_print(&drawing, i);
    }
    legend_print(&drawing);
    free(drawing.ranks);
}
