/*
 * hakmem: the command that runs a program on the library, records what it allocates, says what
 * the system has for it, or shows a running heap.
 *
 * Purpose   `hakmem run -- PROGRAM ARGUMENT...` puts libhakmem.so first into LD_PRELOAD and
 *           becomes the program; `hakmem record` does so with librecordmalloc.so, which writes
 *           the trace. What it needs is looked for beside this command, then in ../lib and in
 *           the folder that the installation has for it, so
 *           that a build directory and an installation work alike. `hakmem ab` becomes
 *           bench_runner --ab. `hakmem doctor` stands in doctor.h, `hakmem options` in options.h,
 *           `hakmem map` and `hakmem top` in heap.h.
 * Errors    as env(1): 125 the command itself failed, 126 the program cannot be run,
 *           127 there is no such program. The doctor, map and top have their own, see the help.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "doctor.h"
#include "heap.h"
#include "options.h"
#include "prof.h"

enum { EXIT_SELF = 125, EXIT_NOT_RUNNABLE = 126, EXIT_NOT_FOUND = 127 };

static const char help[] =
    "Usage: hakmem run [--] PROGRAM [ARGUMENT]...\n"
    "       hakmem record [-o FILE] [--] PROGRAM [ARGUMENT]...\n"
    "       hakmem ab [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
    "       hakmem doctor [--json] [--root DIR]\n"
    "       hakmem map PID|FILE [--json] [--show fill|class|owner] [--svg FILE]\n"
    "                  [--save FILE]\n"
    "       hakmem top PID [--once] [--json] [--published]\n"
    "       hakmem prof FILE [-o FILE] [--svg|--table|--collapsed|--pprof|--leaks]\n"
    "                   [--allocated] [--objects]\n"
    "       hakmem options [--json | --markdown | --man]\n"
    "       hakmem --help | --version\n"
    "\n"
    "run     runs PROGRAM with libhakmem.so as its malloc.\n"
    "record  runs PROGRAM on the malloc that it has and writes all it asks of it\n"
    "        to FILE (hakmem.trace), for bench_replay to do again on any malloc.\n"
    "        Forked children and programs that PROGRAM executes are not recorded;\n"
    "        a program linked statically leaves FILE empty.\n"
    "ab      runs PROGRAM many times on glibc, on hakmem and on hakmem's header mode,\n"
    "        interleaved, and prints how their time and memory compare, with 95 %\n"
    "        intervals; writes samples.csv, summary.json and report.html to\n"
    "        hakmem-ab (--out DIR). --json=- puts the summary on standard output.\n"
    "        `hakmem ab --help` lists the options.\n"
    "doctor  says what this system has of huge pages, what the allocator would do\n"
    "        with them under the HAKMEM_HUGE variables as they are set here, and\n"
    "        each command that fixes what is missing. --json prints one object.\n"
    "        --root DIR reads the files of /proc and /sys below DIR: for tests,\n"
    "        and to read what was copied from another system.\n"
    "options lists the environment variables that the library reads.\n"
    "map     draws the heap of a running process, or one that --save wrote to FILE:\n"
    "        a line a segment of 2 MiB, a sign a page of 64 KiB. --svg FILE makes a\n"
    "        picture of it, --json one object.\n"
    "top     shows once a second what a process has of each size of block; q ends\n"
    "        it. --once: one time only. --json: an object a line.\n"
    "        Neither stops the process. Both read its memory, which takes the\n"
    "        rights of a debugger; where these lack, or with --published, top shows\n"
    "        what a process publishes that was started with HAKMEM_LIVE=1.\n"
    "prof    shows the profile that a process started with HAKMEM_PROF=1 wrote: a\n"
    "        table of the functions that allocated what lives, and a flame graph as\n"
    "        FILE.svg. Or just one of them: --svg, --table, stacks on a line each\n"
    "        (--collapsed), the form of `go tool pprof` (--pprof), or what was not\n"
    "        freed with its stacks (--leaks). --allocated: all that was ever\n"
    "        allocated; --objects: numbers of blocks. -o FILE: where to.\n"
    "\n"
    "hakmem-json(5) says what --json writes.\n"
    "\n"
    "run and record work through LD_PRELOAD; what it names already stays, after\n"
    "the library. Their exit status is PROGRAM's, or 125 when hakmem fails, 126\n"
    "when PROGRAM cannot be run, 127 when it is not found. The doctor's is 0 when\n"
    "there is nothing to fix, 1 when something that the environment asks for cannot\n"
    "be had or nothing tells that it can, 2 when it was called wrongly or cannot\n"
    "write. prof ends with 1 when a file cannot be read or written or is no profile,\n"
    "2 when called wrongly. map and top end with 1 when a file cannot be read or\n"
    "written or the process ends meanwhile, 2 when called wrongly, 3 when there is\n"
    "no such process, 4 without the rights, 5 when the library is not in the\n"
    "process, 6 when it is another version's. ab's are in its own help.\n";

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

/* Finds a library or a program from where this command lies. `path` holds PATH_MAX bytes. */
static bool part_find(const char *name, char *path)
{
    static const char *const places[] = {".", "../lib", HAK_PRIVATE_DIR};
    char self[PATH_MAX];
    char candidate[PATH_MAX];
    /* The path given to execve(): unlike /proc/self/exe it is there without /proc. */
    const char *started_as = (const char *)getauxval(AT_EXECFN);
    if (started_as == NULL || realpath(started_as, self) == NULL) {
        return false;
    }
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int length = snprintf(candidate, sizeof candidate, "%s/%s/%s", self, places[i], name);
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

/*
 * Becomes the program, with a library first in LD_PRELOAD. `arguments` ends with NULL, as main()'s
 * do. Returns only if the program could not be run.
 */
static int become(const char *library_name, char **arguments)
{
    char library[PATH_MAX];
    if (!part_find(library_name, library)) {
        return complain("neither beside this command nor in ../lib", library_name);
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

/* Where the program stands in `arguments`; NULL: nowhere, and that was said. */
static char **program_find(const char *verb, char **arguments)
{
    char what[64];
    const char *detail = NULL;
    if (arguments[0] != NULL && strcmp(arguments[0], "--") == 0) {
        arguments++;
    } else if (arguments[0] != NULL && arguments[0][0] == '-') {
        detail = arguments[0];
    }
    if (arguments[0] != NULL && detail == NULL) {
        return arguments;
    }
    snprintf(what, sizeof what,
             detail != NULL ? "unknown option of %s (see hakmem --help)"
                            : "%s: no program given (see hakmem --help)",
             verb);
    (void)complain(what, detail);
    return NULL;
}

static int run(char **arguments)
{
    arguments = program_find("run", arguments);
    return arguments == NULL ? EXIT_SELF : become("libhakmem.so", arguments);
}

/* Makes the file here, so that a wrong name is said before the program starts. */
static int record(char **arguments)
{
    const char *file = "hakmem.trace";
    char path[PATH_MAX];
    if (arguments[0] != NULL && strcmp(arguments[0], "-o") == 0) {
        if (arguments[1] == NULL) {
            return complain("record: no file after -o (see hakmem --help)", NULL);
        }
        file = arguments[1];
        arguments += 2;
    }
    arguments = program_find("record", arguments);
    if (arguments == NULL) {
        return EXIT_SELF;
    }
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || close(fd) != 0 || realpath(file, path) == NULL) {
        return complain(file, strerror(errno));
    }
    if (setenv("HAKMEM_RECORD_FILE", path, 1) != 0) {
        return complain("cannot set HAKMEM_RECORD_FILE", strerror(errno));
    }
    return become("librecordmalloc.so", arguments);
}

/*
 * Becomes bench_runner. Its options come first; where the program starts without "--", that is put
 * in front: the runner wants it. Options with a value are given as --name=value or before "--".
 */
static int compare(char **arguments)
{
    static char word[] = "bench_runner", ab[] = "--ab", out[] = "--out=hakmem-ab", dashes[] = "--";
    char runner[PATH_MAX];
    if (!part_find(word, runner)) {
        return complain("neither beside this command nor where it is installed", word);
    }
    size_t count = 0;
    while (arguments[count] != NULL) {
        count++;
    }
    char **all = calloc(count + 5, sizeof *all);
    if (all == NULL) {
        return complain("ab", strerror(errno));
    }
    size_t used = 0;
    all[used++] = word;
    all[used++] = ab;
    all[used++] = out;
    if (count > 0 && arguments[0][0] != '-') {
        all[used++] = dashes;
    }
    memcpy(all + used, arguments, count * sizeof *all);
    execv(runner, all);
    free(all);
    return complain(runner, strerror(errno));
}

static int help_print(char **arguments)
{
    (void)arguments;
    return print(help);
}

static int version_print(char **arguments)
{
    (void)arguments;
    return print("hakmem " HAK_VERSION "\n");
}

/* Each is given what stands behind its name, and returns the exit status. `ab` has a help of its
 * own. */
static const struct verb {
    const char *name;
    int (*act)(char **arguments);
} verbs[] = {
    {"run", run},         {"record", record},         {"ab", compare},
    {"doctor", doctor},   {"options", options_print}, {"map", map_command},
    {"top", top_command}, {"prof", prof_command},     {"--help", help_print},
    {"-h", help_print},   {"help", help_print},       {"--version", version_print},
};

int main(int count, char **arguments)
{
    const char *verb = count > 1 ? arguments[1] : "";
    bool asks = count > 2 && strcmp(arguments[2], "--help") == 0;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verb, verbs[i].name) == 0) {
            bool tells = asks && verbs[i].act != compare;
            return (tells ? help_print : verbs[i].act)(arguments + 2);
        }
    }
    return complain(count > 1 ? "unknown command (see hakmem --help)"
                              : "no command given (see hakmem --help)",
                    count > 1 ? verb : NULL);
}
