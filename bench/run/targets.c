/*
 * targets.c: the figures that the project set itself, beside what was measured.
 *
 * All are for the variant `hakmem`; without it nothing is claimed. A target whose figures are
 * missing is "not measured", never met.
 */
#include <stdarg.h>
#include <string.h>

#include "runner.h"

#define GEOMEAN_WANTED 1.10
#define LIVES_ABOVE_KB (10.0 * 1024)
#define NOTHING_MARGIN_KB 1024.0

const char *const verdict_names[] = {"met", "MISSED", "stated", "not measured"};

__attribute__((format(printf, 2, 3))) static void text_add(struct target *target,
                                                           const char *format, ...)
{
    size_t used = strlen(target->measured);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(target->measured + used, sizeof target->measured - used, format, arguments);
    va_end(arguments);
}

static struct target *target_new(struct comparison *s, const char *what, const char *wanted)
{
    struct target *target = &s->targets[s->target_count++];
    memset(target, 0, sizeof *target);
    snprintf(target->what, sizeof target->what, "%s", what);
    snprintf(target->wanted, sizeof target->wanted, "%s", wanted);
    target->verdict = VERDICT_UNKNOWN;
    return target;
}

static void target_at_most(struct target *target, double value, double most)
{
    if (isnan(value))
        return;
    text_add(target, "%.4g", value);
    target->verdict = value <= most ? VERDICT_MET : VERDICT_MISSED;
}

static const char *row_name(const struct comparison *s, unsigned row)
{
    return all_rows[s->rows[row]].name;
}

/* A failed run of ours is no figure, but no target is met over it either. */
static unsigned failures_add(const struct comparison *s, int hakmem, struct target *target)
{
    unsigned failed = 0;
    for (unsigned row = 0; hakmem >= 0 && row < s->row_count; row++)
        if (s->cells[row][hakmem].failed > 0)
            text_add(target, "%s%s failed", failed++ > 0 ? ", " : "", row_name(s, row));
    return failed;
}

static void none_slower(struct comparison *s, int hakmem, int base, const char *what)
{
    struct target *target = target_new(s, what, "none below 1.00");
    unsigned compared = 0;
    unsigned below = failures_add(s, hakmem, target);
    for (unsigned row = 0; row < s->row_count; row++) {
        int against = base == BEST_PEER ? best_peer(s, row, METRIC_NS_PER_OP) : base;
        double speedup = cell_speedup(s, row, hakmem, against);
        if (isnan(speedup))
            continue;
        compared++;
        if (speedup < 1.0)
            text_add(target, "%s%s %.2f (%s)", below++ > 0 ? ", " : "", row_name(s, row), speedup,
                     s->variants[against].name);
    }
    if (compared == 0 && below == 0)
        return;
    if (below == 0)
        text_add(target, "none of %u", compared);
    target->verdict = below == 0 ? VERDICT_MET : VERDICT_MISSED;
}

static void geomean_enough(struct comparison *s, int hakmem)
{
    struct target *target =
        target_new(s, "throughput, geometric mean against the best peer of each bench", ">= 1.10");
    unsigned used;
    double mean = speedup_geomean(s, hakmem, BEST_PEER, &used);
    if (isnan(mean))
        return;
    text_add(target, "%.3f over %u benches", mean, used);
    for (unsigned row = 0; row < s->row_count; row++)
        if (row_is_timed(s, row) && s->cells[row][hakmem].failed > 0) {
            text_add(target, ", %s failed", row_name(s, row));
            mean = 0;
        }
    target->verdict = mean >= GEOMEAN_WANTED ? VERDICT_MET : VERDICT_MISSED;
}

/* The lower peak of mimalloc and jemalloc; -1 if neither was measured. */
static int leanest(const struct comparison *s, unsigned row)
{
    int mimalloc = variant_index(s, "mimalloc");
    int jemalloc = variant_index(s, "jemalloc");
    double mimalloc_kb = cell_median(s, row, mimalloc, METRIC_PEAK_KB);
    double jemalloc_kb = cell_median(s, row, jemalloc, METRIC_PEAK_KB);
    if (isnan(mimalloc_kb))
        return isnan(jemalloc_kb) ? -1 : jemalloc;
    return jemalloc_kb < mimalloc_kb ? jemalloc : mimalloc;
}

static void memory_lean(struct comparison *s, int hakmem)
{
    struct target *target = target_new(
        s, "peak memory against the leaner of mimalloc and jemalloc, benches above 10 MB",
        "none above 1.00");
    unsigned compared = 0;
    unsigned above = failures_add(s, hakmem, target);
    for (unsigned row = 0; row < s->row_count; row++) {
        int lean = leanest(s, row);
        double lean_kb = cell_median(s, row, lean, METRIC_PEAK_KB);
        double ours_kb = cell_median(s, row, hakmem, METRIC_PEAK_KB);
        if (isnan(lean_kb) || isnan(ours_kb) || lean_kb <= LIVES_ABOVE_KB)
            continue;
        compared++;
        if (ours_kb > lean_kb)
            text_add(target, "%s%s %.2f (%s)", above++ > 0 ? ", " : "", row_name(s, row),
                     ours_kb / lean_kb, s->variants[lean].name);
    }
    if (compared == 0 && above == 0)
        return;
    if (above == 0)
        text_add(target, "none of %u", compared);
    target->verdict = above == 0 ? VERDICT_MET : VERDICT_MISSED;
}

static void nothing_small(struct comparison *s, int hakmem)
{
    struct target *target =
        target_new(s, "peak memory of a program that does nothing, less glibc's", "<= 1024 kB");
    int glibc = variant_of_kind(s, VARIANT_GLIBC);
    for (unsigned row = 0; row < s->row_count; row++) {
        if (strcmp(row_name(s, row), "nothing") != 0)
            continue;
        double ours_kb = cell_median(s, row, hakmem, METRIC_PEAK_KB);
        double glibc_kb = cell_median(s, row, glibc, METRIC_PEAK_KB);
        if (isnan(ours_kb - glibc_kb))
            return;
        text_add(target, "%.0f kB (%.0f - %.0f)", ours_kb - glibc_kb, ours_kb, glibc_kb);
        target->verdict = ours_kb - glibc_kb <= NOTHING_MARGIN_KB ? VERDICT_MET : VERDICT_MISSED;
    }
}

static void counts_check(struct comparison *s, int hakmem)
{
    const struct probe *probe = hakmem >= 0 ? &s->probes[hakmem] : &probe_none;
    struct target *target = target_new(s, "instructions of a malloc hit", "<= 15, no call or push");
    target_at_most(target, probe->malloc_instructions, 15);
    if (isnan(probe->malloc_instructions))
        text_add(target, "%s", probe->reason);
    target = target_new(s, "instructions of a free hit", "<= 20, no call or push");
    target_at_most(target, probe->free_instructions, 20);
    if (isnan(probe->free_instructions))
        text_add(target, "%s", probe->reason);
    target = target_new(s, "instructions a pair, 1000 mallocs then 1000 frees of 64 B", "<= 56");
    target_at_most(target, probe->pair_instructions, 56);
    target = target_new(s, "mutex acquisitions, mid_large_mt 8 40000 2048 42", "<= 10");
    target_at_most(target, probe->mutex_acquisitions, 10);
    target = target_new(s, "futex calls, mid_large_mt 8 40000 2048 42", "<= 10");
    target_at_most(target, probe->calls.futex, 10);
    target =
        target_new(s, "system calls for memory, same bench, threads' stacks included", "stated");
    if (!isnan(probe->calls.memory)) {
        text_add(target, "%.0f (%s)", probe->calls.memory, probe->calls.by_name);
        target->verdict = VERDICT_STATED;
    }
}

void targets_check(struct comparison *s)
{
    int hakmem = variant_of_kind(s, VARIANT_HAKMEM);
    s->target_count = 0;
    none_slower(s, hakmem, BEST_PEER, "throughput against the best packaged peer, each bench");
    none_slower(s, hakmem, variant_of_kind(s, VARIANT_GLIBC),
                "throughput against glibc, each bench");
    geomean_enough(s, hakmem);
    memory_lean(s, hakmem);
    nothing_small(s, hakmem);
    counts_check(s, hakmem);
}
