/*
 * launch.h: running one program to its end.
 *
 * One at a time, by one thread. The result belongs to the caller; it is large, so keep it static.
 */
#ifndef HAK_BENCH_LAUNCH_H
#define HAK_BENCH_LAUNCH_H

#include <limits.h>
#include <stdbool.h>

enum { REASON_BYTES = 160, OUTPUT_BYTES = 64 * 1024 };

struct launch {
    const char *const *argv;
    const char *preload;  /* NULL or "": none */
    const char *witness;  /* libwhomalloc.so, preloaded behind it; NULL: none */
    const char *set;      /* "NAME=VALUE" of its environment; NULL: none */
    const char *settings; /* the same, several with spaces between; NULL: none */
    double timeout_s;
    bool pin;
};

struct launch_result {
    bool ok;                    /* ended by itself with status 0 */
    char reason[REASON_BYTES];  /* why not */
    char output[OUTPUT_BYTES];  /* stdout and stderr */
    char malloc_file[PATH_MAX]; /* what served malloc, by the witness; "": it did not say */
    double maxrss_kb;           /* NAN: hidden by what the child had before it became the program */
    long minor_faults;
    double wall_s; /* from fork to the end; NAN if it was ended */
    double user_s, system_s;
};
void launch_run(const struct launch *launch, struct launch_result *result);
/* Set by Ctrl-C. */
bool launch_interrupted(void);
void launch_catch_interrupts(void);

#endif
