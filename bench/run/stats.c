/*
 * stats.c: what is made of the samples: medians, ratios, geometric means.
 *
 * Pure arithmetic over struct comparison; a figure without samples is NAN and spreads as such.
 */
#include <string.h>

#include "runner.h"

unsigned cell_values(const struct comparison *s, unsigned row, unsigned variant, enum metric metric,
                     double *values)
{
    unsigned count = 0;
    for (unsigned i = 0; i < s->sample_count; i++) {
        const struct sample *sample = &s->samples[i];
        if (sample->row == row && sample->variant == variant && sample->ok &&
            !isnan(sample->value[metric]))
            values[count++] = sample->value[metric];
    }
    return count;
}

static void cell_metric_fill(struct comparison *s, unsigned row, unsigned variant, unsigned metric)
{
    static double values[MAX_ROUNDS];
    struct cell *cell = &s->cells[row][variant];
    unsigned count = cell_values(s, row, variant, metric, values);
    cell->median[metric] = median_of(values, count); /* which sorts them */
    cell->min[metric] = count == 0 ? NAN : values[0];
    cell->max[metric] = count == 0 ? NAN : values[count - 1];
}

void cells_fill(struct comparison *s)
{
    memset(s->cells, 0, sizeof s->cells);
    for (unsigned i = 0; i < s->sample_count; i++) {
        const struct sample *sample = &s->samples[i];
        struct cell *cell = &s->cells[sample->row][sample->variant];
        cell->samples += sample->ok && sample->run == RUN_TIMED;
        if (!sample->ok && cell->failed++ == 0)
            snprintf(cell->reason, sizeof cell->reason, "%s", sample->reason);
    }
    for (unsigned row = 0; row < s->row_count; row++)
        for (unsigned variant = 0; variant < s->variant_count; variant++)
            for (unsigned metric = 0; metric < METRIC_COUNT; metric++)
                cell_metric_fill(s, row, variant, metric);
}

bool row_is_timed(const struct comparison *s, unsigned row)
{
    return (all_rows[s->rows[row]].flags & ROW_MEMORY_ONLY) == 0;
}

enum metric row_metric(const struct comparison *s, unsigned row, enum metric metric)
{
    bool program = (all_rows[s->rows[row]].flags & ROW_PROGRAM) != 0;
    if (program && metric == METRIC_NS_PER_OP)
        return METRIC_WALL_S;
    if (program && metric == METRIC_PEAK_KB)
        return METRIC_MAXRSS_KB;
    return metric;
}

/* A cell with a failed run says so and takes no part in any comparison. */
double cell_median(const struct comparison *s, unsigned row, int variant, enum metric metric)
{
    if (variant < 0 || s->cells[row][variant].failed > 0)
        return NAN;
    return s->cells[row][variant].median[metric];
}

double cell_speedup(const struct comparison *s, unsigned row, int variant, int base)
{
    enum metric time = row_metric(s, row, METRIC_NS_PER_OP);
    if (!row_is_timed(s, row))
        return NAN;
    return cell_median(s, row, base, time) / cell_median(s, row, variant, time);
}

int best_peer(const struct comparison *s, unsigned row, enum metric metric)
{
    int best = -1;
    metric = row_metric(s, row, metric);
    for (unsigned i = 0; i < s->variant_count; i++) {
        if (s->variants[i].kind != VARIANT_PEER)
            continue;
        double value = cell_median(s, row, (int)i, metric);
        if (!isnan(value) && (best < 0 || value < cell_median(s, row, best, metric)))
            best = (int)i;
    }
    return best;
}

double speedup_geomean(const struct comparison *s, int variant, int base, unsigned *used)
{
    double log_sum = 0;
    *used = 0;
    for (unsigned row = 0; row < s->row_count; row++) {
        int against = base == BEST_PEER ? best_peer(s, row, METRIC_NS_PER_OP) : base;
        double speedup = cell_speedup(s, row, variant, against);
        if (isnan(speedup))
            continue;
        log_sum += log(speedup);
        (*used)++;
    }
    return *used == 0 ? NAN : exp(log_sum / *used);
}
