/*
 * page.c: the report as one HTML page that needs nothing else.
 */
#include <errno.h>
#include <string.h>

#include "runner.h"

static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>hakmem "
    "benches</title>\n"
    "<style>body{font:15px/1.5 sans-serif;max-width:1200px;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0}th,td{padding:.25em .8em;text-align:right;"
    "border-bottom:1px solid #ccc}th:first-child,td:first-child{text-align:left}"
    "td.up{color:#060}td.down{color:#a00}td.failed{color:#a00;font-style:italic}"
    "p.verdict{font-size:1.25em}</style></head><body>\n<h1>hakmem benches</h1>\n";

static void html_text(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<')
            fputs("&lt;", file);
        else if (*text == '>')
            fputs("&gt;", file);
        else if (*text == '&')
            fputs("&amp;", file);
        else
            fputc(*text, file);
    }
}

static void cell_write(const struct comparison *s, FILE *file, unsigned row, unsigned v,
                       bool memory)
{
    double value = cell_median(s, row, (int)v, memory ? METRIC_PEAK_KB : METRIC_NS_PER_OP);
    double speedup = cell_speedup(s, row, (int)v, variant_of_kind(s, VARIANT_GLIBC));
    if (s->cells[row][v].failed > 0) {
        fputs("<td class=\"failed\">", file);
        html_text(file, s->cells[row][v].reason);
        fputs("</td>", file);
    } else if (isnan(value))
        fputs("<td>-</td>", file);
    else if (memory)
        fprintf(file, "<td>%.1f</td>", value / 1024);
    else if (isnan(speedup))
        fprintf(file, "<td>%.2f</td>", value);
    else
        fprintf(file, "<td class=\"%s\">%.2f (%.2f&times;)</td>", speedup < 1 ? "down" : "up",
                value, speedup);
}

static void table_write(const struct comparison *s, FILE *file, const char *title, bool memory)
{
    fprintf(file, "<h2>%s</h2>\n<table><tr><th>bench</th>", title);
    for (unsigned v = 0; v < s->variant_count; v++)
        if (variant_runs(&s->variants[v])) {
            fputs("<th>", file);
            html_text(file, s->variants[v].name);
            fputs("</th>", file);
        }
    fputs("</tr>\n", file);
    for (unsigned row = 0; row < s->row_count; row++) {
        const struct row *bench = &all_rows[s->rows[row]];
        if (!memory && !row_is_timed(s, row))
            continue;
        fprintf(file, "<tr><td title=\"%s %s\">%s</td>", bench->program,
                s->options.quick ? bench->quick_arguments : bench->arguments, bench->name);
        for (unsigned v = 0; v < s->variant_count; v++)
            if (variant_runs(&s->variants[v]))
                cell_write(s, file, row, v, memory);
        fputs("</tr>\n", file);
    }
    fputs("</table>\n", file);
}

static void verdict_write(const struct comparison *s, FILE *file)
{
    int hakmem = variant_of_kind(s, VARIANT_HAKMEM);
    int glibc = variant_of_kind(s, VARIANT_GLIBC);
    int header = variant_index(s, "hakmem-header");
    unsigned used;
    double to_glibc = speedup_geomean(s, hakmem, glibc, &used);
    fputs("<p class=\"verdict\">", file);
    if (isnan(to_glibc))
        fputs("hakmem was not measured.", file);
    else
        fprintf(file, "hakmem: %.3f &times; the throughput of glibc, geometric mean of %u benches.",
                to_glibc, used);
    if (header >= 0) {
        double to_header = speedup_geomean(s, hakmem, header, &used);
        if (!isnan(to_header))
            fprintf(file, " Without the header %.3f &times; the throughput with it.", to_header);
    }
    fputs("</p>\n", file);
    for (unsigned v = 0; v < s->variant_count; v++)
        if (s->variants[v].wanted && !s->variants[v].present) {
            fputs("<p>Variant ", file);
            html_text(file, s->variants[v].name);
            fputs(" is absent: its library was not found.</p>\n", file);
        }
}

static void targets_write(const struct comparison *s, FILE *file)
{
    fputs("<h2>Targets</h2>\n<table><tr><th>figure</th><th>wanted</th><th>measured</th>"
          "<th>verdict</th></tr>\n",
          file);
    for (unsigned i = 0; i < s->target_count; i++) {
        const struct target *target = &s->targets[i];
        fputs("<tr><td>", file);
        html_text(file, target->what);
        fputs("</td><td>", file);
        html_text(file, target->wanted);
        fputs("</td><td>", file);
        html_text(file, target->measured);
        fprintf(file, "</td><td>%s</td></tr>\n", verdict_names[target->verdict]);
    }
    fputs("</table>\n", file);
}

bool page_write(const struct comparison *s, const char *path)
{
    struct machine machine;
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        fprintf(stderr, "bench_runner: %s: %s\n", path, strerror(errno));
        return false;
    }
    machine_describe(s, &machine);
    fputs(page_head, file);
    verdict_write(s, file);
    fputs("<p>", file);
    html_text(file, machine.cpu);
    fprintf(file, ", %ld CPUs, Linux ", machine.cpus);
    html_text(file, machine.kernel);
    fputs(", THP ", file);
    html_text(file, machine.thp);
    fprintf(file, ", commit %s. %u rounds%s, order from seed %llu%s.</p>\n",
            machine.commit[0] ? machine.commit : "?", s->options.rounds,
            s->options.quick ? " of quick runs" : "", (unsigned long long)s->options.seed,
            s->interrupted ? ", interrupted" : "");
    table_write(s, file, "Nanoseconds an operation (throughput against glibc)", false);
    table_write(s, file, "Peak memory, MB", true);
    if (s->options.peers)
        targets_write(s, file);
    fputs("</body></html>\n", file);
    return fclose(file) == 0;
}
