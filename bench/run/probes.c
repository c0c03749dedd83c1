/*
 * probes.c: figures of each variant that other tools count: instructions (binutils, valgrind),
 * system calls (strace) and mutexes.
 *
 * Counts do not depend on how busy the machine is, so each is taken once. A tool that is missing or
 * fails leaves NAN, never zero.
 *
 * Pairs: bench_bulk under callgrind with 200 and with 100 rounds; the difference is free of
 * start-up. The same under libnullmalloc.so gives loop, PLT and the null malloc's own instructions,
 * which are known from its disassembly and are added back.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner.h"

enum { BULK_FEW = 100, BULK_MANY = 200, BULK_BLOCKS = 1000 };

const struct probe probe_none = {NAN, NAN, NAN, {NAN, NAN, ""}, NAN, ""};

static struct launch_result result; /* large; one run at a time */

static bool tool_run(const struct comparison *s, const char *const *argv, const char *preload)
{
    struct launch launch = {
        .argv = argv,
        .preload = preload,
        .timeout_s = s->options.timeout_s,
    };
    launch_run(&launch, &result);
    return result.ok;
}

/* The number after the first `key` in the output; NAN if there is none. */
static double number_after(const char *text, const char *key)
{
    const char *found = strstr(text, key);
    char *end = NULL;
    if (found == NULL)
        return NAN;
    double value = strtod(found + strlen(key), &end);
    return end == found + strlen(key) ? NAN : value;
}

/* ---- instructions on the hit paths ---- */

/* Instructions of a function's hit path; NAN, with the reason, if it has none. */
static double hit_path_count(const struct comparison *s, const char *library, const char *function,
                             char *reason)
{
    char script[2 * PATH_MAX];
    if (!tree_file(s, "count_instructions.sh", script, sizeof script))
        return NAN;
    const char *const argv[] = {"bash", script, library, function, NULL};
    if (!tool_run(s, argv, NULL)) {
        snprintf(reason, REASON_BYTES, "%.*s", (int)strcspn(result.output, "\n"), result.output);
        return NAN;
    }
    return number_after(result.output, ": ");
}

static void hit_paths_count(const struct comparison *s, const char *library, struct probe *probe)
{
    char reason[REASON_BYTES] = "";
    probe->malloc_instructions = hit_path_count(s, library, "malloc", probe->reason);
    probe->free_instructions = hit_path_count(s, library, "free", reason);
    if (probe->reason[0] == '\0')
        snprintf(probe->reason, sizeof probe->reason, "%s", reason);
}

/* ---- instructions a pair ---- */

static double callgrind_total(const char *path)
{
    char line[256];
    double total = NAN;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return NAN;
    while (isnan(total) && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "totals:", 7) == 0)
            total = number_after(line, "totals:");
    fclose(file);
    return total;
}

static double bulk_instructions(const struct comparison *s, const char *library, int rounds)
{
    char out[PATH_MAX];
    char out_option[PATH_MAX + 32];
    char program[2 * PATH_MAX];
    char round_text[16];
    if (!temporary_file(out, sizeof out))
        return NAN;
    snprintf(out_option, sizeof out_option, "--callgrind-out-file=%s", out);
    snprintf(program, sizeof program, "%s/bench_bulk", s->program_dir);
    snprintf(round_text, sizeof round_text, "%d", rounds);
    const char *const argv[] = {
        "valgrind", "--tool=callgrind", out_option, program, round_text, "1000", "64", NULL};
    double total = tool_run(s, argv, library) ? callgrind_total(out) : NAN;
    unlink(out);
    return total;
}

/* Instructions of one malloc and one free with loop and PLT. */
static double pair_instructions(const struct comparison *s, const char *library)
{
    double many = bulk_instructions(s, library, BULK_MANY);
    if (isnan(many))
        return NAN;
    double few = bulk_instructions(s, library, BULK_FEW);
    return (many - few) / ((BULK_MANY - BULK_FEW) * (double)BULK_BLOCKS);
}

/* Instructions of loop and PLT a pair. */
static double loop_instructions(const struct comparison *s)
{
    char library[2 * PATH_MAX];
    struct probe null = {.malloc_instructions = NAN};
    if (!tree_file(s, "libnullmalloc.so", library, sizeof library))
        return NAN;
    hit_paths_count(s, library, &null);
    return pair_instructions(s, library) - null.malloc_instructions - null.free_instructions;
}

/* ---- system calls and mutexes ---- */

static void system_calls_count(const struct comparison *s, const char *library, struct probe *probe)
{
    char program[2 * PATH_MAX];
    snprintf(program, sizeof program, "%s/bench_mid_large_mt", s->program_dir);
    const char *const argv[] = {program, "8", "40000", "2048", "42", NULL};
    if (!calls_count(library, argv, s->options.timeout_s, &probe->calls))
        probe->calls.by_name[0] = '\0';
}

/* The counter stands behind the allocator in the list of preloaded libraries. */
static void mutexes_count(const struct comparison *s, const char *library, struct probe *probe)
{
    char program[2 * PATH_MAX];
    char preload[3 * PATH_MAX];
    snprintf(program, sizeof program, "%s/bench_mid_large_mt", s->program_dir);
    snprintf(preload, sizeof preload, "%s%s%s/libcountmutexes.so", library,
             library[0] == '\0' ? "" : ":", s->program_dir);
    const char *const argv[] = {program, "8", "40000", "2048", "42", NULL};
    if (tool_run(s, argv, preload))
        probe->mutex_acquisitions = number_after(result.output, "mutex acquisitions: ");
}

void probes_run(struct comparison *s)
{
    for (unsigned i = 0; i < MAX_VARIANTS; i++)
        s->probes[i] = probe_none;
    if (!s->options.probes || launch_interrupted())
        return;
    double loop = loop_instructions(s);
    for (unsigned i = 0; i < s->variant_count && !launch_interrupted(); i++) {
        const struct variant *variant = &s->variants[i];
        if (!variant_runs(variant))
            continue;
        if (variant->library[0] != '\0')
            hit_paths_count(s, variant->library, &s->probes[i]);
        s->probes[i].pair_instructions = pair_instructions(s, variant->library) - loop;
        system_calls_count(s, variant->library, &s->probes[i]);
        mutexes_count(s, variant->library, &s->probes[i]);
    }
}
