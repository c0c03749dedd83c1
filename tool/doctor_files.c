/*
 * doctor_files.c: reads small files of /proc and /sys, below a root directory.
 */
#include "doctor_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct doctor_path doctor_path(const char *root, const char *format, ...)
{
    struct doctor_path path;
    char below[PATH_MAX];
    va_list values;
    va_start(values, format);
    int bytes = vsnprintf(below, sizeof below, format, values);
    va_end(values);
    if (bytes < 0 || (size_t)bytes >= sizeof below || strlen(root) >= PATH_MAX) {
        path.text[0] = '\0'; /* no file has this name */
    } else {
        snprintf(path.text, sizeof path.text, "%s%s", root, below);
    }
    return path;
}

struct doctor_figure doctor_known(uint64_t value)
{
    return (struct doctor_figure){.state = FIGURE_KNOWN, .value = value};
}

bool doctor_file_line(struct doctor_path path, char *line, size_t line_bytes)
{
    FILE *file = fopen(path.text, "re");
    line[0] = '\0';
    if (file == NULL) {
        return false;
    }
    bool is_read = fgets(line, (int)line_bytes, file) != NULL;
    fclose(file);
    if (!is_read) {
        line[0] = '\0';
    }
    line[strcspn(line, "\n")] = '\0';
    return is_read;
}

/* Digits at the start of a text; `end` is what comes after them. */
static struct doctor_figure number_parse(const char *text, const char **end)
{
    struct doctor_figure unknown = {.state = FIGURE_UNKNOWN};
    char *after;
    *end = text;
    if (text[0] < '0' || text[0] > '9') {
        return unknown;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &after, 10);
    *end = after;
    return errno == 0 ? doctor_known(number) : unknown;
}

struct doctor_figure doctor_file_number(struct doctor_path path)
{
    struct doctor_figure number = {.state = FIGURE_UNKNOWN};
    char line[64];
    const char *end;
    if (!doctor_file_line(path, line, sizeof line)) {
        return number;
    }
    if (strcmp(line, "max") == 0) {
        number.state = FIGURE_UNLIMITED;
        return number;
    }
    number = number_parse(line, &end);
    if (*end != '\0') {
        number.state = FIGURE_UNKNOWN;
    }
    return number;
}

void doctor_file_choice(struct doctor_path path, char *choice, size_t choice_bytes)
{
    char line[256];
    doctor_file_line(path, line, sizeof line);
    const char *open = strchr(line, '[');
    const char *word = open != NULL ? open + 1 : line;
    size_t bytes = strcspn(word, open != NULL ? "]" : " ");
    if (bytes >= choice_bytes) {
        bytes = 0;
    }
    memcpy(choice, word, bytes);
    choice[bytes] = '\0';
}

/* As doctor_file_key(), of one line after its key. */
static struct doctor_figure value_parse(const char *text)
{
    struct doctor_figure number = {.state = FIGURE_UNKNOWN};
    const char *end;
    text += strspn(text, ": \t");
    if (strncmp(text, "unlimited", 9) == 0) {
        number.state = FIGURE_UNLIMITED;
        return number;
    }
    number = number_parse(text, &end);
    if (strncmp(end, " kB", 3) == 0) {
        number.value *= 1024;
    }
    return number;
}

struct doctor_figure doctor_file_key(struct doctor_path path, const char *key)
{
    struct doctor_figure number = {.state = FIGURE_UNKNOWN};
    char line[256];
    FILE *file = fopen(path.text, "re");
    if (file == NULL) {
        return number;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) {
            number = value_parse(line + strlen(key));
            break;
        }
    }
    fclose(file);
    return number;
}

struct doctor_figure doctor_bytes_parse(const char *text)
{
    const char *end;
    struct doctor_figure number = number_parse(text, &end);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (end[shift != 0] != '\0') {
        number.state = FIGURE_UNKNOWN;
    }
    number.value <<= shift;
    return number;
}

static int number_compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

bool doctor_numbered(struct doctor_path path, const char *prefix, const char *suffix,
                     void (*take)(struct doctor_system *system, uint64_t number),
                     struct doctor_system *system)
{
    uint64_t *numbers = NULL;
    size_t count = 0;
    const struct dirent *entry;
    DIR *directory = opendir(path.text);
    if (directory == NULL) {
        return false;
    }
    while ((entry = readdir(directory)) != NULL) {
        const char *end;
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0) {
            continue;
        }
        struct doctor_figure number = number_parse(entry->d_name + strlen(prefix), &end);
        if (number.state == FIGURE_KNOWN && strcmp(end, suffix) == 0) {
            numbers = doctor_grow(numbers, count, sizeof *numbers);
            numbers[count++] = number.value;
        }
    }
    closedir(directory);
    if (count > 0) {
        qsort(numbers, count, sizeof *numbers, number_compare);
    }
    for (size_t i = 0; i < count; i++) {
        take(system, numbers[i]);
    }
    free(numbers);
    return true;
}
