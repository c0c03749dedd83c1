/*
 * files.c: the samples as CSV, everything that was made of them as JSON.
 */
#include <errno.h>
#include <string.h>

#include "change.h"

enum { JSON_SCHEMA = 1 }; /* counts up when a name in it changes its meaning */

bool file_is_stdout(const char *path)
{
    return path != NULL && strcmp(path, "-") == 0;
}

static FILE *file_open(const char *path)
{
    FILE *file = file_is_stdout(path) ? stdout : fopen(path, "we");
    if (file == NULL)
        fprintf(stderr, "bench_runner: %s: %s\n", path, strerror(errno));
    return file;
}

static bool file_close(FILE *file, const char *path)
{
    bool failed = ferror(file) != 0;
    if ((file == stdout ? fflush(file) : fclose(file)) == 0 && !failed)
        return true;
    fprintf(stderr, "bench_runner: %s: %s\n", path, strerror(errno));
    return false;
}

static void csv_text(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    fputc('"', file);
}

bool csv_write(const struct comparison *s, const char *path)
{
    FILE *file = file_open(path);
    if (file == NULL)
        return false;
    static const char *const runs[RUN_KINDS] = {"timed", "latency", "calls"};
    fprintf(file, "bench,arguments,variant,run,round,ok,reason");
    for (unsigned i = 0; i < METRIC_COUNT; i++)
        fprintf(file, ",%s", metrics[i].name);
    fputc('\n', file);
    for (unsigned i = 0; i < s->sample_count; i++) {
        const struct sample *sample = &s->samples[i];
        const struct row *row = &all_rows[s->rows[sample->row]];
        csv_text(file, row->name);
        fputc(',', file);
        csv_text(file, row_arguments(row, s->options.quick));
        fprintf(file, ",%s,%s,%u,%d,", s->variants[sample->variant].name, runs[sample->run],
                sample->round + 1, sample->ok);
        csv_text(file, sample->reason);
        for (unsigned m = 0; m < METRIC_COUNT; m++) {
            fputc(',', file);
            if (!isnan(sample->value[m]))
                fprintf(file, "%.10g", sample->value[m]);
        }
        fputc('\n', file);
    }
    return file_close(file, path);
}

static void json_text(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fprintf(file, "\\%c", *text);
        else if ((unsigned char)*text < ' ')
            fprintf(file, "\\u%04x", (unsigned char)*text);
        else
            fputc(*text, file);
    }
    fputc('"', file);
}

static void json_text_member(FILE *file, const char *key, const char *text)
{
    fprintf(file, "\"%s\":", key);
    if (text[0] == '\0')
        fputs("null", file);
    else
        json_text(file, text);
}

static void json_number(FILE *file, double value)
{
    if (isnan(value) || isinf(value))
        fputs("null", file);
    else
        fprintf(file, "%.10g", value);
}

static void json_number_member(FILE *file, const char *key, double value)
{
    fprintf(file, "\"%s\":", key);
    json_number(file, value);
}

static void json_interval_members(FILE *file, double low, double high)
{
    json_number_member(file, "low", low);
    fputc(',', file);
    json_number_member(file, "high", high);
}

static void json_machine(const struct comparison *s, FILE *file)
{
    struct machine machine;
    machine_describe(&machine);
    fputs("\"machine\":{", file);
    json_text_member(file, "cpu", machine.cpu);
    fprintf(file, ",\"cpus\":%ld,", machine.cpus);
    json_text_member(file, "kernel", machine.kernel);
    fputc(',', file);
    json_text_member(file, "thp", machine.thp);
    fputc(',', file);
    json_text_member(file, "hugepages", machine.hugepages);
    fputc(',', file);
    json_text_member(file, "commit", s->commit);
    fputc(',', file);
    json_text_member(file, "build", machine.build);
    fprintf(file, "},\n\"rounds\":%u,\"quick\":%s,\"seed\":%llu,\"interrupted\":%s,\n",
            s->options.rounds, s->options.quick ? "true" : "false",
            (unsigned long long)s->options.seed, s->interrupted ? "true" : "false");
    json_number_member(file, "threshold_percent", s->options.threshold_percent);
    fputs(",\n", file);
}

static void json_mean(const struct comparison *s, int variant, int base, FILE *file)
{
    struct change_mean mean = change_mean_of(s, variant, base, METRIC_NS_PER_OP);
    fputc('{', file);
    json_number_member(file, "ratio", mean.ratio);
    fputc(',', file);
    json_interval_members(file, mean.low, mean.high);
    fprintf(file, ",\"benches\":%u}", mean.benches);
}

static void json_change(const struct comparison *s, unsigned row, int base, enum metric metric,
                        FILE *file)
{
    struct change change = change_of(s, row, variant_of_kind(s, VARIANT_HAKMEM), base, metric);
    json_text(file, metrics[row_metric(s, row, metric)].name);
    fputs(":{", file);
    json_number_member(file, "ratio", change.ratio);
    fputc(',', file);
    json_interval_members(file, change.low, change.high);
    fputc(',', file);
    json_number_member(file, "p", change.p);
    fputc(',', file);
    json_number_member(file, "p_holm", change.p_holm);
    fputc(',', file);
    json_text_member(file, "verdict", change_verdict_word(change.verdict, metric));
    fputc('}', file);
}

/* Those of which less is better. */
static const enum metric compared[] = {
    METRIC_NS_PER_OP, METRIC_PEAK_KB, METRIC_AFTER_KB, METRIC_MINOR_FAULTS, METRIC_VMAS,
    METRIC_P50_NS,    METRIC_P99_NS,  METRIC_P999_NS,  METRIC_MEMORY_CALLS,
};
enum { COMPARED = sizeof compared / sizeof compared[0] };

/* hakmem against each other variant: ratios above 1 are better for hakmem. */
static void json_changes(const struct comparison *s, unsigned row, FILE *file)
{
    int hakmem = variant_of_kind(s, VARIANT_HAKMEM);
    bool first = true;
    fputs(",\n  \"hakmem_against\":{", file);
    for (unsigned v = 0; v < s->variant_count && hakmem >= 0; v++) {
        if ((int)v == hakmem || !variant_runs(&s->variants[v]))
            continue;
        fputs(first ? "\n   " : ",\n   ", file);
        first = false;
        json_text(file, s->variants[v].name);
        fputs(":{", file);
        for (unsigned i = 0; i < COMPARED; i++) {
            fputs(i > 0 ? "," : "", file);
            json_change(s, row, (int)v, compared[i], file);
        }
        fputc('}', file);
    }
    fputc('}', file);
}

static void json_variant(const struct comparison *s, unsigned v, FILE *file)
{
    const struct variant *variant = &s->variants[v];
    const struct probe *probe = &s->probes[v];
    unsigned used;
    fputs(v == 0 ? "\n " : ",\n ", file);
    fputc('{', file);
    json_text_member(file, "name", variant->name);
    fputc(',', file);
    json_text_member(file, "library", variant->library);
    fprintf(file, ",\"present\":%s,\"measured\":%s,", variant->present ? "true" : "false",
            variant_runs(variant) ? "true" : "false");
    json_number_member(file, "geomean_to_glibc",
                       speedup_geomean(s, (int)v, variant_of_kind(s, VARIANT_GLIBC), &used));
    fputc(',', file);
    json_number_member(file, "geomean_to_best_peer", speedup_geomean(s, (int)v, BEST_PEER, &used));
    fputs(",\"throughput_to_glibc\":", file);
    json_mean(s, (int)v, variant_of_kind(s, VARIANT_GLIBC), file);
    fputs(",\"throughput_of_hakmem_to_it\":", file);
    json_mean(s, variant_of_kind(s, VARIANT_HAKMEM), (int)v, file);
    fputc(',', file);
    json_number_member(file, "malloc_hit_instructions", probe->malloc_instructions);
    fputc(',', file);
    json_number_member(file, "free_hit_instructions", probe->free_instructions);
    fputc(',', file);
    json_number_member(file, "pair_instructions", probe->pair_instructions);
    fputc(',', file);
    json_number_member(file, "mutex_acquisitions", probe->mutex_acquisitions);
    fputc(',', file);
    json_number_member(file, "futex_calls", probe->calls.futex);
    fputc(',', file);
    json_number_member(file, "memory_calls", probe->calls.memory);
    fputc('}', file);
}

static void json_cell(const struct comparison *s, unsigned row, unsigned v, FILE *file)
{
    const struct cell *cell = &s->cells[row][v];
    json_text(file, s->variants[v].name);
    fprintf(file, ":{\"samples\":%u,\"failed\":%u,", cell->samples, cell->failed);
    json_text_member(file, "reason", cell->reason);
    fputc(',', file);
    json_number_member(file, "speedup_to_glibc",
                       cell_speedup(s, row, (int)v, variant_of_kind(s, VARIANT_GLIBC)));
    fputc(',', file);
    json_number_member(file, "speedup_to_best_peer",
                       cell_speedup(s, row, (int)v, best_peer(s, row, METRIC_NS_PER_OP)));
    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        struct interval interval = cell_interval(s, row, (int)v, (enum metric)m);
        fprintf(file, ",\"%s\":{", metrics[m].name);
        json_number_member(file, "median", cell->median[m]);
        fputc(',', file);
        json_number_member(file, "min", cell->min[m]);
        fputc(',', file);
        json_number_member(file, "max", cell->max[m]);
        fputc(',', file);
        json_interval_members(file, interval.low, interval.high);
        fputc('}', file);
    }
    fputc('}', file);
}

static void json_row(const struct comparison *s, unsigned row, FILE *file)
{
    const struct row *bench = &all_rows[s->rows[row]];
    bool first = true;
    fputs(row == 0 ? "\n {" : ",\n {", file);
    json_text_member(file, "name", bench->name);
    fputc(',', file);
    json_text_member(file, "program", bench->program);
    fputc(',', file);
    json_text_member(file, "arguments", row_arguments(bench, s->options.quick));
    fputs(",\"variants\":{", file);
    for (unsigned v = 0; v < s->variant_count; v++) {
        if (!variant_runs(&s->variants[v]))
            continue;
        fputs(first ? "\n  " : ",\n  ", file);
        first = false;
        json_cell(s, row, v, file);
    }
    fputc('}', file);
    json_changes(s, row, file);
    fputc('}', file);
}

bool json_write(const struct comparison *s, const char *path)
{
    FILE *file = file_open(path);
    if (file == NULL)
        return false;
    fprintf(file, "{\n\"schema\":%d,\n", JSON_SCHEMA);
    json_machine(s, file);
    fputs("\"variants\":[", file);
    for (unsigned v = 0; v < s->variant_count; v++)
        json_variant(s, v, file);
    fputs("],\n\"benches\":[", file);
    for (unsigned row = 0; row < s->row_count; row++)
        json_row(s, row, file);
    fputs("],\n\"targets\":[", file);
    for (unsigned i = 0; i < s->target_count; i++) {
        fputs(i == 0 ? "\n {" : ",\n {", file);
        json_text_member(file, "what", s->targets[i].what);
        fputc(',', file);
        json_text_member(file, "wanted", s->targets[i].wanted);
        fputc(',', file);
        json_text_member(file, "measured", s->targets[i].measured);
        fputc(',', file);
        json_text_member(file, "verdict", verdict_names[s->targets[i].verdict]);
        fputc('}', file);
    }
    fputs("]\n}\n", file);
    return file_close(file, path);
}
