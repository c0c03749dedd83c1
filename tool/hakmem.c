/*
 * hakmem: the command that runs a program on the library.
 *
 * Purpose   `hakmem run -- PROGRAM ARGUMENT...` puts libhakmem.so first into LD_PRELOAD and
 *           becomes the program. The library is looked for beside this command, then in
 *           ../lib, so that a build directory and an installation work alike.
 * Errors    as env(1): 125 the command itself failed, 126 the program cannot be run,
 *           127 there is no such program.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#ifndef HAK_VERSION
#define HAK_VERSION "unknown"
#endif

enum { EXIT_SELF = 125, EXIT_NOT_RUNNABLE = 126, EXIT_NOT_FOUND = 127 };

static const char help[] =
    "Usage: hakmem run [--] PROGRAM [ARGUMENT]...\n"
    "       hakmem --help | --version\n"
    "\n"
    "Runs PROGRAM with libhakmem.so as its malloc, through LD_PRELOAD. What\n"
    "LD_PRELOAD names already stays, after the library. The exit status is\n"
    "PROGRAM's, or 125 when hakmem fails, 126 when PROGRAM cannot be run,\n"
    "127 when it is not found.\n";

/* Says on stderr what is wrong; returns the exit status of the command's own failures. */
static int complain(const char *what, const char *detail)
{
    fprintf(stderr, "hakmem: %s%s%s\n", what, detail != NULL ? ": " : "", detail ? detail : "");
    return EXIT_SELF;
}

/* Writes a text to stdout; a full disk or a closed pipe is a failure. */
static int print(const char *text)
{
    if (fputs(text, stdout) == EOF || fflush(stdout) == EOF) {
        return complain("cannot write", strerror(errno));
    }
    return EXIT_SUCCESS;
}

/* Finds the library from where this command lies. `path` holds PATH_MAX bytes. */
static bool library_find(char *path)
{
    static const char *const places[] = {"libhakmem.so", "../lib/libhakmem.so"};
    char self[PATH_MAX];
    char candidate[PATH_MAX];
    /* The path given to execve(): unlike /proc/self/exe it is there without /proc. */
    const char *started_as = (const char *)getauxval(AT_EXECFN);
    if (started_as == NULL || realpath(started_as, self) == NULL) {
        return false;
    }
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int length = snprintf(candidate, sizeof candidate, "%s/%s", self, places[i]);
        if (length > 0 && (size_t)length < sizeof candidate && realpath(candidate, path) != NULL &&
            access(path, R_OK) == 0) {
            return true;
        }
    }
    return false;
}

/* Puts the library before what LD_PRELOAD names already. */
static bool preload_set(const char *library)
{
    const char *others = getenv("LD_PRELOAD");
    if (others == NULL || others[0] == '\0') {
        return setenv("LD_PRELOAD", library, 1) == 0;
    }
    char *value = NULL;
    if (asprintf(&value, "%s:%s", library, others) < 0) {
        return false;
    }
    bool set = setenv("LD_PRELOAD", value, 1) == 0;
    free(value);
    return set;
}

/* `arguments` ends with NULL, as main()'s do. Returns only if the program could not be run. */
static int run(char **arguments)
{
    char library[PATH_MAX];
    if (arguments[0] != NULL && strcmp(arguments[0], "--") == 0) {
        arguments++;
    } else if (arguments[0] != NULL && arguments[0][0] == '-') {
        return complain("unknown option of run (see hakmem --help)", arguments[0]);
    }
    if (arguments[0] == NULL) {
        return complain("run: no program given (see hakmem --help)", NULL);
    }
    if (!library_find(library)) {
        return complain("libhakmem.so is neither beside this command nor in ../lib", NULL);
    }
    if (strpbrk(library, ": ") != NULL) {
        return complain("LD_PRELOAD cannot hold a path with a space or a colon", library);
    }
    if (!preload_set(library)) {
        return complain("cannot set LD_PRELOAD", strerror(errno));
    }
    execvp(arguments[0], arguments);
    int status = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE;
    (void)complain(arguments[0], strerror(errno));
    return status;
}

int main(int count, char **arguments)
{
    const char *verb = count > 1 ? arguments[1] : "";
    if (strcmp(verb, "run") == 0) {
        return run(arguments + 2);
    }
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0 || strcmp(verb, "help") == 0) {
        return print(help);
    }
    if (strcmp(verb, "--version") == 0) {
        return print("hakmem " HAK_VERSION "\n");
    }
    return complain(count > 1 ? "unknown command (see hakmem --help)"
                              : "no command given (see hakmem --help)",
                    count > 1 ? verb : NULL);
}
