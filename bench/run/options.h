/*
 * options.h: what the command line asked for. main() reads it once; afterwards it is constant.
 */
#ifndef HAK_BENCH_OPTIONS_H
#define HAK_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum { MAX_GATES = 16 };

/* A figure that decides on the exit status. */
struct gate {
    unsigned kind; /* index in the table of gates.c */
    double wanted;
};

struct options {
    unsigned rounds;
    int latency_rounds; /* of runs in which single calls are timed; -1: not said */
    bool quick, ab, peers, pin, control, factors, health, huge;
    bool probes, calls; /* counts: once for each variant; system calls for each bench (--ab) */
    const char *const *program; /* the only bench; NULL: those of all_rows */
    const char *trace;          /* the same */
    const char *variants;       /* the only ones, with commas; NULL: all */
    double threshold_percent;   /* of verdicts */
    struct gate gates[MAX_GATES];
    unsigned gate_count;
    const char *only;
    const char *csv, *json, *html, *out;
    uint64_t seed;
    double timeout_s;
};

/* "NAME=VALUE"; gates.c. */
bool gate_add(struct options *options, const char *definition);

#endif
