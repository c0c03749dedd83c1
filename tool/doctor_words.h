/*
 * doctor_words: findings and the words that they are made of.
 */
#ifndef HAK_DOCTOR_WORDS_H
#define HAK_DOCTOR_WORDS_H

#include "doctor.h"

struct doctor_words {
    char text[64];
};

/* "64 MiB", "1.5 GiB", "100 bytes". */
struct doctor_words doctor_bytes(uint64_t bytes);

/* "1 page", "3 pages". `one` is the singular; the plural has an s. */
struct doctor_words doctor_count(uint64_t count, const char *one);

/* A word that a shell takes as it is: quoted, if it has to be. */
const char *doctor_quoted(const char *word);

/* Adds a finding; `fix` of the last one is set by doctor_fix(). */
void doctor_find(struct doctor_verdict *verdict, bool problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void doctor_fix(struct doctor_verdict *verdict, bool as_root, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
