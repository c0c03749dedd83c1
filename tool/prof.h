/*
 * prof: what `hakmem prof` knows of a profile.
 *
 * Purpose   prof_read.c reads what a process started with HAKMEM_PROF=1 wrote, prof_names.c finds
 *           the functions behind its addresses, prof_tree.c puts its stacks together, prof_svg.c,
 *           prof_text.c and prof_pprof.c write them. The process need not be there any more; the
 *           files that it had mapped must be, as they were.
 * Owner     a profile lives to the end of the command.
 * Errors    as in heap.h: a function that fails has said why, and returns the exit status.
 */
#ifndef HAK_TOOL_PROF_H
#define HAK_TOOL_PROF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap.h"

enum prof_value { LIVE_OBJECTS, LIVE_BYTES, ALL_OBJECTS, ALL_BYTES, PROF_VALUES };

struct prof_mapping {
    uint64_t start, end, offset;
    const char *path; /* "" if it is of no file */
    bool runs;        /* may be executed */
};

/* A function that an address is in; of those inlined into each other, the innermost first. */
struct prof_frame {
    const char *name, *file;
    int line; /* 0: not known */
};

struct prof_place {
    uint64_t address;
    const struct prof_mapping *mapping; /* NULL: none that is known */
    struct prof_frame *frames;          /* one at least, once names were found */
    size_t frame_count;
};

struct prof_stack {
    uint64_t values[PROF_VALUES];
    struct prof_place **places; /* from malloc outwards */
    size_t count;
};

struct prof {
    char program[64];
    int process;
    uint64_t mean_bytes;
    struct prof_mapping *mappings;
    struct prof_stack *stacks;
    struct prof_place **places; /* each address once, upwards */
    size_t mapping_count, stack_count, place_count;
};

/* Functions that call each other; what is below a node is among its values. */
struct prof_node {
    const char *name;
    const struct prof_mapping *mapping;
    uint64_t values[PROF_VALUES];
    uint64_t own[PROF_VALUES]; /* of stacks that end here */
    struct prof_node *first, *next;
};

int prof_read(const char *path, struct prof *prof);

/* Fills all places' frames. Where there is nothing to be found, or elfutils was not there when this
 * was built (prof_unnamed.c), a name is FILE+0xOFFSET, or the address itself. */
void prof_names(struct prof *prof);

/* That name; and a copy of a text. Both live to the end. */
const char *prof_place_name(const struct prof_place *place);
const char *prof_text_copy(const char *text);

/* The tree, from the outermost function inwards; children by that value, the largest first. */
struct prof_node *prof_tree(const struct prof *prof, enum prof_value value);

int prof_svg(const struct prof *prof, enum prof_value value, FILE *file);
int prof_pprof(const struct prof *prof, FILE *file);
void prof_collapsed(const struct prof *prof, enum prof_value value, FILE *file);
void prof_table(const struct prof *prof, enum prof_value value, FILE *file);
void prof_leaks(const struct prof *prof, FILE *file);

uint64_t prof_total(const struct prof *prof, enum prof_value value);

int prof_command(char **arguments);

#endif
