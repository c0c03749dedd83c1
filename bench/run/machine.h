/*
 * machine.h: where the figures were measured, and files there. machine.c reads anew at each call.
 */
#ifndef HAK_BENCH_MACHINE_H
#define HAK_BENCH_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

struct comparison;

struct machine {
    char kernel[128], cpu[128], thp[64], hugepages[64];
    long cpus;
    const char *build; /* compiler and its options */
};
void machine_describe(struct machine *machine);

/* Once, before the runs: Ctrl-C ends what is started after it. */
void commit_read(struct comparison *s);

/* Finds a file beside this program or, a few levels up, in the source tree. */
bool tree_file(const struct comparison *s, const char *name, char *path, size_t path_bytes);
/* An empty file of a new name, in TMPDIR. */
bool temporary_file(char *path, size_t path_bytes);

#endif
