/*
 * table.c: the report on a terminal.
 */
#include <string.h>

#include "runner.h"

enum { NAME_WIDTH = 18, CELL_WIDTH = 13, FEW_SAMPLES = 6 };

/* One figure of a table: the variant's for the row; NAN prints as "-". */
typedef double cell_figure(const struct comparison *s, unsigned row, int variant);

static double figure_ns(const struct comparison *s, unsigned row, int variant)
{
    return row_is_timed(s, row) ? cell_median(s, row, variant, METRIC_NS_PER_OP) : NAN;
}

static double figure_speedup(const struct comparison *s, unsigned row, int variant)
{
    return cell_speedup(s, row, variant, variant_of_kind(s, VARIANT_GLIBC));
}

static double figure_peak_mb(const struct comparison *s, unsigned row, int variant)
{
    return cell_median(s, row, variant, METRIC_PEAK_KB) / 1024;
}

static double figure_after_mb(const struct comparison *s, unsigned row, int variant)
{
    return cell_median(s, row, variant, METRIC_AFTER_KB) / 1024;
}

static void number_print(FILE *out, double value, const char *format)
{
    char text[32] = "-";
    if (!isnan(value))
        snprintf(text, sizeof text, format, value);
    fprintf(out, " %*s", CELL_WIDTH, text);
}

static void header_print(const struct comparison *s, FILE *out, const char *title, const char *last)
{
    fprintf(out, "\n%s\n%-*s", title, NAME_WIDTH, "bench");
    for (unsigned v = 0; v < s->variant_count; v++)
        if (variant_runs(&s->variants[v]))
            fprintf(out, " %*s", CELL_WIDTH, s->variants[v].name);
    fprintf(out, "%s\n", last);
}

static void row_print(const struct comparison *s, FILE *out, unsigned row, cell_figure *figure,
                      const char *format)
{
    fprintf(out, "%-*s", NAME_WIDTH, all_rows[s->rows[row]].name);
    for (unsigned v = 0; v < s->variant_count; v++) {
        if (!variant_runs(&s->variants[v]))
            continue;
        if (s->cells[row][v].failed > 0)
            fprintf(out, " %*s", CELL_WIDTH, "failed");
        else
            number_print(out, figure(s, row, (int)v), format);
    }
}

static void times_print(const struct comparison *s, FILE *out)
{
    char title[96];
    snprintf(title, sizeof title, "nanoseconds an operation (median of %u)", s->options.rounds);
    header_print(s, out, title, "");
    for (unsigned row = 0; row < s->row_count; row++) {
        if (!row_is_timed(s, row))
            continue;
        row_print(s, out, row, figure_ns, "%.2f");
        fputc('\n', out);
    }
}

/* What hakmem stands against in the last column: the best peer of the bench, or its header mode. */
static int rival_of(const struct comparison *s, unsigned row)
{
    return s->options.peers ? best_peer(s, row, METRIC_NS_PER_OP)
                            : variant_index(s, "hakmem-header");
}

static void speedup_means_print(const struct comparison *s, FILE *out, int hakmem)
{
    unsigned used = 0;
    fprintf(out, "%-*s", NAME_WIDTH, "geometric mean");
    for (unsigned v = 0; v < s->variant_count; v++)
        if (variant_runs(&s->variants[v]))
            number_print(out, speedup_geomean(s, (int)v, variant_of_kind(s, VARIANT_GLIBC), &used),
                         "%.3f");
    int rival = s->options.peers ? -1 : variant_index(s, "hakmem-header");
    double against_rival = speedup_geomean(s, hakmem, rival, &used);
    if (!isnan(against_rival))
        fprintf(out, "   %.3f", against_rival);
    fputc('\n', out);
}

static void speedups_print(const struct comparison *s, FILE *out)
{
    int hakmem = variant_of_kind(s, VARIANT_HAKMEM);
    header_print(s, out, "throughput, glibc = 1 (more is better)",
                 s->options.peers ? "   hakmem / best peer" : "   hakmem / its header mode");
    for (unsigned row = 0; row < s->row_count; row++) {
        if (!row_is_timed(s, row))
            continue;
        int rival = rival_of(s, row);
        double speedup = cell_speedup(s, row, hakmem, rival);
        row_print(s, out, row, figure_speedup, "%.2f");
        if (!isnan(speedup))
            fprintf(out, "   %.2f (%s)", speedup, s->variants[rival].name);
        fputc('\n', out);
    }
    speedup_means_print(s, out, hakmem);
}

static void memory_print(const struct comparison *s, FILE *out)
{
    header_print(s, out, "peak memory, MB", "");
    for (unsigned row = 0; row < s->row_count; row++) {
        row_print(s, out, row, figure_peak_mb, "%.1f");
        fputc('\n', out);
    }
    header_print(s, out, "memory when all is freed, MB", "");
    for (unsigned row = 0; row < s->row_count; row++) {
        if (!row_is_timed(s, row))
            continue;
        row_print(s, out, row, figure_after_mb, "%.1f");
        fputc('\n', out);
    }
}

static void counts_print(const struct comparison *s, FILE *out)
{
    if (!s->options.probes)
        return;
    fprintf(out, "\ncounted (- : not measured)\n%-*s %*s %*s %*s %*s %*s\n", NAME_WIDTH, "variant",
            CELL_WIDTH, "malloc hit", CELL_WIDTH, "free hit", CELL_WIDTH, "pair", CELL_WIDTH,
            "futex", CELL_WIDTH, "memory calls");
    for (unsigned v = 0; v < s->variant_count; v++) {
        const struct probe *probe = &s->probes[v];
        if (!variant_runs(&s->variants[v]))
            continue;
        fprintf(out, "%-*s", NAME_WIDTH, s->variants[v].name);
        number_print(out, probe->malloc_instructions, "%.0f");
        number_print(out, probe->free_instructions, "%.0f");
        number_print(out, probe->pair_instructions, "%.1f");
        number_print(out, probe->futex_calls, "%.0f");
        number_print(out, probe->memory_calls, "%.0f");
        fprintf(out, "   %s\n", probe->note);
    }
    fprintf(out, "hits and pairs in instructions; futex and memory calls in mid_large_mt 8 40000 "
                 "2048 42\n");
}

static void failures_print(const struct comparison *s, FILE *out)
{
    for (unsigned row = 0; row < s->row_count; row++)
        for (unsigned v = 0; v < s->variant_count; v++)
            if (s->cells[row][v].failed > 0)
                fprintf(out, "failed: %s on %s, %u runs: %s\n", all_rows[s->rows[row]].name,
                        s->variants[v].name, s->cells[row][v].failed, s->cells[row][v].reason);
}

static void targets_print(const struct comparison *s, FILE *out)
{
    fprintf(out, "\ntargets\n");
    for (unsigned i = 0; i < s->target_count; i++) {
        const struct target *target = &s->targets[i];
        fprintf(out, "  %-12s %s: wanted %s%s%s\n", verdict_names[target->verdict], target->what,
                target->wanted, target->measured[0] == '\0' ? "" : "; measured ", target->measured);
    }
}

void table_print(const struct comparison *s, FILE *out)
{
    struct machine machine;
    machine_describe(s, &machine);
    fprintf(out, "%s, %ld CPUs, Linux %s, THP %s, huge pages %s, commit %s\n", machine.cpu,
            machine.cpus, machine.kernel, machine.thp[0] ? machine.thp : "?",
            machine.hugepages[0] ? machine.hugepages : "?",
            machine.commit[0] ? machine.commit : "?");
    fprintf(out, "%u rounds%s, order from seed %llu\n", s->options.rounds,
            s->options.quick ? " of quick runs" : "", (unsigned long long)s->options.seed);
    for (unsigned v = 0; v < s->variant_count; v++)
        if (s->variants[v].wanted && !s->variants[v].present)
            fprintf(out, "variant %s: absent\n", s->variants[v].name);
    if (s->options.rounds < FEW_SAMPLES)
        fprintf(out, "warning: fewer than %d samples a cell, differences may be chance\n",
                FEW_SAMPLES);
    if (s->interrupted)
        fprintf(out, "interrupted: only what was measured until then\n");
    times_print(s, out);
    speedups_print(s, out);
    memory_print(s, out);
    counts_print(s, out);
    failures_print(s, out);
    if (s->options.peers)
        targets_print(s, out);
}
