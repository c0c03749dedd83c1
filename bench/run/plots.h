/*
 * plots.h: figures as points on a line a row, drawn by gnuplot as SVG that stands in an HTML page.
 *
 * Owner: who fills in a struct plot; labels and names are borrowed. One thread.
 * Errors: a plot that cannot be drawn leaves a reason and nothing in the page.
 */
#ifndef HAK_BENCH_PLOTS_H
#define HAK_BENCH_PLOTS_H

#include "runner.h"

enum { PLOT_ROWS = MAX_ROWS + MAX_VARIANTS + 1, PLOT_SERIES = MAX_VARIANTS };

/* value NAN: no point. low or high NAN: no whiskers. */
struct plot_point {
    double value, low, high;
};

struct plot_row {
    const char *label;
    bool on_top; /* stays first when rows are sorted */
    struct plot_point points[PLOT_SERIES];
};

struct plot {
    const char *id;    /* unique in the page: letters and hyphens */
    const char *title; /* for who hears the page */
    const char *axis;
    bool side_by_side; /* the series of a row below each other; else each row has one point */
    const char *series[PLOT_SERIES];
    unsigned series_count;
    struct plot_row rows[PLOT_ROWS];
    unsigned row_count;
};

/* A new row, all of whose points are missing. */
struct plot_row *plot_row_add(struct plot *plot, const char *label);
/* The largest value of the first series that has one comes first. */
void plot_sort(struct plot *plot);
/* Writes an <svg>; reason has REASON_BYTES. False: nothing was written, the reason says why. */
bool plot_write(const struct plot *plot, FILE *out, char *reason);

#endif
