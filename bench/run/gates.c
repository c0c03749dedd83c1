/*
 * gates.c: figures of hakmem that decide on the exit status, for continuous integration.
 *
 * A figure that was not measured passes no gate; nor does a mean that leaves out a bench because
 * its runs failed, or a run that was interrupted.
 */
#include <stdlib.h>
#include <string.h>

#include "change.h"

struct gate_figure {
    double value;
    char text[96]; /* how it is printed, or why there is none */
};

enum gate_kind {
    GATE_GEOMEAN,
    GATE_GLIBC,
    GATE_MIXED,
    GATE_C6_HEAVY,
    GATE_INSTRUCTIONS_MALLOC,
    GATE_INSTRUCTIONS_FREE,
    GATE_PAIR,
    GATE_KINDS,
};

static const struct {
    const char *name;
    bool at_least; /* else at most */
} kinds[GATE_KINDS] = {
    [GATE_GEOMEAN] = {"geomean", true},
    [GATE_GLIBC] = {"glibc", true},
    [GATE_MIXED] = {"MIXED", true},
    [GATE_C6_HEAVY] = {"C6_HEAVY", true},
    [GATE_INSTRUCTIONS_MALLOC] = {"instructions-malloc", false},
    [GATE_INSTRUCTIONS_FREE] = {"instructions-free", false},
    [GATE_PAIR] = {"pair", false},
};

bool gate_add(struct options *options, const char *definition)
{
    const char *equals = strchr(definition, '=');
    size_t name_length = equals == NULL ? 0 : (size_t)(equals - definition);
    char *end = NULL;
    unsigned kind = 0;
    while (kind < GATE_KINDS && (strlen(kinds[kind].name) != name_length ||
                                 strncmp(kinds[kind].name, definition, name_length) != 0))
        kind++;
    double wanted = equals == NULL ? NAN : strtod(equals + 1, &end);
    if (kind == GATE_KINDS || end == equals + 1 || *end != '\0' || !isfinite(wanted)) {
        fprintf(stderr, "bench_runner: --gate wants NAME=VALUE as --help lists it, not '%s'\n",
                definition);
        return false;
    }
    if (options->gate_count == MAX_GATES) {
        fprintf(stderr, "bench_runner: more than %d gates\n", MAX_GATES);
        return false;
    }
    options->gates[options->gate_count++] = (struct gate){kind, wanted};
    return true;
}

static unsigned benches_failed(const struct comparison *s, int variant)
{
    unsigned failed = 0;
    for (unsigned row = 0; variant >= 0 && row < s->row_count; row++)
        failed += s->cells[row][variant].failed > 0;
    return failed;
}

static struct gate_figure mean_figure(const struct comparison *s, int hakmem, int base)
{
    struct gate_figure figure = {.value = NAN};
    unsigned failed = benches_failed(s, hakmem) + benches_failed(s, base);
    struct change_mean mean = change_mean_of(s, hakmem, base, METRIC_NS_PER_OP);
    if (failed > 0)
        snprintf(figure.text, sizeof figure.text, "benches failed");
    else if (s->interrupted)
        snprintf(figure.text, sizeof figure.text, "interrupted");
    else if (isnan(mean.ratio))
        snprintf(figure.text, sizeof figure.text, "no bench has a time of both");
    else {
        figure.value = mean.ratio;
        snprintf(figure.text, sizeof figure.text, "%.4f", mean.ratio);
    }
    return figure;
}

/* The lower end of the interval of a bench's throughput over glibc. */
static struct gate_figure bench_figure(const struct comparison *s, int hakmem, const char *bench)
{
    struct gate_figure figure = {NAN, "the bench is not in this run"};
    int glibc = variant_of_kind(s, VARIANT_GLIBC);
    for (unsigned row = 0; row < s->row_count; row++) {
        if (strcmp(all_rows[s->rows[row]].name, bench) != 0)
            continue;
        struct change change = change_of(s, row, hakmem, glibc, METRIC_NS_PER_OP);
        if (glibc < 0)
            snprintf(figure.text, sizeof figure.text, "glibc is not in this run");
        else if (s->interrupted)
            snprintf(figure.text, sizeof figure.text, "interrupted");
        else if (isnan(change.low))
            snprintf(figure.text, sizeof figure.text, "it failed, or has too few samples");
        else
            figure.value = change.low;
        if (!isnan(figure.value))
            snprintf(figure.text, sizeof figure.text, "%.3f [%.3f, %.3f]", change.ratio, change.low,
                     change.high);
    }
    return figure;
}

static struct gate_figure count_figure(const struct comparison *s, double count, const char *reason)
{
    struct gate_figure figure = {.value = count};
    if (!isnan(count))
        snprintf(figure.text, sizeof figure.text, "%.4g", count);
    else if (s->interrupted)
        snprintf(figure.text, sizeof figure.text, "interrupted");
    else if (!s->options.probes)
        snprintf(figure.text, sizeof figure.text, "nothing was counted in this run");
    else
        snprintf(figure.text, sizeof figure.text, "%.90s",
                 reason[0] == '\0' ? "the tools that count it failed" : reason);
    return figure;
}

static struct gate_figure gate_figure_of(const struct comparison *s, unsigned kind)
{
    int hakmem = variant_of_kind(s, VARIANT_HAKMEM);
    const struct probe *probe = hakmem < 0 ? NULL : &s->probes[hakmem];
    if (probe == NULL)
        return (struct gate_figure){NAN, "hakmem is absent"};
    switch (kind) {
    case GATE_GEOMEAN:
        return mean_figure(s, hakmem, variant_index(s, "hakmem-header"));
    case GATE_GLIBC:
        return mean_figure(s, hakmem, variant_of_kind(s, VARIANT_GLIBC));
    case GATE_MIXED:
        return bench_figure(s, hakmem, "mixed_400");
    case GATE_C6_HEAVY:
        return bench_figure(s, hakmem, "c6_heavy");
    case GATE_INSTRUCTIONS_MALLOC:
        return count_figure(s, probe->malloc_instructions, probe->reason);
    case GATE_INSTRUCTIONS_FREE:
        return count_figure(s, probe->free_instructions, probe->reason);
    default:
        return count_figure(s, probe->pair_instructions, "");
    }
}

bool gates_check(const struct comparison *s, FILE *out)
{
    bool passed = true;
    for (unsigned i = 0; i < s->options.gate_count; i++) {
        const struct gate *gate = &s->options.gates[i];
        bool at_least = kinds[gate->kind].at_least;
        struct gate_figure figure = gate_figure_of(s, gate->kind);
        bool met = at_least ? figure.value >= gate->wanted : figure.value <= gate->wanted;
        fprintf(out, "gate %s: %s, wanted %s %g; %s\n",
                met                   ? "met"
                : isnan(figure.value) ? "not measured"
                                      : "MISSED",
                kinds[gate->kind].name, at_least ? "at least" : "at most", gate->wanted,
                figure.text);
        passed &= met;
    }
    return passed;
}
