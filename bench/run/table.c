/*
 * table.c: the report on a terminal.
 */
#include <string.h>

#include "change.h"

enum { NAME_WIDTH = 18, CELL_WIDTH = 13 };

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

static double figure_faults(const struct comparison *s, unsigned row, int variant)
{
    return cell_median(s, row, variant, METRIC_MINOR_FAULTS);
}

static double figure_calls(const struct comparison *s, unsigned row, int variant)
{
    return cell_median(s, row, variant, METRIC_MEMORY_CALLS);
}

static double figure_vmas(const struct comparison *s, unsigned row, int variant)
{
    return cell_median(s, row, variant, METRIC_VMAS);
}

/* Of the pool and transparent ones. */
static double figure_huge_mb(const struct comparison *s, unsigned row, int variant)
{
    return (cell_median(s, row, variant, METRIC_HUGETLB_KB) +
            cell_median(s, row, variant, METRIC_THP_KB)) /
           1024;
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

/* "   1.203 [1.152, 1.261] faster"; nothing if there is no ratio. */
static void change_print(FILE *out, const struct change *change, enum metric metric)
{
    if (isnan(change->ratio))
        return;
    fprintf(out, "   %.3f", change->ratio);
    if (!isnan(change->low))
        fprintf(out, " [%.3f, %.3f]", change->low, change->high);
    fprintf(out, " %s",
            change->verdict == CHANGE_UNKNOWN ? "-" : change_verdict_word(change->verdict, metric));
}

static void mean_print(FILE *out, const struct change_mean *mean)
{
    if (isnan(mean->ratio))
        return;
    fprintf(out, "   %.3f", mean->ratio);
    if (!isnan(mean->low))
        fprintf(out, " [%.3f, %.3f]", mean->low, mean->high);
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

/* What a program used; it has no operations. */
static void program_print(const struct comparison *s, FILE *out)
{
    static const struct {
        enum metric metric;
        const char *name, *format;
    } lines[] = {
        {METRIC_WALL_S, "wall clock, s", "%.4f"},     {METRIC_USER_S, "user, s", "%.4f"},
        {METRIC_SYSTEM_S, "system, s", "%.4f"},       {METRIC_MAXRSS_KB, "peak memory, kB", "%.0f"},
        {METRIC_MINOR_FAULTS, "page faults", "%.0f"}, {METRIC_MEMORY_CALLS, "memory calls", "%.0f"},
    };
    const struct row *program = &all_rows[s->rows[0]];
    char title[256];
    snprintf(title, sizeof title, "%.100s%s%.100s (median of %u)", program->program,
             program->arguments[0] == '\0' ? "" : " ", program->arguments, s->options.rounds);
    header_print(s, out, title, "");
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        fprintf(out, "%-*s", NAME_WIDTH, lines[i].name);
        for (unsigned v = 0; v < s->variant_count; v++)
            if (variant_runs(&s->variants[v]))
                number_print(out, cell_median(s, 0, (int)v, lines[i].metric), lines[i].format);
        fputc('\n', out);
    }
}

/* The last column of a row: hakmem against its header mode or the best peer of the bench. */
static void rival_print(const struct comparison *s, FILE *out, unsigned row, int hakmem)
{
    if (s->options.ab) {
        struct change change =
            change_of(s, row, hakmem, variant_index(s, "hakmem-header"), METRIC_NS_PER_OP);
        change_print(out, &change, METRIC_NS_PER_OP);
        return;
    }
    int rival = best_peer(s, row, METRIC_NS_PER_OP);
    double speedup = cell_speedup(s, row, hakmem, rival);
    if (!isnan(speedup))
        fprintf(out, "   %.2f (%s)", speedup, s->variants[rival].name);
}

static void speedup_means_print(const struct comparison *s, FILE *out, int hakmem)
{
    unsigned used = 0;
    fprintf(out, "%-*s", NAME_WIDTH, "geometric mean");
    for (unsigned v = 0; v < s->variant_count; v++)
        if (variant_runs(&s->variants[v]))
            number_print(out, speedup_geomean(s, (int)v, variant_of_kind(s, VARIANT_GLIBC), &used),
                         "%.3f");
    double against_peers = speedup_geomean(s, hakmem, BEST_PEER, &used);
    if (s->options.ab) {
        struct change_mean mean =
            change_mean_of(s, hakmem, variant_index(s, "hakmem-header"), METRIC_NS_PER_OP);
        mean_print(out, &mean);
    } else if (!isnan(against_peers))
        fprintf(out, "   %.3f", against_peers);
    fputc('\n', out);
}

/* hakmem against itself: what differs there is chance, and so may be all that differs as little. */
static void control_print(const struct comparison *s, FILE *out, int hakmem)
{
    int control = variant_index(s, CONTROL_NAME);
    struct change_mean mean = change_mean_of(s, control, hakmem, METRIC_NS_PER_OP);
    if (isnan(mean.ratio))
        return;
    fprintf(out, "control: hakmem against itself");
    mean_print(out, &mean);
    fprintf(out, "; no verdict above may be smaller than the control's\n");
    for (unsigned row = 0; row < s->row_count; row++) {
        struct change change = change_of(s, row, control, hakmem, METRIC_NS_PER_OP);
        if (change.verdict != CHANGE_FASTER && change.verdict != CHANGE_SLOWER)
            continue;
        fprintf(out, "warning: control, %s: hakmem against itself", all_rows[s->rows[row]].name);
        change_print(out, &change, METRIC_NS_PER_OP);
        fprintf(out, ": this machine is not quiet enough\n");
    }
}

static void verdicts_explain(const struct comparison *s, FILE *out)
{
    fprintf(out,
            "[95 %% interval of the ratio]; faster or slower: all of it beyond %g %% and p < 0.05 "
            "after Holm's\ncorrection over the benches; same: all of it within; -: not to be told "
            "from these samples\n",
            s->options.threshold_percent);
}

static void speedups_print(const struct comparison *s, FILE *out)
{
    int hakmem = variant_of_kind(s, VARIANT_HAKMEM);
    header_print(s, out, "throughput, glibc = 1 (more is better)",
                 s->options.ab ? "   hakmem / its header mode" : "   hakmem / best peer");
    for (unsigned row = 0; row < s->row_count; row++) {
        if (!row_is_timed(s, row))
            continue;
        row_print(s, out, row, figure_speedup, "%.2f");
        rival_print(s, out, row, hakmem);
        fputc('\n', out);
    }
    speedup_means_print(s, out, hakmem);
    if (!s->options.ab)
        return;
    verdicts_explain(s, out);
    control_print(s, out, hakmem);
}

static void memory_print(const struct comparison *s, FILE *out)
{
    int hakmem = variant_of_kind(s, VARIANT_HAKMEM);
    int header = variant_index(s, "hakmem-header");
    header_print(s, out, "peak memory, MB", header >= 0 ? "   header mode / hakmem" : "");
    for (unsigned row = 0; row < s->row_count; row++) {
        struct change change = change_of(s, row, hakmem, header, METRIC_PEAK_KB);
        row_print(s, out, row, figure_peak_mb, "%.1f");
        change_print(out, &change, METRIC_PEAK_KB);
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

/* Each backing of the heap against ordinary pages. */
static void backings_print(const struct comparison *s, FILE *out)
{
    int base = variant_of_kind(s, VARIANT_HAKMEM);
    for (unsigned v = 0; v < s->variant_count; v++) {
        if ((int)v == base || s->variants[v].kind == VARIANT_GLIBC ||
            !variant_runs(&s->variants[v]))
            continue;
        fprintf(out, "\n%s over hakmem on ordinary pages\n%-*s   throughput; peak memory\n",
                s->variants[v].name, NAME_WIDTH, "bench");
        for (unsigned row = 0; row < s->row_count; row++) {
            struct change faster = change_of(s, row, (int)v, base, METRIC_NS_PER_OP);
            struct change memory = change_of(s, row, (int)v, base, METRIC_PEAK_KB);
            fprintf(out, "%-*s", NAME_WIDTH, all_rows[s->rows[row]].name);
            change_print(out, &faster, METRIC_NS_PER_OP);
            fputc(';', out);
            change_print(out, &memory, METRIC_PEAK_KB);
            fputc('\n', out);
        }
        struct change_mean faster = change_mean_of(s, (int)v, base, METRIC_NS_PER_OP);
        struct change_mean memory = change_mean_of(s, (int)v, base, METRIC_PEAK_KB);
        fprintf(out, "%-*s", NAME_WIDTH, "geometric mean");
        mean_print(out, &faster);
        fputc(';', out);
        mean_print(out, &memory);
        fputc('\n', out);
    }
    verdicts_explain(s, out);
}

/* One figure of every bench, without a comparison. */
static void figures_print(const struct comparison *s, FILE *out, const char *title,
                          cell_figure *figure)
{
    header_print(s, out, title, "");
    for (unsigned row = 0; row < s->row_count; row++) {
        row_print(s, out, row, figure, "%.0f");
        fputc('\n', out);
    }
}

static void latency_cell_print(const struct comparison *s, FILE *out, unsigned row, int variant)
{
    char text[48] = "-";
    double p50_ns = cell_median(s, row, variant, METRIC_P50_NS);
    if (!isnan(p50_ns))
        snprintf(text, sizeof text, "%.0f/%.0f/%.0f", p50_ns,
                 cell_median(s, row, variant, METRIC_P99_NS),
                 cell_median(s, row, variant, METRIC_P999_NS));
    fprintf(out, " %*s", CELL_WIDTH, s->cells[row][variant].failed > 0 ? "failed" : text);
}

static bool has_latency(const struct comparison *s, unsigned row)
{
    for (unsigned v = 0; v < s->variant_count; v++)
        if (!isnan(cell_median(s, row, (int)v, METRIC_P50_NS)))
            return true;
    return false;
}

static void latencies_print(const struct comparison *s, FILE *out)
{
    if (s->options.latency_rounds <= 0)
        return;
    header_print(s, out, "nanoseconds of one call with the clock's own: p50/p99/p99.9", "");
    for (unsigned row = 0; row < s->row_count; row++) {
        if (!has_latency(s, row))
            continue;
        fprintf(out, "%-*s", NAME_WIDTH, all_rows[s->rows[row]].name);
        for (unsigned v = 0; v < s->variant_count; v++)
            if (variant_runs(&s->variants[v]))
                latency_cell_print(s, out, row, (int)v);
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
        number_print(out, probe->calls.futex, "%.0f");
        number_print(out, probe->calls.memory, "%.0f");
        fprintf(out, "   %s\n", probe->calls.by_name);
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

static void warnings_print(const struct comparison *s, FILE *out)
{
    if (s->options.rounds < SAMPLES_LEAST)
        fprintf(out, "warning: fewer than %d samples a cell, differences may be chance\n",
                SAMPLES_LEAST);
    else if (s->options.ab && verdicts_out_of_reach(s->options.rounds, s->row_count))
        fprintf(out, "warning: %u samples are too few for a verdict over %u benches\n",
                s->options.rounds, s->row_count);
    if (s->interrupted)
        fprintf(out, "interrupted: only what was measured until then\n");
}

/* All that is not a time. */
static void benches_print(const struct comparison *s, FILE *out)
{
    memory_print(s, out);
    latencies_print(s, out);
    if (!s->options.ab && !s->options.huge)
        return;
    figures_print(s, out, "page faults", figure_faults);
    if (s->options.huge)
        figures_print(s, out, "huge pages with all blocks in use, MB", figure_huge_mb);
    if (s->options.ab && s->options.calls)
        figures_print(s, out, "system calls for memory, under strace", figure_calls);
    figures_print(s, out, "mappings (VMAs) with all blocks in use", figure_vmas);
}

void table_print(const struct comparison *s, FILE *out)
{
    struct machine machine;
    machine_describe(&machine);
    fprintf(out, "%s, %ld CPUs, Linux %s, THP %s, huge pages %s, commit %s\n", machine.cpu,
            machine.cpus, machine.kernel, machine.thp[0] ? machine.thp : "?",
            machine.hugepages[0] ? machine.hugepages : "?", s->commit[0] ? s->commit : "?");
    fprintf(out, "%s\n", machine.build);
    fprintf(out, "%u rounds%s, order from seed %llu\n", s->options.rounds,
            s->options.quick ? " of quick runs" : "", (unsigned long long)s->options.seed);
    for (unsigned v = 0; v < s->variant_count; v++)
        if (s->variants[v].wanted && !s->variants[v].present)
            fprintf(out, "variant %s: absent\n", s->variants[v].name);
    warnings_print(s, out);
    if (s->options.program != NULL)
        program_print(s, out);
    else
        times_print(s, out);
    speedups_print(s, out);
    if (s->options.program == NULL)
        benches_print(s, out);
    if (s->options.huge)
        backings_print(s, out);
    counts_print(s, out);
    failures_print(s, out);
    if (s->options.peers && s->options.program == NULL && s->options.trace == NULL)
        targets_print(s, out);
}
