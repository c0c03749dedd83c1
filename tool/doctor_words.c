/*
 * doctor_words.c: findings and the words that they are made of.
 */
#include "doctor_words.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct doctor_words doctor_bytes(uint64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    struct doctor_words words;
    unsigned unit = 0;
    while (unit < 4 && bytes >> (10 * (unit + 1)) != 0) {
        unit++;
    }
    uint64_t whole = bytes >> (10 * unit);
    if (whole << (10 * unit) == bytes) {
        snprintf(words.text, sizeof words.text, "%llu %s", (unsigned long long)whole, units[unit]);
    } else {
        double part = (double)bytes / (double)(UINT64_C(1) << (10 * unit));
        snprintf(words.text, sizeof words.text, "%.1f %s", part, units[unit]);
    }
    return words;
}

struct doctor_words doctor_count(uint64_t count, const char *one)
{
    struct doctor_words words;
    snprintf(words.text, sizeof words.text, "%llu %s%s", (unsigned long long)count, one,
             count == 1 ? "" : "s");
    return words;
}

const char *doctor_quoted(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/._-+:@%";
    if (word[strspn(word, plain)] == '\0') {
        return word;
    }
    char *quoted = doctor_grow(NULL, 0, 4 * strlen(word) + 3);
    char *at = quoted;
    *at++ = '\'';
    for (; *word != '\0'; word++) {
        if (*word == '\'') {
            at = stpcpy(at, "'\\''");
        } else {
            *at++ = *word;
        }
    }
    *at = '\'';
    return quoted;
}

/* The formatted text, in memory of its own. */
static char *text_make(const char *format, va_list values)
{
    va_list again;
    va_copy(again, values);
    int bytes = vsnprintf(NULL, 0, format, again);
    va_end(again);
    size_t room = bytes < 0 ? 1 : (size_t)bytes + 1;
    char *text = doctor_grow(NULL, 0, room);
    vsnprintf(text, room, format, values);
    return text;
}

void doctor_find(struct doctor_verdict *verdict, bool problem, const char *format, ...)
{
    va_list values;
    verdict->findings =
        doctor_grow(verdict->findings, verdict->finding_count, sizeof *verdict->findings);
    struct doctor_finding *finding = &verdict->findings[verdict->finding_count++];
    va_start(values, format);
    finding->text = text_make(format, values);
    va_end(values);
    finding->problem = problem;
}

void doctor_fix(struct doctor_verdict *verdict, bool as_root, const char *format, ...)
{
    va_list values;
    struct doctor_finding *finding = &verdict->findings[verdict->finding_count - 1];
    va_start(values, format);
    finding->fix = text_make(format, values);
    va_end(values);
    finding->as_root = as_root;
}

bool doctor_has_problem(const struct doctor_verdict *verdict)
{
    for (size_t i = 0; i < verdict->finding_count; i++) {
        if (verdict->findings[i].problem) {
            return true;
        }
    }
    return false;
}
