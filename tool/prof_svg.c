/*
 * prof_svg: a flame graph.
 *
 * Each box is a function; its width is what it and all that it called have allocated, and it hangs
 * below the one that called it: so one deep stack does not push all others down. Boxes of the
 * program are warm, of libraries cool. What is too narrow for its name says it when it is pointed
 * at; what is too narrow to be seen is left out.
 */
#include <inttypes.h>
#include <string.h>

#include "prof.h"

#define WIDTH 1400
#define MARGIN 10
#define HEAD 58
#define FOOT 24
#define ROW 19
#define FONT 12
#define SIGN_PIXELS 7.2 /* of a font whose signs are equally wide */
#define WIDTH_MIN 1.0
#define WIDTH_DEEP 24.0 /* boxes that wide say how many rows there are, */
#define ROWS_MORE 6     /* and some more */
#define ROWS_MIN 20

struct picture {
    FILE *file;
    enum prof_value value;
    double scale; /* pixels a unit */
    int height, rows;
    const char *program; /* the file of the program itself */
};

static const char *units(enum prof_value value)
{
    return value == LIVE_BYTES || value == ALL_BYTES ? "bytes" : "blocks";
}

/* As XML wants it. */
static void text_put(const struct picture *picture, const char *text, size_t bytes)
{
    for (; *text != '\0' && bytes > 0; text++, bytes--) {
        const char *instead = *text == '<'   ? "&lt;"
                              : *text == '>' ? "&gt;"
                              : *text == '&' ? "&amp;"
                                             : NULL;
        if (instead != NULL) {
            fputs(instead, picture->file);
        } else {
            fputc((unsigned char)*text < ' ' ? '?' : *text, picture->file);
        }
    }
}

/* By the name, so that a function looks the same everywhere. */
static void colour_put(const struct picture *picture, const struct prof_node *node)
{
    unsigned hash = 2166136261u; /* FNV-1a */
    for (const char *at = node->name; *at != '\0'; at++) {
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    }
    unsigned shade = hash >> 8 & 31, other = hash >> 16 & 31;
    if (node->mapping == NULL || strcmp(node->mapping->path, picture->program) == 0) {
        fprintf(picture->file, "rgb(%u,%u,%u)", 240 - shade / 3, 150 + shade + other, 80 + shade);
    } else {
        fprintf(picture->file, "rgb(%u,%u,%u)", 140 + shade, 190 + other, 215 + shade / 2);
    }
}

static void node_put(const struct picture *picture, const struct prof_node *node, double x,
                     int depth, uint64_t total)
{
    uint64_t value = node->values[picture->value];
    double width = (double)value * picture->scale;
    int y = HEAD + depth * ROW;
    if (width < WIDTH_MIN || depth >= picture->rows) {
        return;
    }
    fputs("<g><title>", picture->file);
    text_put(picture, node->name, SIZE_MAX);
    fprintf(picture->file, ": %" PRIu64 " %s, %.1f %%</title>", value, units(picture->value),
            100.0 * (double)value / (double)total);
    fprintf(picture->file,
            "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\" fill=\"", x, y,
            width > 1 ? width - 0.5 : width, ROW - 1);
    colour_put(picture, node);
    fputs("\"/>", picture->file);
    size_t signs = (size_t)((width - 6) / SIGN_PIXELS * (width > 6));
    size_t bytes = strlen(node->name);
    if (signs >= 3) {
        fprintf(picture->file, "<text x=\"%.1f\" y=\"%d\">", x + 3, y + ROW - 6);
        text_put(picture, node->name, bytes <= signs ? bytes : signs - 2);
        fprintf(picture->file, "%s</text>", bytes <= signs ? "" : "..");
    }
    fputs("</g>\n", picture->file);
    for (const struct prof_node *at = node->first; at != NULL; at = at->next) {
        node_put(picture, at, x, depth + 1, total);
        x += (double)at->values[picture->value] * picture->scale;
    }
}

/* Rows of wide boxes. */
static int depth_of(const struct picture *picture, const struct prof_node *node)
{
    int deepest = 0;
    for (const struct prof_node *at = node->first; at != NULL; at = at->next) {
        if ((double)at->values[picture->value] * picture->scale >= WIDTH_DEEP) {
            int depth = depth_of(picture, at) + 1;
            deepest = depth > deepest ? depth : deepest;
        }
    }
    return deepest;
}

static void head_put(const struct picture *picture, const struct prof *prof, uint64_t total)
{
    fprintf(picture->file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "viewBox=\"0 0 %d %d\" font-family=\"DejaVu Sans Mono, Consolas, monospace\" "
            "font-size=\"%d\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
            WIDTH, picture->height, WIDTH, picture->height, FONT);
    fprintf(picture->file, "<text x=\"%d\" y=\"24\" font-size=\"17\">", MARGIN);
    text_put(picture, prof->program, SIZE_MAX);
    fprintf(picture->file, ", process %d: %s%s %s</text>\n", prof->process, heap_bytes(total).text,
            strcmp(units(picture->value), "bytes") == 0 ? "" : " blocks",
            picture->value <= LIVE_BYTES ? "live" : "allocated in all");
    fprintf(picture->file,
            "<text x=\"%d\" y=\"44\" fill=\"#555\">estimated from a sample each %s bytes; each "
            "function hangs below its caller; warm: the program, cool: libraries</text>\n",
            MARGIN, heap_bytes(prof->mean_bytes).text);
}

int prof_svg(const struct prof *prof, enum prof_value value, FILE *file)
{
    const struct prof_node *root = prof_tree(prof, value);
    uint64_t total = root->values[value];
    struct picture picture = {
        .file = file,
        .value = value,
        .scale = (double)(WIDTH - 2 * MARGIN) / (double)(total != 0 ? total : 1),
        .program = "",
    };
    for (size_t i = 0; i < prof->mapping_count && picture.program[0] == '\0'; i++) {
        picture.program = prof->mappings[i].path; /* the program is mapped lowest */
    }
    picture.rows = depth_of(&picture, root) + 1 + ROWS_MORE;
    picture.rows = picture.rows < ROWS_MIN ? ROWS_MIN : picture.rows;
    picture.height = HEAD + FOOT + ROW * picture.rows;
    head_put(&picture, prof, total);
    if (total != 0) {
        node_put(&picture, root, MARGIN, 0, total);
    }
    fprintf(file,
            "<text x=\"%d\" y=\"%d\" fill=\"#555\">narrow boxes, and narrow stacks further down, "
            "are left out: hakmem prof --collapsed has all</text>\n</svg>\n",
            MARGIN, picture.height - 8);
    return 0;
}
