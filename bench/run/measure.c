/*
 * measure.c: runs every bench under every variant, interleaved in random order.
 *
 * Each round visits the benches in a new order and, for each bench, the variants in a new order, so
 * that runs that are compared lie close together in time and no variant always comes first. The
 * order follows from the seed, which is printed.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

struct progress {
    unsigned done, total;
    time_t start;
};

static uint64_t shuffle_state;
static struct launch_result last_run; /* large; one run at a time */

static uint64_t shuffle_next(void)
{
    shuffle_state ^= shuffle_state << 13;
    shuffle_state ^= shuffle_state >> 7;
    shuffle_state ^= shuffle_state << 17;
    return shuffle_state;
}

static void shuffle(unsigned *items, unsigned count)
{
    for (unsigned i = count; i > 1; i--) {
        unsigned other = (unsigned)(shuffle_next() % i);
        unsigned kept = items[i - 1];
        items[i - 1] = items[other];
        items[other] = kept;
    }
}

/* The value of a key in a flat JSON line; NULL if there is none. */
static const char *json_find(const char *line, const char *key)
{
    char pattern[NAME_BYTES + 4];
    snprintf(pattern, sizeof pattern, "\"%s\":", key);
    const char *found = strstr(line, pattern);
    return found == NULL ? NULL : found + strlen(pattern);
}

/* A preload that cannot be loaded is skipped by the dynamic linker: look at who served malloc. */
static bool library_served(const struct variant *variant, const char *file, char *reason)
{
    char resolved[PATH_MAX];
    const char *base = strrchr(file, '/');
    base = base == NULL ? file : base + 1;
    if (variant->library[0] == '\0' && strncmp(base, "libc.so", 7) == 0)
        return true;
    if (variant->library[0] != '\0' && realpath(file, resolved) != NULL &&
        strcmp(resolved, variant->library) == 0)
        return true;
    snprintf(reason, REASON_BYTES, "not loaded: malloc was served by %.100s", file);
    return false;
}

/* What a bench says of itself. False: nothing that counts. */
static bool report_read(const struct comparison *s, struct sample *sample,
                        const struct launch_result *result)
{
    char file[PATH_MAX] = "";
    const char *line = strstr(result->output, "{\"bench\"");
    if (line == NULL) {
        snprintf(sample->reason, sizeof sample->reason, "printed no report");
        return false;
    }
    const char *served = json_find(line, "malloc");
    if (served != NULL && *served == '"')
        snprintf(file, sizeof file, "%.*s", (int)strcspn(served + 1, "\""), served + 1);
    if (!library_served(&s->variants[sample->variant], file, sample->reason))
        return false;
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        const char *value = metrics[i].key[0] == '\0' ? NULL : json_find(line, metrics[i].key);
        if (value != NULL)
            sample->value[i] = strtod(value, NULL);
    }
    return true;
}

/* A program says nothing: the witness does. */
static bool witness_read(const struct comparison *s, struct sample *sample,
                         const struct launch_result *result)
{
    if (result->malloc_file[0] != '\0')
        return library_served(&s->variants[sample->variant], result->malloc_file, sample->reason);
    snprintf(sample->reason, sizeof sample->reason,
             "not known who served malloc: nothing can be preloaded (statically linked?)");
    return false;
}

static void sample_fill(const struct comparison *s, struct sample *sample,
                        const struct launch_result *result)
{
    for (unsigned i = 0; i < METRIC_COUNT; i++)
        sample->value[i] = NAN;
    snprintf(sample->reason, sizeof sample->reason, "%s", result->reason);
    if (!result->ok)
        return;
    if (s->options.program != NULL ? !witness_read(s, sample, result)
                                   : !report_read(s, sample, result))
        return;
    sample->value[METRIC_WALL_S] = result->wall_s;
    sample->value[METRIC_MAXRSS_KB] = result->maxrss_kb;
    sample->value[METRIC_MINOR_FAULTS] = (double)result->minor_faults;
    sample->value[METRIC_USER_S] = result->user_s;
    sample->value[METRIC_SYSTEM_S] = result->system_s;
    sample->ok = true;
}

static void program_run(const struct comparison *s, struct sample *sample)
{
    char witness[2 * PATH_MAX];
    snprintf(witness, sizeof witness, "%s/libwhomalloc.so", s->program_dir);
    struct launch launch = {
        .argv = s->options.program,
        .preload = s->variants[sample->variant].library,
        .witness = witness,
        .timeout_s = s->options.timeout_s,
        .pin = s->options.pin,
    };
    launch_run(&launch, &last_run);
    sample_fill(s, sample, &last_run);
}

static void bench_run(const struct comparison *s, struct sample *sample)
{
    const struct row *row = &all_rows[s->rows[sample->row]];
    char program[2 * PATH_MAX];
    char arguments[256];
    const char *argv[MAX_ARGUMENTS] = {program};
    unsigned count = 1;
    snprintf(program, sizeof program, "%s/%s", s->program_dir, row->program);
    snprintf(arguments, sizeof arguments, "%s",
             s->options.quick ? row->quick_arguments : row->arguments);
    char *rest = arguments;
    char *word;
    while ((word = strtok_r(rest, " ", &rest)) != NULL && count < MAX_ARGUMENTS - 1)
        argv[count++] = word;
    struct launch launch = {
        .argv = argv,
        .preload = s->variants[sample->variant].library,
        .timeout_s = s->options.timeout_s,
        .pin = s->options.pin && (row->flags & ROW_ONE_THREAD) != 0,
    };
    launch_run(&launch, &last_run);
    sample_fill(s, sample, &last_run);
}

static void progress_show(const struct comparison *s, const struct sample *next,
                          const struct progress *progress)
{
    if (!isatty(STDERR_FILENO))
        return;
    double spent = difftime(time(NULL), progress->start);
    double left =
        progress->done == 0 ? 0 : spent / progress->done * (progress->total - progress->done);
    fprintf(stderr, "\r\033[K%u/%u  round %u  %s  %s  %d:%02d left", progress->done + 1,
            progress->total, next->round + 1, all_rows[s->rows[next->row]].name,
            s->variants[next->variant].name, (int)left / 60, (int)left % 60);
}

static void round_run(struct comparison *s, unsigned round, unsigned *rows, unsigned *variants,
                      unsigned variant_count, struct progress *progress)
{
    shuffle(rows, s->row_count);
    for (unsigned r = 0; r < s->row_count; r++) {
        shuffle(variants, variant_count);
        for (unsigned v = 0; v < variant_count; v++) {
            struct sample *sample = &s->samples[s->sample_count];
            *sample = (struct sample){.row = rows[r], .variant = variants[v], .round = round};
            progress_show(s, sample, progress);
            if (s->options.program != NULL)
                program_run(s, sample);
            else
                bench_run(s, sample);
            if (launch_interrupted()) {
                s->interrupted = true;
                return;
            }
            s->sample_count++;
            progress->done++;
        }
    }
}

void measure_all(struct comparison *s)
{
    unsigned rows[MAX_ROWS];
    unsigned variants[MAX_VARIANTS];
    unsigned variant_count = 0;
    for (unsigned i = 0; i < s->row_count; i++)
        rows[i] = i;
    for (unsigned i = 0; i < s->variant_count; i++)
        if (variant_runs(&s->variants[i]))
            variants[variant_count++] = i;
    struct progress progress = {0, s->options.rounds * s->row_count * variant_count, time(NULL)};
    s->samples = calloc(progress.total == 0 ? 1 : progress.total, sizeof *s->samples);
    if (s->samples == NULL) {
        perror("bench_runner");
        exit(1);
    }
    shuffle_state = s->options.seed == 0 ? 1 : s->options.seed;
    for (unsigned round = 0; round < s->options.rounds && !s->interrupted; round++)
        round_run(s, round, rows, variants, variant_count, &progress);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}
