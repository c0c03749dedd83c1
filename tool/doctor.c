/*
 * doctor.c: the command `hakmem doctor`, from its arguments to its exit status.
 */
#include "doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void *doctor_grow(void *items, size_t count, size_t item_bytes)
{
    char *grown = reallocarray(items, count + 1, item_bytes);
    if (grown == NULL) {
        fputs("hakmem: doctor: out of memory\n", stderr);
        exit(DOCTOR_WRONG_CALL);
    }
    memset(grown + count * item_bytes, 0, item_bytes);
    return grown;
}

static int complain(const char *what, const char *detail)
{
    fprintf(stderr, "hakmem: doctor: %s%s%s\n", what, detail != NULL ? ": " : "",
            detail != NULL ? detail : "");
    return DOCTOR_WRONG_CALL;
}

/* Takes the arguments; false: they are wrong, and that was said. */
static bool arguments_read(char **arguments, const char **root, bool *json)
{
    *root = "";
    *json = false;
    for (; arguments[0] != NULL; arguments++) {
        struct stat state;
        if (strcmp(arguments[0], "--json") == 0) {
            *json = true;
        } else if (strcmp(arguments[0], "--root") != 0) {
            complain("unknown option (see hakmem --help)", arguments[0]);
            return false;
        } else if (arguments[1] == NULL) {
            complain("no directory after --root (see hakmem --help)", NULL);
            return false;
        } else if (stat(*++arguments, &state) != 0 || !S_ISDIR(state.st_mode)) {
            complain("no such directory", arguments[0]);
            return false;
        } else {
            *root = strcmp(arguments[0], "/") == 0 ? "" : arguments[0];
        }
    }
    return true;
}

int doctor(char **arguments)
{
    static struct doctor_system system;
    static struct doctor_asked asked;
    static struct doctor_verdict verdict;
    const char *root;
    bool json;
    if (!arguments_read(arguments, &root, &json)) {
        return DOCTOR_WRONG_CALL;
    }
    doctor_read_asked(&asked);
    doctor_read(&system, root, asked.hugetlbfs);
    doctor_judge(&system, &asked, &verdict);
    if (json) {
        doctor_print_json(&system, &asked, &verdict);
    } else {
        doctor_print_text(&system, &asked, &verdict);
    }
    if (fflush(stdout) == EOF || ferror(stdout)) {
        return complain("cannot write", strerror(errno));
    }
    return doctor_has_problem(&verdict) ? EXIT_FAILURE : EXIT_SUCCESS;
}
