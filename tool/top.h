/*
 * top: what `hakmem top` shows, and how it finds that out.
 *
 * Purpose   top_figures.c adds up a map (heap.h) or reads the live file (hak_view.h); top_text.c
 *           and top_json.c print it.
 * Errors    as in heap.h.
 */
#ifndef HAK_TOP_H
#define HAK_TOP_H

#include "heap.h"

enum { TOP_SCHEMA = 1 }; /* of the JSON; counts up when a name in it changes its meaning */

struct top_class {
    uint32_t slot_bytes, tier, span_pages;
    uint64_t spans, slots; /* pages or spans, and slots in all of them */
    uint64_t free;         /* slots that nobody has */
    uint64_t cached;       /* blocks in magazines; 0 where that is not known */
    uint64_t used;         /* slots - free - cached */
};

/* What both ways give. */
struct top_figures {
    double seconds; /* of a clock, when they were true */
    uint64_t segments, segments_huge, segments_thp;
    uint64_t taken_bytes, dirty_bytes, meta_bytes, large_blocks, large_bytes;
    uint64_t heaps, orphans, slow_paths;
    bool hardened;
    struct top_class classes[HAK_LIVE_CLASSES];
    size_t class_count;
    /* Of the system: unknown is 0. */
    uint64_t resident_bytes, hugetlb_bytes, thp_bytes;
};

struct top {
    struct target target;
    bool published; /* read from the live file, else from the process's memory: of the former,
                     * blocks in magazines are not known, of the latter, records */
    int file;
    struct hak_live live; /* what stood in it last */
    struct top_figures now, before;
    bool has_before;
};

/* Finds the process and chooses the way: its memory, which is as of now; without the rights, or if
 * `published` is asked for, the live file. */
int top_open(struct top *top, int process, bool published);

/* Removes live files of the user's processes that ended without doing so. */
void top_sweep(void);

/* New figures; the old ones become `before`. */
int top_read(struct top *top);

double top_clock(void);

/* What changed a second; 0 without figures before. */
double top_rate(const struct top *top, uint64_t now, uint64_t before);

/* At most `lines` of classes; `colour` for a terminal. Each line ends with `end`. */
void top_print_text(const struct top *top, size_t lines, bool colour, const char *end);
void top_print_json(const struct top *top);

#endif
