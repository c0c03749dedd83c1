/*
 * options.c: prints the options of the library as text, JSON, Markdown or a manual page.
 */
#include "options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front/options.h"

struct described {
    const char *name, *old_name; /* old_name may be NULL */
    const char *unit;            /* NULL: words or a text */
    const char *range;           /* as text, of numbers "MIN..MAX", of words with | between them */
    const char *otherwise;       /* the default */
    const char *help;
};

static const struct described all[] = {
#define NUMBER(field, name, old, otherwise, minimum, maximum, unit, help)                          \
    {name, old, unit, #minimum ".." #maximum, (otherwise) < (minimum) ? "automatic" : #otherwise,  \
     help},
#define WORD(field, name, otherwise, words, help) {name, NULL, NULL, words, NULL, help},
#define TEXT(name, otherwise, range, help) {name, NULL, NULL, range, otherwise, help},
    HAK_OPTIONS(NUMBER) HAK_WORD_OPTIONS(WORD) HAK_TEXT_OPTIONS(TEXT)
#undef NUMBER
#undef WORD
#undef TEXT
};

enum { COUNT = sizeof all / sizeof all[0], TEXT_BYTES = 128 };

/* Replaces each `from` in a text; `to` may be empty. */
static const char *replaced(char *copy, const char *text, const char *from, const char *to)
{
    size_t bytes = 0;
    while (*text != '\0' && bytes + strlen(to) + 1 < TEXT_BYTES) {
        if (strncmp(text, from, strlen(from)) == 0) {
            memcpy(copy + bytes, to, strlen(to));
            bytes += strlen(to);
            text += strlen(from);
        } else {
            copy[bytes++] = *text++;
        }
    }
    copy[bytes] = '\0';
    return copy;
}

/* The values that are legal, for a reader. `copy` holds TEXT_BYTES. */
static const char *range_text(const struct described *option, char *copy)
{
    if (option->unit != NULL && option->unit[0] >= '0' && option->unit[0] <= '9') {
        return option->unit;
    }
    char numbers[TEXT_BYTES];
    return replaced(copy, replaced(numbers, option->range, "..", " to "), "|", ", ");
}

/* The default; of words, the first. `copy` holds TEXT_BYTES. */
static const char *default_text(const struct described *option, char *copy)
{
    if (option->otherwise != NULL) {
        return option->otherwise;
    }
    snprintf(copy, TEXT_BYTES, "%.*s", (int)strcspn(option->range, "|"), option->range);
    return copy;
}

static void text_print(const struct described *option, const char *range, const char *otherwise)
{
    printf("%s\n    %s, default %s%s%s\n    %s\n", option->name, range, otherwise,
           option->old_name != NULL ? "; old name " : "",
           option->old_name != NULL ? option->old_name : "", option->help);
}

static void json_print(const struct described *option, const char *range, const char *otherwise)
{
    const char *set = getenv(option->name);
    char quote = option->old_name != NULL ? '"' : ' ';
    /* No text of the table holds what JSON would have to escape; a value may hold anything. */
    printf("  {\"name\": \"%s\", \"old_name\": %c%s%c, \"range\": \"%s\", \"default\": \"%s\", "
           "\"is_set\": %s, \"help\": \"%s\"}%s\n",
           option->name, quote, option->old_name != NULL ? option->old_name : "null", quote, range,
           otherwise, set != NULL ? "true" : "false", option->help,
           option == &all[COUNT - 1] ? "" : ",");
}

static void markdown_print(const struct described *option, const char *range, const char *otherwise)
{
    printf("| `%s` | %s | %s | %s%s%s | %s |\n", option->name, otherwise, range,
           option->old_name != NULL ? "`" : "", option->old_name != NULL ? option->old_name : "-",
           option->old_name != NULL ? "`" : "", option->help);
}

/* Writes a text in lines of a manual page's usual length, broken between words. */
static void man_text_print(const char *text)
{
    enum { LINE_BYTES = 76 };
    size_t column = 0;
    while (*text != '\0') {
        size_t word_bytes = strcspn(text, " ");
        if (column > 0) {
            bool fits = column + 1 + word_bytes <= LINE_BYTES;
            putchar(fits ? ' ' : '\n');
            column = fits ? column + 1 : 0;
        }
        printf("%.*s", (int)word_bytes, text);
        column += word_bytes;
        text += word_bytes;
        text += strspn(text, " ");
    }
}

static void man_print(const struct described *option, const char *range, const char *otherwise)
{
    printf(".It Ev %s\n", option->name);
    man_text_print(option->help);
    printf(".\n.br\nRange: %s.\nDefault: %s.\n", range, otherwise);
    if (option->old_name != NULL) {
        printf("Old name:\n.Ev %s .\n", option->old_name);
    }
}

static const char man_head[] =
    ".Dd November 21, 2026\n"
    ".Dt HAKMEM-OPTIONS 7\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm hakmem-options\n"
    ".Nd what the environment may choose of the allocator hakmem\n"
    ".Sh DESCRIPTION\n"
    "Each option is an environment variable that\n"
    ".Pa libhakmem.so\n"
    "reads once, when the program starts.\n"
    "A value out of range is named on standard error with its range, and the\n"
    "default is used.\n"
    ".Sh ENVIRONMENT\n"
    ".Bl -tag -width Ds\n";

static const char man_tail[] = ".El\n"
                               ".Sh POLICIES\n"
                               ".Ev HAKMEM_POLICY\n"
                               "holds statements, with\n"
                               ".Li \\&;\n"
                               "or an end of line between them, of which later ones win:\n"
                               ".Bl -tag -width Ds\n"
                               ".It Li profile Ar name\n"
                               "start from balanced (the default), low-memory, throughput or\n"
                               "huge-server; the name alone does the same.\n"
                               ".It Li class Ar sizes Li route Ar way\n"
                               "Which way blocks of one size, or of two with\n"
                               ".Li ..\n"
                               "between them, go.\n"
                               "ULTRA: through the thread's magazine.\n"
                               "MID: straight from the page.\n"
                               "LARGE, above 4096: pages of its own for each block.\n"
                               ".It Li class Ar sizes Li capacity Ar n\n"
                               "Blocks that a magazine holds: up to 1023, and up to 1 MiB;\n"
                               "0 is automatic.\n"
                               ".It Li tiny_max_class Ar n , Li smallmid Ar n\n"
                               "As the options of these names; at start only.\n"
                               ".It Li # Ar text\n"
                               "Nothing.\n"
                               ".El\n"
                               ".Pp\n"
                               "What cannot be obeyed is said on standard error with its line and\n"
                               "range, and then nothing of it is used.\n"
                               ".Sh EXAMPLES\n"
                               "Stop a program at the first misuse of its heap:\n"
                               ".Pp\n"
                               ".Dl HAKMEM_HARDEN=1 hakmem run \\-\\- PROGRAM\n"
                               ".Sh SEE ALSO\n"
                               ".Xr hakmem 1 ,\n"
                               ".Xr hakmem 3\n";

struct format {
    const char *argument; /* NULL: the default */
    const char *head, *tail;
    void (*print)(const struct described *option, const char *range, const char *otherwise);
};

static const struct format formats[] = {
    {NULL, "", "", text_print},
    {"--json", "{\"schema\": 1, \"options\": [\n", "]}\n", json_print},
    {"--markdown", "| variable | default | range | old name | meaning |\n|---|---|---|---|---|\n",
     "", markdown_print},
    {"--man", man_head, man_tail, man_print},
};

int options_print(char **arguments)
{
    const struct format *format = &formats[0];
    for (size_t i = 1; i < sizeof formats / sizeof formats[0] && arguments[0] != NULL; i++) {
        if (strcmp(arguments[0], formats[i].argument) == 0) {
            format = &formats[i];
        }
    }
    if (arguments[0] != NULL && (format == &formats[0] || arguments[1] != NULL)) {
        fprintf(stderr, "hakmem: options takes --json, --markdown or --man (see hakmem --help)\n");
        return 125;
    }
    fputs(format->head, stdout);
    for (size_t i = 0; i < COUNT; i++) {
        char range[TEXT_BYTES];
        char otherwise[TEXT_BYTES];
        format->print(&all[i], range_text(&all[i], range), default_text(&all[i], otherwise));
    }
    fputs(format->tail, stdout);
    if (ferror(stdout) || fflush(stdout) == EOF) {
        fprintf(stderr, "hakmem: cannot write: %s\n", strerror(errno));
        return 125;
    }
    return 0;
}
