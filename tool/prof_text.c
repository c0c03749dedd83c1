/*
 * prof_text: a profile as text: collapsed stacks, a table of functions, what was not freed.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "prof.h"

#define TABLE_LINES ((size_t)20)
#define LEAK_STACKS ((size_t)20)
#define LEAK_FRAMES 24

/* ---- collapsed ---- */

/* "outer;inner VALUE", as the scripts of flame graphs read it. */
static void node_collapse(const struct prof_node *node, enum prof_value value, char *path,
                          size_t bytes, size_t room, FILE *file)
{
    if (node->own[value] != 0) {
        fprintf(file, "%s %" PRIu64 "\n", path, node->own[value]);
    }
    for (const struct prof_node *at = node->first; at != NULL; at = at->next) {
        int more = snprintf(path + bytes, room - bytes, "%s%s", bytes == 0 ? "" : ";", at->name);
        size_t length = bytes + (more < 0 ? 0 : (size_t)more);
        if (length >= room) {
            continue; /* no stack of 128 frames is that long */
        }
        for (char *sign = path + bytes + (bytes != 0); *sign != '\0'; sign++) {
            *sign = *sign == ';' ? ':' : *sign;
        }
        node_collapse(at, value, path, length, room, file);
        path[bytes] = '\0';
    }
}

void prof_collapsed(const struct prof *prof, enum prof_value value, FILE *file)
{
    size_t room = (size_t)1 << 20;
    char *path = heap_table(room, 1);
    node_collapse(prof_tree(prof, value), value, path, 0, room, file);
    free(path);
}

/* ---- functions ---- */

struct row {
    const char *name;
    uint64_t own, all;
};

struct table {
    struct row *rows;
    size_t count, room;
};

static struct row *row_find(struct table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->rows[i].name, name) == 0) {
            return &table->rows[i];
        }
    }
    if (table->count == table->room) {
        table->room = table->room * 2 + 64;
        struct row *grown = heap_table(table->room, sizeof *grown);
        memcpy(grown, table->rows, table->count * sizeof *grown);
        free(table->rows);
        table->rows = grown;
    }
    table->rows[table->count].name = name;
    return &table->rows[table->count++];
}

/* A function that calls itself counts once. */
static void node_tabulate(struct table *table, const struct prof_node *node,
                          const struct prof_node **above, size_t depth, enum prof_value value)
{
    bool again = false;
    for (size_t i = 0; i < depth; i++) {
        again = again || strcmp(above[i]->name, node->name) == 0;
    }
    struct row *row = row_find(table, node->name);
    row->own += node->own[value];
    row->all += again ? 0 : node->values[value];
    above[depth] = node;
    for (const struct prof_node *at = node->first; at != NULL; at = at->next) {
        node_tabulate(table, at, above, depth + 1, value);
    }
}

static int row_compare(const void *a, const void *b)
{
    const struct row *left = a, *right = b;
    uint64_t one = left->own != right->own ? left->own : left->all;
    uint64_t other = left->own != right->own ? right->own : right->all;
    return one > other ? -1 : one < other;
}

static size_t depth_max(const struct prof_node *node)
{
    size_t deepest = 0;
    for (const struct prof_node *at = node->first; at != NULL; at = at->next) {
        size_t depth = depth_max(at) + 1;
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest;
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

void prof_table(const struct prof *prof, enum prof_value value, FILE *file)
{
    bool in_bytes = value == LIVE_BYTES || value == ALL_BYTES;
    bool all = value == ALL_BYTES || value == ALL_OBJECTS;
    const struct prof_node *root = prof_tree(prof, value);
    const struct prof_node **above = heap_table(depth_max(root) + 1, sizeof *above);
    struct table table = {.rows = NULL};
    uint64_t total = root->values[value];
    for (const struct prof_node *at = root->first; at != NULL; at = at->next) {
        node_tabulate(&table, at, above, 0, value);
    }
    qsort(table.rows, table.count, sizeof *table.rows, row_compare);
    fprintf(file, "%s, process %d: about %" PRIu64 " %s %s; a sample each %" PRIu64 " bytes\n",
            prof->program, prof->process, total, in_bytes ? "bytes" : "blocks",
            all ? "allocated in all" : "live", prof->mean_bytes);
    fprintf(file, "%10s %6s  %10s %6s  %s\n", "itself", "", "with below", "", "function");
    for (size_t i = 0; i < table.count && i < TABLE_LINES; i++) {
        const struct row *row = &table.rows[i];
        fprintf(file, "%10s %5.1f%%  %10s %5.1f%%  %s\n", heap_bytes(row->own).text,
                percent(row->own, total), heap_bytes(row->all).text, percent(row->all, total),
                row->name);
    }
    free(table.rows);
    free(above);
}

/* ---- leaks ---- */

static int leak_compare(const void *a, const void *b)
{
    const struct prof_stack *left = *(const struct prof_stack *const *)a;
    const struct prof_stack *right = *(const struct prof_stack *const *)b;
    return left->values[LIVE_BYTES] > right->values[LIVE_BYTES]
               ? -1
               : left->values[LIVE_BYTES] < right->values[LIVE_BYTES];
}

static void leak_put(const struct prof_stack *stack, FILE *file)
{
    size_t lines = 0;
    fprintf(file, "\nabout %" PRIu64 " bytes in %" PRIu64 " blocks\n", stack->values[LIVE_BYTES],
            stack->values[LIVE_OBJECTS]);
    for (size_t i = 0; i < stack->count; i++) {
        for (size_t j = 0; j < stack->places[i]->frame_count && lines < LEAK_FRAMES; j++, lines++) {
            const struct prof_frame *frame = &stack->places[i]->frames[j];
            fprintf(file, "    %s", frame->name);
            if (frame->line != 0) {
                fprintf(file, "  %s:%d", frame->file, frame->line);
            }
            fputc('\n', file);
        }
    }
}

void prof_leaks(const struct prof *prof, FILE *file)
{
    const struct prof_stack **leaks = heap_table(prof->stack_count, sizeof *leaks);
    size_t count = 0;
    for (size_t i = 0; i < prof->stack_count; i++) {
        if (prof->stacks[i].values[LIVE_BYTES] != 0) {
            leaks[count++] = &prof->stacks[i];
        }
    }
    qsort(leaks, count, sizeof *leaks, leak_compare);
    fprintf(file,
            "%s, process %d: about %" PRIu64 " bytes in %" PRIu64
            " blocks were not freed, by %zu stacks; estimates from a sample each %" PRIu64
            " bytes\n",
            prof->program, prof->process, prof_total(prof, LIVE_BYTES),
            prof_total(prof, LIVE_OBJECTS), count, prof->mean_bytes);
    for (size_t i = 0; i < count && i < LEAK_STACKS; i++) {
        leak_put(leaks[i], file);
    }
    if (count > LEAK_STACKS) {
        fprintf(file, "\nand %zu stacks more\n", count - LEAK_STACKS);
    }
    free(leaks);
}
