/*
 * map_svg.c: a map as a picture.
 *
 * A row is a segment, 32 cells are its pages. A span is a box; the part of it that is in use is
 * coloured from the bottom up. Tiers differ in colour (palette of Okabe and Ito), in texture, and
 * by the name before the row. Where there is room, a box bears its class and the number of its
 * heap; up to 512 segments each says more when it is pointed at.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "heap.h"

#define SEGMENTS_MAX ((size_t)3072) /* that are drawn */
#define TITLE_SEGMENTS_MAX ((size_t)512)
#define HEAD_PIXELS 128
#define MARGIN_PIXELS 24
#define TABLE_PIXELS 330
#define TABLE_LINES ((size_t)24)
#define CLASSES_MAX 256

/* By the number of segments. */
static const struct scale {
    size_t segments, columns;
    unsigned cell_width, cell_height, label_pixels, font_pixels, gap_pixels;
    bool has_text;
} scales[] = {
    {48, 1, 30, 26, 150, 12, 4, true},
    {128, 2, 24, 22, 118, 11, 3, true},
    {512, 2, 14, 9, 92, 9, 1, false},
    {SEGMENTS_MAX, 4, 6, 4, 34, 7, 0, false},
};

static const struct {
    const char *solid, *pale, *texture;
} looks[TIER_COUNT] = {
    {"#ffffff", "#ffffff", NULL},
    {"#56b4e9", "#e3f2fc", NULL},
    {"#e69f00", "#fcefd3", "M-1,1 l2,-2 M0,6 l6,-6 M5,7 l2,-2"},
    {"#009e73", "#d3efe6", "M0,2 h6 M0,5 h6"},
    {"#cc79a7", "#f6e4ee", "M0,0 l6,6 M6,0 l-6,6"},
};

struct picture {
    FILE *file;
    const struct heap_map *map;
    const struct scale *scale;
    size_t segments, rows; /* that are drawn; in a column */
    unsigned column_width, row_height, width, height;
};

static unsigned column_x(const struct picture *picture, size_t segment)
{
    return MARGIN_PIXELS +
           (unsigned)(segment / picture->rows) * (picture->column_width + MARGIN_PIXELS);
}

static unsigned row_y(const struct picture *picture, size_t segment)
{
    return HEAD_PIXELS + (unsigned)(segment % picture->rows) * picture->row_height;
}

static void text_put(const struct picture *picture, unsigned x, unsigned y, unsigned size,
                     const char *more, const char *text)
{
    fprintf(picture->file, "<text x=\"%u\" y=\"%u\" font-size=\"%u\"%s>%s</text>\n", x, y, size,
            more, text);
}

/* A box of `tier`, filled from the bottom up to so many thousandths. */
static void box_put(const struct picture *picture, unsigned x, unsigned y, unsigned width,
                    unsigned height, uint32_t tier, unsigned fill)
{
    unsigned full = (height * fill + 999) / 1000;
    fprintf(picture->file, "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"%s\"/>\n", x,
            y, width, height, looks[tier].pale);
    fprintf(picture->file, "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"%s\"/>\n", x,
            y + height - full, width, full, looks[tier].solid);
    if (looks[tier].texture != NULL) {
        fprintf(picture->file,
                "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"url(#tier%u)\"/>\n", x,
                y + height - full, width, full, tier);
    }
    fprintf(picture->file,
            "<rect x=\"%u.5\" y=\"%u.5\" width=\"%u\" height=\"%u\" fill=\"none\" "
            "stroke=\"#555\" stroke-width=\"%s\"/>\n",
            x, y, width - 1, height - 1, picture->scale->cell_height > 4 ? "1" : "0.4");
}

/* What a box says when it is pointed at. */
static void title_put(const struct picture *picture, size_t head)
{
    const struct heap_map *map = picture->map;
    const struct heap_page *page = &map->pages[head];
    uint64_t address = map->base + (uint64_t)head * map->page_bytes;
    if (picture->map->segment_count > TITLE_SEGMENTS_MAX) {
        return;
    }
    fprintf(picture->file, "<title>page %zu at 0x%" PRIx64 ": ", head, address);
    if (page->kind == PAGE_LARGE) {
        fprintf(picture->file, "large block, %s</title>\n",
                heap_bytes((uint64_t)page->span_pages * map->page_bytes).text);
        return;
    }
    const struct heap_class *class = &map->classes[page->class_idx];
    fprintf(picture->file, "class of %" PRIu32 " bytes, %" PRIu32 " of %" PRIu32 " slots in use",
            class->slot_bytes, page->used, class->slots);
    if (page->owner != 0) {
        fprintf(picture->file, ", heap %u (%s)", page->owner,
                heap_state_name(map->owners[page->owner - 1].state));
    }
    fputs("</title>\n", picture->file);
}

static void label_put(const struct picture *picture, unsigned x, unsigned y, unsigned width,
                      size_t head)
{
    const struct heap_map *map = picture->map;
    const struct heap_page *page = &map->pages[head];
    char owner[16] = "";
    if (!picture->scale->has_text) {
        return;
    }
    struct heap_text size =
        heap_bytes(page->kind == PAGE_LARGE ? (uint64_t)page->span_pages * map->page_bytes
                                            : map->classes[page->class_idx].slot_bytes);
    if (page->owner != 0) {
        snprintf(owner, sizeof owner, "h%u", page->owner);
    }
    unsigned font = picture->scale->cell_height / 2 - 3;
    const char *more = " text-anchor=\"middle\" class=\"in\"";
    text_put(picture, x + width / 2, y + font + 1, font, more, size.text);
    text_put(picture, x + width / 2, y + 2 * font + 3, font, more, owner);
}

/* A span, or the part of it that lies in this segment; returns how many pages that is. */
static size_t span_put(const struct picture *picture, size_t segment, size_t page_idx, size_t head)
{
    const struct heap_map *map = picture->map;
    const struct heap_page *page = &map->pages[head];
    const struct scale *scale = picture->scale;
    size_t first = page_idx % map->segment_pages;
    size_t count = head + page->span_pages - page_idx;
    count = count < map->segment_pages - first ? count : map->segment_pages - first;
    unsigned x =
        column_x(picture, segment) + scale->label_pixels + (unsigned)first * scale->cell_width;
    unsigned y = row_y(picture, segment);
    unsigned width = (unsigned)count * scale->cell_width;
    uint32_t tier = page->kind == PAGE_LARGE ? TIER_LARGE : map->classes[page->class_idx].tier;
    fputs("<g>", picture->file);
    title_put(picture, head);
    box_put(picture, x, y, width, scale->cell_height, tier, heap_fill(map, page_idx));
    label_put(picture, x, y, width, head);
    fputs("</g>\n", picture->file);
    return count;
}

/* Free pages in a row that are alike; returns how many. */
static size_t free_put(const struct picture *picture, size_t segment, size_t page_idx)
{
    const struct heap_map *map = picture->map;
    const struct scale *scale = picture->scale;
    bool taken = heap_is_taken(map, page_idx);
    bool dirty = heap_is_dirty(map, page_idx);
    size_t first = page_idx % map->segment_pages;
    size_t count = 1;
    while (first + count < map->segment_pages &&
           heap_head(map, page_idx + count) == page_idx + count &&
           map->pages[page_idx + count].kind % PAGE_MORE == PAGE_NONE &&
           heap_is_taken(map, page_idx + count) == taken &&
           heap_is_dirty(map, page_idx + count) == dirty) {
        count++;
    }
    unsigned x =
        column_x(picture, segment) + scale->label_pixels + (unsigned)first * scale->cell_width;
    fprintf(picture->file,
            "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"%s\" stroke=\"#ccc\" "
            "stroke-width=\"0.5\"/>\n",
            x, row_y(picture, segment), (unsigned)count * scale->cell_width, scale->cell_height,
            taken   ? "#999"
            : dirty ? "url(#dirty)"
                    : "#ffffff");
    return count;
}

/* Before the row: its number and tier, a bar for huge pages, and their kind. */
static void row_head_put(const struct picture *picture, size_t i)
{
    static const char *const marks[BACKED_COUNT] = {"", "THP", "huge", "1G"};
    static const char *const bars[BACKED_COUNT] = {"none", "url(#thp)", "#000", "#000"};
    const struct scale *scale = picture->scale;
    const struct heap_segment *segment = &picture->map->segments[i];
    unsigned x = column_x(picture, i);
    unsigned y = row_y(picture, i);
    unsigned baseline = y + scale->cell_height / 2 + scale->font_pixels / 3;
    char label[64];
    if (scale->cell_height >= scale->font_pixels) {
        snprintf(label, sizeof label, "%zu %s", i, heap_tier_name(segment->tier));
        text_put(picture, x, baseline, scale->font_pixels, "", label);
        text_put(picture, x + scale->label_pixels - 10, baseline, scale->font_pixels - 1,
                 " text-anchor=\"end\" font-weight=\"bold\"", marks[segment->backing]);
    } else if (i % 16 == 0) {
        snprintf(label, sizeof label, "%zu", i);
        text_put(picture, x, y + scale->font_pixels - 1, scale->font_pixels, "", label);
    }
    if (segment->backing != BACKED_SMALL) {
        fprintf(picture->file, "<rect x=\"%u\" y=\"%u\" width=\"5\" height=\"%u\" fill=\"%s\"/>\n",
                x + scale->label_pixels - 7, y, scale->cell_height, bars[segment->backing]);
    }
}

static void segment_put(const struct picture *picture, size_t i)
{
    const struct heap_map *map = picture->map;
    row_head_put(picture, i);
    for (size_t page = 0; page < map->segment_pages;) {
        size_t page_idx = i * map->segment_pages + page;
        size_t head = heap_head(map, page_idx);
        enum heap_page_kind kind = map->pages[head].kind;
        page += kind == PAGE_SLOTS || kind == PAGE_LARGE ? span_put(picture, i, page_idx, head)
                                                         : free_put(picture, i, page_idx);
    }
}

/* ---- what stands around it ---- */

static void patterns_put(FILE *file)
{
    fputs("<defs>\n", file);
    for (uint32_t tier = TIER_TINY; tier < TIER_COUNT; tier++) {
        if (looks[tier].texture != NULL) {
            fprintf(file,
                    "<pattern id=\"tier%" PRIu32 "\" width=\"6\" height=\"6\" "
                    "patternUnits=\"userSpaceOnUse\"><path d=\"%s\" stroke=\"#fff\" "
                    "stroke-opacity=\"0.55\"/></pattern>\n",
                    tier, looks[tier].texture);
        }
    }
    fputs("<pattern id=\"dirty\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\">"
          "<rect width=\"4\" height=\"4\" fill=\"#ececec\"/><circle cx=\"2\" cy=\"2\" r=\"0.9\" "
          "fill=\"#777\"/></pattern>\n"
          "<pattern id=\"thp\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\">"
          "<rect width=\"4\" height=\"2\" fill=\"#555\"/></pattern>\n"
          "<style>text{font-family:sans-serif;fill:#111}"
          ".in{stroke:#fff;stroke-width:2.5px;paint-order:stroke;stroke-linejoin:round}"
          "</style>\n</defs>\n",
          file);
}

static void title_line_put(const struct picture *picture)
{
    const struct heap_map *map = picture->map;
    uint64_t taken = 0;
    uint64_t dirty = 0;
    char text[256];
    char when[64] = "";
    time_t seconds = (time_t)map->time;
    struct tm parts;
    if (gmtime_r(&seconds, &parts) != NULL) {
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &parts);
    }
    for (size_t i = 0; i < map->segment_count; i++) {
        const struct heap_segment *segment = &map->segments[i];
        taken += (uint64_t)__builtin_popcount(segment->taken);
        dirty += (uint64_t)__builtin_popcount(segment->dirty & ~segment->taken);
    }
    snprintf(text, sizeof text, "Heap of %s, process %d%s", map->program, map->process,
             map->hardened ? ", hardened" : "");
    text_put(picture, MARGIN_PIXELS, 32, 20, " font-weight=\"bold\"", text);
    snprintf(text, sizeof text,
             "%s. Segments of 2 MiB: %zu; pages in use: %s; free, but their memory is still there: "
             "%s; heaps: %zu.",
             when, map->segment_count, heap_bytes(taken * map->page_bytes).text,
             heap_bytes(dirty * map->page_bytes).text, map->owner_count);
    text_put(picture, MARGIN_PIXELS, 54, 13, "", text);
    snprintf(text, sizeof text, "A row is a segment, a cell a page of 64 KiB.%s%s",
             picture->scale->has_text ? " In a box: bytes of a slot, and the heap that owns it."
                                      : "",
             picture->segments < map->segment_count ? " The last segments are not drawn." : "");
    text_put(picture, MARGIN_PIXELS, 74, 13, "", text);
}

static unsigned legend_box_put(const struct picture *picture, unsigned x, const char *fill,
                               const char *text)
{
    fprintf(picture->file,
            "<rect x=\"%u.5\" y=\"90.5\" width=\"30\" height=\"18\" fill=\"%s\" "
            "stroke=\"#999\"/>\n",
            x, fill);
    text_put(picture, x + 38, 104, 13, "", text);
    return x + 54 + (unsigned)strlen(text) * 7;
}

static void legend_put(const struct picture *picture)
{
    unsigned x = MARGIN_PIXELS;
    for (uint32_t tier = TIER_TINY; tier < TIER_COUNT; tier++) {
        const char *name = heap_tier_name(tier);
        box_put(picture, x, 90, 30, 18, tier, tier == TIER_LARGE ? 1000 : 600);
        text_put(picture, x + 38, 104, 13, "", name);
        x += 58 + (unsigned)strlen(name) * 7;
    }
    text_put(picture, x - 12, 104, 13, "", "(filled as far as in use)");
    x = legend_box_put(picture, x + 150, "#ffffff", "free, without memory");
    x = legend_box_put(picture, x, "url(#dirty)", "free, with memory");
    x = legend_box_put(picture, x, "#999", "in between");
    text_put(picture, x, 104, 13, "", "Bar before a row: huge pages; striped: THP asked for");
}

static unsigned table_line_put(const struct picture *picture, unsigned y, const char *first,
                               const char *second)
{
    unsigned x = picture->width - TABLE_PIXELS;
    text_put(picture, x + 70, y, 12, " text-anchor=\"end\"", first);
    text_put(picture, x + 82, y, 12, "", second);
    return y + 16;
}

/* What the pages of a class hold. */
struct class_sum {
    uint64_t spans, used, used_bytes;
};

/* Returns how many classes have pages. */
static size_t classes_sum(const struct heap_map *map, struct class_sum sums[CLASSES_MAX])
{
    size_t count = 0;
    memset(sums, 0, CLASSES_MAX * sizeof *sums);
    for (size_t i = 0; i < heap_page_count(map); i++) {
        const struct heap_page *page = &map->pages[i];
        if (page->kind == PAGE_SLOTS) {
            struct class_sum *sum = &sums[page->class_idx];
            count += sum->spans == 0;
            sum->spans++;
            sum->used += page->used;
            sum->used_bytes += (uint64_t)page->used * map->classes[page->class_idx].slot_bytes;
        }
    }
    return count;
}

/* Those with the most bytes in use first. */
static unsigned classes_table_put(const struct picture *picture, unsigned y)
{
    const struct heap_map *map = picture->map;
    struct class_sum sums[CLASSES_MAX];
    char text[128];
    size_t count = classes_sum(map, sums);
    y = table_line_put(picture, y, "class", "pages or spans, slots in use");
    for (size_t line = 0; line < count && line < TABLE_LINES; line++) {
        size_t best = 0;
        for (size_t i = 1; i < CLASSES_MAX; i++) {
            if (sums[i].spans != 0 &&
                (sums[best].spans == 0 || sums[i].used_bytes > sums[best].used_bytes)) {
                best = i;
            }
        }
        uint64_t slots = sums[best].spans * map->classes[best].slots;
        snprintf(text, sizeof text, "%" PRIu64 ", %" PRIu64 " of %" PRIu64 " (%" PRIu64 " %%)",
                 sums[best].spans, sums[best].used, slots,
                 slots == 0 ? 0 : sums[best].used * 100 / slots);
        y = table_line_put(picture, y, heap_bytes(map->classes[best].slot_bytes).text, text);
        sums[best].spans = 0;
    }
    return count > TABLE_LINES ? table_line_put(picture, y, "...", "and more") : y;
}

static unsigned owners_table_put(const struct picture *picture, unsigned y)
{
    const struct heap_map *map = picture->map;
    size_t lines = 0;
    char name[32];
    char text[128];
    y = table_line_put(picture, y, "heap", "pages and spans");
    for (size_t i = 0; i < map->owner_count; i++) {
        if (lines++ < TABLE_LINES) {
            snprintf(name, sizeof name, "h%zu", i + 1);
            snprintf(text, sizeof text, "%" PRIu32 ", %s", map->owners[i].spans,
                     heap_state_name(map->owners[i].state));
            y = table_line_put(picture, y, name, text);
        }
    }
    return lines > TABLE_LINES ? table_line_put(picture, y, "...", "and more") : y;
}

/* ---- the whole ---- */

static void picture_measure(struct picture *picture, const struct heap_map *map)
{
    const size_t last = sizeof scales / sizeof scales[0] - 1;
    picture->map = map;
    picture->scale = &scales[0];
    while (map->segment_count > picture->scale->segments && picture->scale < &scales[last]) {
        picture->scale++;
    }
    const struct scale *scale = picture->scale;
    picture->segments = map->segment_count < scale->segments ? map->segment_count : scale->segments;
    picture->rows = (picture->segments + scale->columns - 1) / scale->columns;
    picture->rows = picture->rows == 0 ? 1 : picture->rows;
    picture->column_width = scale->label_pixels + (unsigned)map->segment_pages * scale->cell_width;
    picture->row_height = scale->cell_height + scale->gap_pixels;
    picture->width = MARGIN_PIXELS +
                     (unsigned)scale->columns * (picture->column_width + MARGIN_PIXELS) +
                     TABLE_PIXELS;
    unsigned map_height = (unsigned)picture->rows * picture->row_height;
    struct class_sum sums[CLASSES_MAX];
    size_t classes = classes_sum(map, sums);
    unsigned lines = 6 + (unsigned)(classes < TABLE_LINES ? classes : TABLE_LINES) +
                     (unsigned)(map->owner_count < TABLE_LINES ? map->owner_count : TABLE_LINES);
    picture->height =
        HEAD_PIXELS + MARGIN_PIXELS + (map_height > lines * 16 ? map_height : lines * 16);
}

static void picture_put(const struct picture *picture)
{
    fprintf(picture->file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
            "viewBox=\"0 0 %u %u\">\n<title>Heap of %s, process %d</title>\n",
            picture->width, picture->height, picture->width, picture->height, picture->map->program,
            picture->map->process);
    patterns_put(picture->file);
    fprintf(picture->file, "<rect width=\"%u\" height=\"%u\" fill=\"#ffffff\"/>\n", picture->width,
            picture->height);
    title_line_put(picture);
    legend_put(picture);
    for (size_t i = 0; i < picture->segments; i++) {
        segment_put(picture, i);
    }
    (void)owners_table_put(picture, classes_table_put(picture, HEAD_PIXELS + 12) + 16);
    fputs("</svg>\n", picture->file);
}

int map_svg(const struct heap_map *map, const char *path)
{
    struct picture picture;
    picture_measure(&picture, map);
    picture.file = fopen(path, "we");
    if (picture.file == NULL) {
        return heap_complain(HEAP_FAILED, path, strerror(errno));
    }
    picture_put(&picture);
    bool failed = ferror(picture.file) != 0;
    if (fclose(picture.file) != 0 || failed) {
        return heap_complain(HEAP_FAILED, "cannot write", path);
    }
    return 0;
}
