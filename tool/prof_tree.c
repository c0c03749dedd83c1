/*
 * prof_tree: stacks that begin alike, put together.
 */
#include <stdlib.h>
#include <string.h>

#include "prof.h"

uint64_t prof_total(const struct prof *prof, enum prof_value value)
{
    uint64_t total = 0;
    for (size_t i = 0; i < prof->stack_count; i++) {
        total += prof->stacks[i].values[value];
    }
    return total;
}

static void values_add(uint64_t *to, const uint64_t *from)
{
    for (size_t i = 0; i < PROF_VALUES; i++) {
        to[i] += from[i];
    }
}

/* The child of that name, made if need be, in its place by name. */
static struct prof_node *child_find(struct prof_node *node, const char *name,
                                    const struct prof_mapping *mapping)
{
    struct prof_node **at = &node->first;
    while (*at != NULL && strcmp((*at)->name, name) < 0) {
        at = &(*at)->next;
    }
    if (*at == NULL || strcmp((*at)->name, name) != 0) {
        struct prof_node *new = heap_table(1, sizeof *new);
        *new = (struct prof_node){.name = name, .mapping = mapping, .next = *at};
        *at = new;
    }
    return *at;
}

/* By value, the largest first. */
static void children_order(struct prof_node *node, enum prof_value value)
{
    struct prof_node *ordered = NULL, *at = node->first;
    while (at != NULL) {
        struct prof_node *rest = at->next;
        struct prof_node **place = &ordered;
        while (*place != NULL && (*place)->values[value] >= at->values[value]) {
            place = &(*place)->next;
        }
        at->next = *place;
        *place = at;
        children_order(at, value);
        at = rest;
    }
    node->first = ordered;
}

struct prof_node *prof_tree(const struct prof *prof, enum prof_value value)
{
    struct prof_node *root = heap_table(1, sizeof *root);
    root->name = "all";
    for (size_t i = 0; i < prof->stack_count; i++) {
        const struct prof_stack *stack = &prof->stacks[i];
        struct prof_node *node = root;
        values_add(node->values, stack->values);
        for (size_t j = stack->count; j-- > 0;) {
            const struct prof_place *place = stack->places[j];
            for (size_t k = place->frame_count; k-- > 0;) {
                node = child_find(node, place->frames[k].name, place->mapping);
                values_add(node->values, stack->values);
            }
        }
        values_add(node->own, stack->values);
    }
    children_order(root, value);
    return root;
}
