/*
 * prof: the command `hakmem prof`, from its arguments to its exit status.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "prof.h"

enum form { FORM_GRAPH, FORM_COLLAPSED, FORM_PPROF, FORM_LEAKS, FORM_TABLE };

struct prof_arguments {
    const char *source, *output;
    enum form form;
    bool all, objects;
};

/* False: they are wrong, and that was said. */
static bool arguments_read(char **arguments, struct prof_arguments *asked)
{
    static const struct {
        const char *name;
        enum form form;
    } forms[] = {{"--svg", FORM_GRAPH},
                 {"--collapsed", FORM_COLLAPSED},
                 {"--pprof", FORM_PPROF},
                 {"--leaks", FORM_LEAKS},
                 {"--table", FORM_TABLE}};
    *asked = (struct prof_arguments){.form = FORM_GRAPH};
    for (; arguments[0] != NULL; arguments++) {
        size_t i = 0;
        while (i < sizeof forms / sizeof forms[0] && strcmp(arguments[0], forms[i].name) != 0) {
            i++;
        }
        if (i < sizeof forms / sizeof forms[0]) {
            asked->form = forms[i].form;
        } else if (strcmp(arguments[0], "--allocated") == 0) {
            asked->all = true;
        } else if (strcmp(arguments[0], "--objects") == 0) {
            asked->objects = true;
        } else if (strcmp(arguments[0], "-o") == 0 && arguments[1] != NULL) {
            asked->output = *++arguments;
        } else if (arguments[0][0] == '-' || asked->source != NULL) {
            heap_complain(HEAP_WRONG_CALL,
                          arguments[0][0] == '-' ? "unknown option (see hakmem --help)"
                                                 : "one file at a time, not also",
                          arguments[0]);
            return false;
        } else {
            asked->source = arguments[0];
        }
    }
    if (asked->source == NULL) {
        heap_complain(HEAP_WRONG_CALL, "no file given (see hakmem --help)", NULL);
    }
    return asked->source != NULL;
}

static int form_write(const struct prof *prof, const struct prof_arguments *asked, FILE *file)
{
    enum prof_value value = asked->all ? (asked->objects ? ALL_OBJECTS : ALL_BYTES)
                                       : (asked->objects ? LIVE_OBJECTS : LIVE_BYTES);
    switch (asked->form) {
    case FORM_GRAPH:
        return prof_svg(prof, value, file);
    case FORM_PPROF:
        return prof_pprof(prof, file);
    case FORM_COLLAPSED:
        prof_collapsed(prof, value, file);
        break;
    case FORM_LEAKS:
        prof_leaks(prof, file);
        break;
    case FORM_TABLE:
        prof_table(prof, value, file);
        break;
    }
    return 0;
}

/* To a file, or to standard output if that is "-" or NULL. */
static int output_write(const struct prof *prof, const struct prof_arguments *asked,
                        const char *output)
{
    bool to_file = output != NULL && strcmp(output, "-") != 0;
    FILE *file = to_file ? fopen(output, "we") : stdout;
    if (file == NULL) {
        return heap_complain(HEAP_FAILED, output, strerror(errno));
    }
    int status = form_write(prof, asked, file);
    bool failed = fflush(file) == EOF || ferror(file) != 0;
    failed = (to_file && fclose(file) == EOF) || failed;
    return status == 0 && failed
               ? heap_complain(HEAP_FAILED, to_file ? output : "cannot write", strerror(errno))
               : status;
}

int prof_command(char **arguments)
{
    struct prof_arguments asked;
    struct prof prof;
    heap_verb("prof");
    if (!arguments_read(arguments, &asked)) {
        return HEAP_WRONG_CALL;
    }
    if (asked.form == FORM_PPROF && asked.output == NULL && isatty(STDOUT_FILENO)) {
        return heap_complain(HEAP_WRONG_CALL, "this is no text: name a file by -o, or redirect",
                             NULL);
    }
    int status = prof_read(asked.source, &prof);
    if (status != 0) {
        return status;
    }
    prof_names(&prof);
    if (asked.form != FORM_GRAPH || asked.output != NULL) {
        return output_write(&prof, &asked, asked.output);
    }
    char *path = heap_table(strlen(asked.source) + sizeof ".svg", 1);
    strcat(strcpy(path, asked.source), ".svg");
    status = output_write(&prof, &asked, path);
    if (status == 0) {
        asked.form = FORM_TABLE;
        status = output_write(&prof, &asked, NULL);
        printf("flame graph: %s\n", path);
    }
    free(path);
    return status;
}
