/*
 * plots.c: gnuplot as a child process that draws ratios as SVG.
 *
 * The script and the picture lie in a directory of their own under $TMPDIR, which is removed
 * before plot_write() returns. Names come from the command line: what gnuplot could take for
 * anything but text is left out of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plots.h"

extern char **environ;

enum {
    WIDTH_PX = 580,
    FONT_PX = 15,
    LETTER_PX = 9, /* at most, on average */
    ROW_PX = 27,
    SERIES_PX = 11,  /* between the points of a row, side by side */
    ROW_GAP_PX = 14, /* and between such rows */
    AXIS_PX = 66,    /* below the rows */
    KEY_PX = 24,     /* a line of names above the rows */
    KEY_GAP_PX = 12,
    KEY_SYMBOL_PX = 22,
    FIGURE_PX = 66, /* right of the rows */
    MARGIN_PX = 16,
    TICS = 6,
    SVG_BYTES = 1 << 20,
};

/* Log scale from this ratio of the largest to the smallest value on. */
#define LOG_SCALE_FROM 3.0
/* and with more marks up to this one. */
#define NARROW_BELOW 12.0

/* Colours that stay apart for those who see fewer of them; shapes that stay apart without any. */
static const struct {
    const char *colour;
    int shape;
} looks[] = {
    {"#0060a8", 7},  {"#c04a00", 5}, {"#00775a", 9}, {"#a03a80", 13},
    {"#8a6a00", 11}, {"#444444", 6}, {"#2a9fd6", 4}, {"#d07000", 8},
};
enum { LOOKS = sizeof looks / sizeof looks[0] };

/* The files of one plot. */
struct workplace {
    char directory[PATH_MAX];
    char script[PATH_MAX + 16], picture[PATH_MAX + 16], errors[PATH_MAX + 16];
};

struct plot_row *plot_row_add(struct plot *plot, const char *label)
{
    static struct plot_row surplus; /* beyond the last: not drawn */
    struct plot_row *row = plot->row_count < PLOT_ROWS ? &plot->rows[plot->row_count++] : &surplus;
    *row = (struct plot_row){.label = label};
    for (unsigned i = 0; i < PLOT_SERIES; i++)
        row->points[i] = (struct plot_point){NAN, NAN, NAN};
    return row;
}

static double row_value(const struct plot_row *row)
{
    for (unsigned i = 0; i < PLOT_SERIES; i++)
        if (isfinite(row->points[i].value))
            return row->points[i].value;
    return 0;
}

static int row_order(const void *a, const void *b)
{
    const struct plot_row *x = (const struct plot_row *)a;
    const struct plot_row *y = (const struct plot_row *)b;
    if (x->on_top != y->on_top)
        return x->on_top ? -1 : 1;
    return (row_value(x) < row_value(y)) - (row_value(x) > row_value(y));
}

void plot_sort(struct plot *plot)
{
    qsort(plot->rows, plot->row_count, sizeof plot->rows[0], row_order);
}

/* ---- the script --------------------------------------------------------------------------------
 */

/* In single quotes, nothing in a name means anything but itself. */
static void name_write(FILE *script, const char *name)
{
    fputc('\'', script);
    for (; *name != '\0'; name++)
        fputc((unsigned char)*name < ' ' || strchr("'\"\\`@", *name) != NULL ? '?' : *name, script);
    fputc('\'', script);
}

static bool has_point(const struct plot_point *point)
{
    return isfinite(point->value) && point->value > 0;
}

static bool has_interval(const struct plot_point *point)
{
    return has_point(point) && isfinite(point->low) && isfinite(point->high) && point->low > 0;
}

static unsigned points_count(const struct plot *plot, unsigned series, bool intervals)
{
    unsigned count = 0;
    for (unsigned i = 0; i < plot->row_count; i++)
        count += intervals ? has_interval(&plot->rows[i].points[series])
                           : has_point(&plot->rows[i].points[series]);
    return count;
}

static unsigned row_px(const struct plot *plot)
{
    return plot->side_by_side ? plot->series_count * SERIES_PX + ROW_GAP_PX : ROW_PX;
}

/* The names of the series stand in columns above the rows. */
struct key {
    unsigned columns, column_px, height_px;
};

static struct key key_of(const struct plot *plot)
{
    struct key key = {.columns = 1};
    unsigned names = 0;
    size_t longest = 0;
    for (unsigned i = 0; i < plot->series_count; i++) {
        size_t length = points_count(plot, i, false) > 0 ? strlen(plot->series[i]) : 0;
        names += length > 0;
        longest = length > longest ? length : longest;
    }
    key.column_px = KEY_SYMBOL_PX + MARGIN_PX + (unsigned)longest * LETTER_PX;
    if (key.column_px < WIDTH_PX - 2 * MARGIN_PX)
        key.columns = (WIDTH_PX - 2 * MARGIN_PX) / key.column_px;
    key.height_px = (names + key.columns - 1) / key.columns * KEY_PX + KEY_GAP_PX;
    return key;
}

static unsigned height_px(const struct plot *plot)
{
    return plot->row_count * row_px(plot) + AXIS_PX + key_of(plot).height_px;
}

/* Rows lie at 0, -1, -2 and so on. */
static double point_height(const struct plot *plot, unsigned row, unsigned series)
{
    double middle = (plot->series_count - 1) / 2.0;
    double shift = plot->side_by_side ? (middle - series) * SERIES_PX / row_px(plot) : 0;
    return shift - row;
}

/* From the smallest to the largest that is drawn, 1 among them. */
static void range_of(const struct plot *plot, double *min, double *max)
{
    *min = *max = 1;
    for (unsigned i = 0; i < plot->row_count; i++)
        for (unsigned j = 0; j < plot->series_count; j++) {
            const struct plot_point *point = &plot->rows[i].points[j];
            if (!has_point(point))
                continue;
            *min = fmin(*min, has_interval(point) ? point->low : point->value);
            *max = fmax(*max, has_interval(point) ? point->high : point->value);
        }
}

static void tics_write(double min, double max, FILE *script)
{
    static const double steps[] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5};
    unsigned i = 0;
    while (i + 1 < sizeof steps / sizeof steps[0] && (max - min) / steps[i] > TICS)
        i++;
    fprintf(script, "set xtics %.6g\n", steps[i]);
}

static void log_tics_write(double min, double max, FILE *script)
{
    static const double wide[] = {1, 2, 5};
    static const double narrow[] = {1, 1.5, 2, 3, 5, 7};
    bool is_narrow = max / min < NARROW_BELOW;
    const double *steps = is_narrow ? narrow : wide;
    unsigned count = is_narrow ? sizeof narrow / sizeof narrow[0] : sizeof wide / sizeof wide[0];
    fputs("set logscale x\nset xtics (1", script);
    for (int power = -4; power <= 5; power++)
        for (unsigned i = 0; i < count; i++) {
            double tic = steps[i] * pow(10, power);
            if (tic != 1 && tic >= min && tic <= max)
                fprintf(script, ", '%.4g' %.4g", tic, tic);
        }
    fputs(")\n", script);
}

static void axis_write(const struct plot *plot, FILE *script)
{
    double min, max;
    range_of(plot, &min, &max);
    bool log_scale = max / min > LOG_SCALE_FROM;
    double margin = fmax(pow(max / min, 0.06), 1.01);
    min /= margin;
    max *= margin;
    fprintf(script, "set xrange [%.6g:%.6g]\n", min, max);
    if (log_scale)
        log_tics_write(min, max, script);
    else
        tics_write(min, max, script);
    fprintf(script, "set xtics nomirror scale 0.4\nset xlabel '%s%s'\n", plot->axis,
            log_scale ? ", logarithmic" : "");
}

static void rows_write(const struct plot *plot, FILE *script)
{
    fprintf(script, "set yrange [%.6g:%.6g]\nset ytics scale 0 (", 0.5 - plot->row_count, 0.5);
    for (unsigned i = 0; i < plot->row_count; i++) {
        fputs(i == 0 ? "" : ", ", script);
        name_write(script, plot->rows[i].label);
        fprintf(script, " -%u", i);
    }
    fputs(")\n", script);
    if (plot->side_by_side)
        return;
    fputs("set y2tics scale 0 (", script); /* the figures themselves, at the right end */
    for (unsigned i = 0; i < plot->row_count; i++)
        fprintf(script, "%s'%.3f' -%u", i == 0 ? "" : ", ", row_value(&plot->rows[i]), i);
    fprintf(script, ")\nset y2range [%.6g:%.6g]\n", 0.5 - plot->row_count, 0.5);
}

/* Where the rows lie in the picture, as parts of its width and height. */
static void margins_write(const struct plot *plot, FILE *script)
{
    double height = height_px(plot);
    size_t longest = 0;
    for (unsigned i = 0; i < plot->row_count; i++) {
        size_t length = strlen(plot->rows[i].label);
        longest = length > longest ? length : longest;
    }
    double left = fmin(MARGIN_PX + (double)longest * LETTER_PX, WIDTH_PX / 2.0) / WIDTH_PX;
    double right = 1 - (double)(plot->side_by_side ? MARGIN_PX : FIGURE_PX) / WIDTH_PX;
    fprintf(script,
            "set lmargin at screen %.4f\nset rmargin at screen %.4f\n"
            "set tmargin at screen %.4f\nset bmargin at screen %.4f\n",
            left, right, 1 - key_of(plot).height_px / height, AXIS_PX / height);
}

static void key_write(const struct plot *plot, FILE *script)
{
    struct key key = key_of(plot);
    unsigned place = 0;
    fputs("unset key\n", script);
    for (unsigned i = 0; i < plot->series_count; i++) {
        if (points_count(plot, i, false) == 0)
            continue;
        fputs("set label ", script);
        name_write(script, plot->series[i]);
        fprintf(script,
                " at screen %.4f, screen %.4f point pointtype %d pointsize 0.9 linecolor rgb '%s' "
                "offset character 0.8, -0.3\n",
                (MARGIN_PX + place % key.columns * (double)key.column_px) / WIDTH_PX,
                1 - (KEY_PX / 2.0 + place / key.columns * (double)KEY_PX) / height_px(plot),
                looks[i % LOOKS].shape, looks[i % LOOKS].colour);
        place++;
    }
}

/* $P3 are the points of series 3, $W3 its whiskers: from, height, length. */
static void points_write(const struct plot *plot, unsigned series, FILE *script)
{
    fprintf(script, "$P%u << END\n", series);
    for (unsigned i = 0; i < plot->row_count; i++)
        if (has_point(&plot->rows[i].points[series]))
            fprintf(script, "%.8g %.6g\n", plot->rows[i].points[series].value,
                    point_height(plot, i, series));
    fprintf(script, "END\n$W%u << END\n", series);
    for (unsigned i = 0; i < plot->row_count; i++) {
        const struct plot_point *point = &plot->rows[i].points[series];
        if (has_interval(point))
            fprintf(script, "%.8g %.6g %.8g\n", point->low, point_height(plot, i, series),
                    point->high - point->low);
    }
    fputs("END\n", script);
}

static void script_write(const struct plot *plot, const char *picture, FILE *script)
{
    fprintf(script,
            "set terminal svg size %d,%u dynamic noenhanced font 'sans-serif,%d' background "
            "'#ffffff'\nset output '%s'\n",
            WIDTH_PX, height_px(plot), FONT_PX, picture);
    fputs("set border 1\nset grid xtics linetype 1 linecolor rgb '#dddddd'\n"
          "set arrow from 1, graph 0 to 1, graph 1 nohead linewidth 1.5 linecolor rgb '#333333'\n",
          script);
    margins_write(plot, script);
    key_write(plot, script);
    axis_write(plot, script);
    rows_write(plot, script);
    for (unsigned i = 0; i < plot->series_count; i++)
        points_write(plot, i, script);
    const char *before = "plot ";
    for (unsigned i = 0; i < plot->series_count; i++) {
        const char *colour = looks[i % LOOKS].colour;
        if (points_count(plot, i, true) > 0) {
            fprintf(script,
                    "%s$W%u using 1:2:3:(0) with vectors nohead linewidth 2 linecolor rgb "
                    "'%s'",
                    before, i, colour);
            before = ", ";
        }
        if (points_count(plot, i, false) == 0)
            continue;
        fprintf(script,
                "%s$P%u using 1:2 with points pointtype %d pointsize 0.9 linecolor rgb "
                "'%s'",
                before, i, looks[i % LOOKS].shape, colour);
        before = ", ";
    }
    fputs("\n", script);
}

/* ---- the child ---------------------------------------------------------------------------------
 */

static bool workplace_make(struct workplace *place, char *reason)
{
    const char *parent = getenv("TMPDIR");
    snprintf(place->directory, sizeof place->directory, "%s/bench_runner.XXXXXX",
             parent != NULL && strchr(parent, '\'') == NULL ? parent : "/tmp");
    if (mkdtemp(place->directory) == NULL) {
        snprintf(reason, REASON_BYTES, "no temporary directory: %s", strerror(errno));
        return false;
    }
    snprintf(place->script, sizeof place->script, "%s/script", place->directory);
    snprintf(place->picture, sizeof place->picture, "%s/picture.svg", place->directory);
    snprintf(place->errors, sizeof place->errors, "%s/errors", place->directory);
    return true;
}

static void workplace_remove(const struct workplace *place)
{
    unlink(place->script);
    unlink(place->picture);
    unlink(place->errors);
    rmdir(place->directory);
}

/* The whole file, NUL-terminated and to be freed; NULL: it is not there, is empty or too long. */
static char *file_read(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = file == NULL ? NULL : malloc(SVG_BYTES);
    size_t length = text == NULL ? 0 : fread(text, 1, SVG_BYTES, file);
    if (file != NULL)
        fclose(file);
    if (length == 0 || length == SVG_BYTES) {
        free(text);
        return NULL;
    }
    text[length] = '\0';
    return text;
}

static void gnuplot_explain(const struct workplace *place, int status, char *reason)
{
    char *errors = file_read(place->errors);
    const char *text = errors == NULL ? "" : errors + strspn(errors, " \n");
    if (WIFSIGNALED(status))
        snprintf(reason, REASON_BYTES, "gnuplot: %s", strsignal(WTERMSIG(status)));
    else
        snprintf(reason, REASON_BYTES, "gnuplot: exit status %d %.*s", WEXITSTATUS(status),
                 (int)strcspn(text, "\n"), text);
    free(errors);
}

/* Not launch_run(): a report is also written after Ctrl-C, which ends what that runs. */
static bool gnuplot_run(struct workplace *place, char *reason)
{
    char program[] = "gnuplot";
    char defaults[] = "--default-settings"; /* nothing of the user's */
    char *const argv[] = {program, defaults, place->script, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, place->errors,
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int error = posix_spawnp(&child, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        snprintf(reason, REASON_BYTES, "%s",
                 error == ENOENT ? "gnuplot is not installed (gnuplot-nox in Debian)"
                                 : strerror(error));
        return false;
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0)
        gnuplot_explain(place, status, reason);
    return status == 0;
}

/* ---- the picture -------------------------------------------------------------------------------
 */

/* Goes on behind `text` if it starts with `word`. */
static bool skip_word(const char **text, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*text, word, length) != 0)
        return false;
    *text += length;
    return true;
}

static bool skip_element(const char **text, const char *open, const char *close)
{
    const char *end = strncmp(*text, open, strlen(open)) == 0 ? strstr(*text, close) : NULL;
    if (end != NULL)
        *text = end + strlen(close);
    return end != NULL;
}

/* What stands within <svg>, made unique: several pictures share one page and its ids. */
static void picture_copy(const char *text, const char *id, FILE *out)
{
    while (*text != '\0') {
        if (skip_element(&text, "<title>", "</title>") || skip_element(&text, "<desc>", "</desc>"))
            continue;
        if (skip_word(&text, " id='"))
            fprintf(out, " id='%s-", id);
        else if (skip_word(&text, " id=\""))
            fprintf(out, " id=\"%s-", id);
        else if (skip_word(&text, "xlink:href='#"))
            fprintf(out, "href='#%s-", id);
        else if (skip_word(&text, "url(#"))
            fprintf(out, "url(#%s-", id);
        else
            fputc(*text++, out);
    }
}

static bool picture_write(const struct plot *plot, const char *picture, FILE *out)
{
    char *text = file_read(picture);
    const char *inside = text == NULL ? NULL : strstr(text, "<svg");
    inside = inside == NULL ? NULL : strchr(inside, '>');
    if (inside != NULL) {
        fprintf(out,
                "<svg viewBox=\"0 0 %d %u\" role=\"img\" aria-label=\"%s\">\n<title>%s</title>",
                WIDTH_PX, height_px(plot), plot->title, plot->title);
        picture_copy(inside + 1, plot->id, out);
    }
    free(text);
    return inside != NULL;
}

bool plot_write(const struct plot *plot, FILE *out, char *reason)
{
    struct workplace place;
    bool drawn = false;
    if (!workplace_make(&place, reason))
        return false;
    FILE *script = fopen(place.script, "we");
    if (script == NULL)
        snprintf(reason, REASON_BYTES, "%s: %s", place.script, strerror(errno));
    else {
        script_write(plot, place.picture, script);
        if (fclose(script) != 0)
            snprintf(reason, REASON_BYTES, "%s: %s", place.script, strerror(errno));
        else if (gnuplot_run(&place, reason)) {
            drawn = picture_write(plot, place.picture, out);
            snprintf(reason, REASON_BYTES, "gnuplot drew nothing");
        }
    }
    workplace_remove(&place);
    return drawn;
}
