/*
 * doctor_files: small files of /proc and /sys, below a root directory.
 *
 * Errors    what is not there, not readable or not of the expected form is unknown, or "".
 */
#ifndef HAK_DOCTOR_FILES_H
#define HAK_DOCTOR_FILES_H

#include "doctor.h"

struct doctor_path {
    char text[2 * PATH_MAX];
};

/* root + formatted path. */
struct doctor_path doctor_path(const char *root, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct doctor_figure doctor_known(uint64_t value);

/* Reads the first line, without its end. */
bool doctor_file_line(struct doctor_path path, char *line, size_t line_bytes);

/* A number alone on the first line; "max" is unlimited. */
struct doctor_figure doctor_file_number(struct doctor_path path);

/* The word in brackets of a file like "always [madvise] never", else its first word. */
void doctor_file_choice(struct doctor_path path, char *choice, size_t choice_bytes);

/* The number after a key at the start of a line; in kB if the line says so, and then in bytes. */
struct doctor_figure doctor_file_key(struct doctor_path path, const char *key);

/* Digits, then K, M or G or nothing: bytes. */
struct doctor_figure doctor_bytes_parse(const char *text);

/*
 * Calls `take` with the number in each name of a directory that is prefix, number, suffix; by
 * number. False: the directory cannot be read.
 */
bool doctor_numbered(struct doctor_path path, const char *prefix, const char *suffix,
                     void (*take)(struct doctor_system *system, uint64_t number),
                     struct doctor_system *system);

#endif
