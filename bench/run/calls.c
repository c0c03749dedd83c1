/*
 * calls.c: the system calls for memory and the futex calls of a program, counted by strace.
 *
 * The counts of a bench that ends by the clock depend on how fast it ran, all others hardly.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner.h"

static struct launch_result result; /* large; one run at a time */

/* A line of strace -c: "% time, seconds, usecs/call, calls, [errors], name". */
static void line_add(const char *line, struct call_counts *counts)
{
    char name[NAME_BYTES];
    char last[NAME_BYTES] = "";
    double percent, seconds, each;
    unsigned long calls;
    int fields =
        sscanf(line, "%lf %lf %lf %lu %47s %47s", &percent, &seconds, &each, &calls, name, last);
    if (fields < 5)
        return;
    const char *call = fields == 6 ? last : name;
    if (strcmp(call, "total") == 0)
        return;
    if (strcmp(call, "futex") == 0) {
        counts->futex = (double)calls;
        return;
    }
    counts->memory += (double)calls;
    size_t used = strlen(counts->by_name);
    snprintf(counts->by_name + used, sizeof counts->by_name - used, "%s%s %lu",
             used > 0 ? ", " : "", call, calls);
}

bool calls_countable(void)
{
    static enum { UNKNOWN, YES, NO } answer;
    static const char *const argv[] = {"strace", "-o", "/dev/null", "true", NULL};
    struct launch launch = {.argv = argv, .timeout_s = 10};
    if (answer == UNKNOWN) {
        launch_run(&launch, &result);
        answer = result.ok ? YES : NO;
    }
    return answer == YES;
}

bool calls_count(const char *library, const char *const *argv, double timeout_s,
                 struct call_counts *counts)
{
    char out[PATH_MAX];
    char preload[PATH_MAX + 16];
    char line[256];
    const char *const strace[] = {"strace",
                                  "-f",
                                  "-c",
                                  "-o",
                                  out,
                                  "-e",
                                  "trace=mmap,munmap,mprotect,madvise,mremap,brk,futex",
                                  "-E",
                                  preload};
    enum { STRACE_WORDS = sizeof strace / sizeof strace[0] };
    *counts = (struct call_counts){NAN, NAN, ""};
    unsigned words = 0;
    while (argv[words] != NULL)
        words++;
    const char **all = calloc(STRACE_WORDS + words + 1, sizeof *all);
    if (all == NULL || !temporary_file(out, sizeof out)) {
        free(all);
        return false;
    }
    memcpy(all, strace, sizeof strace);
    memcpy(all + STRACE_WORDS, argv, words * sizeof *argv);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", library);
    struct launch launch = {.argv = all, .timeout_s = timeout_s};
    launch_run(&launch, &result);
    FILE *file = result.ok ? fopen(out, "re") : NULL;
    if (file != NULL) {
        counts->futex = 0; /* strace leaves out a call that was never made */
        counts->memory = 0;
        while (fgets(line, sizeof line, file) != NULL)
            line_add(line, counts);
        fclose(file);
    }
    unlink(out);
    free(all);
    if (file == NULL)
        snprintf(counts->by_name, sizeof counts->by_name, "%s", result.reason);
    return file != NULL;
}
