/*
 * map.c: the command `hakmem map`, from its arguments to its exit status.
 */
#include <errno.h>
#include <string.h>

#include "heap.h"

struct map_arguments {
    const char *source, *svg, *save, *show;
    bool json;
};

static const char *const shows[] = {"fill", "class", "owner"};

/* The value behind an option. */
static const char *value_take(char ***arguments)
{
    const char *option = (*arguments)[0];
    if ((*arguments)[1] == NULL) {
        heap_complain(HEAP_WRONG_CALL, "nothing after an option (see hakmem --help)", option);
        return NULL;
    }
    return *++*arguments;
}

static bool show_is_known(const char *show)
{
    for (size_t i = 0; i < sizeof shows / sizeof shows[0]; i++) {
        if (strcmp(show, shows[i]) == 0) {
            return true;
        }
    }
    heap_complain(HEAP_WRONG_CALL, "--show takes fill, class or owner, not", show);
    return false;
}

/* False: they are wrong, and that was said. */
static bool arguments_read(char **arguments, struct map_arguments *asked)
{
    *asked = (struct map_arguments){.show = shows[0]};
    for (; arguments[0] != NULL; arguments++) {
        const char **value = strcmp(arguments[0], "--svg") == 0    ? &asked->svg
                             : strcmp(arguments[0], "--save") == 0 ? &asked->save
                             : strcmp(arguments[0], "--show") == 0 ? &asked->show
                                                                   : NULL;
        if (value != NULL) {
            *value = value_take(&arguments);
            if (*value == NULL) {
                return false;
            }
        } else if (strcmp(arguments[0], "--json") == 0) {
            asked->json = true;
        } else if (arguments[0][0] == '-') {
            heap_complain(HEAP_WRONG_CALL, "unknown option (see hakmem --help)", arguments[0]);
            return false;
        } else if (asked->source != NULL) {
            heap_complain(HEAP_WRONG_CALL, "one process or file at a time, not also", arguments[0]);
            return false;
        } else {
            asked->source = arguments[0];
        }
    }
    if (asked->source == NULL) {
        heap_complain(HEAP_WRONG_CALL, "no process and no file given (see hakmem --help)", NULL);
        return false;
    }
    return show_is_known(asked->show);
}

static int source_read(const char *source, struct heap_map *map)
{
    struct target target;
    if (strspn(source, "0123456789") != strlen(source)) {
        return heap_load(source, map);
    }
    if (heap_process(source) == 0) {
        return heap_complain(HEAP_NO_PROCESS, "there is no such process", source);
    }
    int status = target_find(&target, heap_process(source));
    if (status == 0) {
        status = target_open(&target);
    }
    return status != 0 ? status : heap_read(&target, map);
}

int map_command(char **arguments)
{
    struct map_arguments asked;
    struct heap_map map;
    heap_verb("map");
    if (!arguments_read(arguments, &asked)) {
        return HEAP_WRONG_CALL;
    }
    int status = source_read(asked.source, &map);
    if (status != 0) {
        return status;
    }
    if (asked.save != NULL) {
        status = heap_save(&map, asked.save);
    }
    if (status == 0 && asked.svg != NULL) {
        status = map_svg(&map, asked.svg);
    }
    if (status == 0 && (asked.json || (asked.save == NULL && asked.svg == NULL))) {
        if (asked.json) {
            map_json(&map);
        } else {
            map_text(&map, asked.show, heap_colour());
        }
        if (fflush(stdout) == EOF || ferror(stdout)) {
            status = heap_complain(HEAP_FAILED, "cannot write", strerror(errno));
        }
    }
    heap_map_free(&map);
    return status;
}
