/*
 * measure.c: runs every bench under every variant, interleaved in random order.
 *
 * Each round visits the benches in a new order and, for each bench, the variants in a new order, so
 * that runs that are compared lie close together in time and no variant always comes first. The
 * order follows from the seed, which is printed. The runs that are timed come first, then those in
 * which single calls are timed, then those under strace.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

struct plan {
    unsigned rows[MAX_ROWS]; /* positions in rows of the comparison, in the order of this round */
    unsigned variants[MAX_VARIANTS];
    unsigned variant_count;
    unsigned rounds[RUN_KINDS];
    unsigned done, total; /* runs */
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
        if (value != NULL && metrics[i].run == sample->run)
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
    snprintf(sample->reason, sizeof sample->reason, "%s", result->reason);
    if (!result->ok)
        return;
    if (s->options.program != NULL ? !witness_read(s, sample, result)
                                   : !report_read(s, sample, result))
        return;
    sample->ok = true;
    if (sample->run != RUN_TIMED)
        return;
    sample->value[METRIC_WALL_S] = result->wall_s;
    sample->value[METRIC_MAXRSS_KB] = result->maxrss_kb;
    sample->value[METRIC_MINOR_FAULTS] = (double)result->minor_faults;
    sample->value[METRIC_USER_S] = result->user_s;
    sample->value[METRIC_SYSTEM_S] = result->system_s;
}

static void program_run(const struct comparison *s, struct sample *sample)
{
    char witness[2 * PATH_MAX];
    snprintf(witness, sizeof witness, "%s/libwhomalloc.so", s->program_dir);
    struct launch launch = {
        .argv = s->options.program,
        .preload = s->variants[sample->variant].library,
        .settings = s->variants[sample->variant].settings,
        .witness = witness,
        .timeout_s = s->options.timeout_s,
        .pin = s->options.pin,
    };
    launch_run(&launch, &last_run);
    sample_fill(s, sample, &last_run);
}

/* Time is measured over a long run, other things in a short one. */
static bool is_short(const struct comparison *s, const struct sample *sample)
{
    return s->options.quick || sample->run != RUN_TIMED;
}

static const char *setting_of(const struct comparison *s, const struct sample *sample)
{
    bool by_time = (all_rows[s->rows[sample->row]].flags & ROW_BY_TIME) != 0;
    if (sample->run == RUN_LATENCY)
        return "BENCH_LATENCY=1";
    return by_time && !is_short(s, sample) ? "BENCH_SECONDS=2" : NULL;
}

/* What runs a row. The words lie in `command`, which outlives them. */
struct command {
    const char *argv[MAX_ARGUMENTS];
    char program[2 * PATH_MAX];
    char arguments[256];
};

static const char *const *command_of(const struct comparison *s, const struct sample *sample,
                                     struct command *command)
{
    const struct row *row = &all_rows[s->rows[sample->row]];
    unsigned count = 0;
    if (s->options.program != NULL)
        return s->options.program;
    snprintf(command->program, sizeof command->program, "%s/%s", s->program_dir, row->program);
    command->argv[count++] = command->program;
    if ((row->flags & ROW_TRACE) != 0) {
        command->argv[count++] = s->options.trace;
        command->argv[count++] = TRACE_ROUNDS;
    } else {
        snprintf(command->arguments, sizeof command->arguments, "%s",
                 row_arguments(row, is_short(s, sample)));
        char *rest = command->arguments;
        char *word;
        while ((word = strtok_r(rest, " ", &rest)) != NULL && count < MAX_ARGUMENTS - 1)
            command->argv[count++] = word;
    }
    command->argv[count] = NULL;
    return command->argv;
}

static void bench_run(const struct comparison *s, struct sample *sample)
{
    static struct command command;
    const struct row *row = &all_rows[s->rows[sample->row]];
    struct launch launch = {
        .argv = command_of(s, sample, &command),
        .preload = s->variants[sample->variant].library,
        .settings = s->variants[sample->variant].settings,
        .set = setting_of(s, sample),
        .timeout_s = s->options.timeout_s,
        .pin = s->options.pin && (row->flags & ROW_ONE_THREAD) != 0,
    };
    launch_run(&launch, &last_run);
    sample_fill(s, sample, &last_run);
}

/* The last time that this row took under this variant; the limit of a run if none is known. */
static double wall_s_of(const struct comparison *s, const struct sample *sample)
{
    double wall_s = s->options.timeout_s;
    for (unsigned i = 0; i < s->sample_count; i++)
        if (s->samples[i].row == sample->row && s->samples[i].variant == sample->variant &&
            !isnan(s->samples[i].value[METRIC_WALL_S]))
            wall_s = s->samples[i].value[METRIC_WALL_S];
    return wall_s;
}

/* Without strace there is nothing that could have failed. strace ends when the last process has
 * that a program leaves running: it is given some time, and a program that needs more is not
 * counted. */
static void calls_run(const struct comparison *s, struct sample *sample)
{
    static struct command command;
    struct call_counts counts = {NAN, NAN, ""};
    const char *const *argv = command_of(s, sample, &command);
    const char *library = s->variants[sample->variant].library;
    double timeout_s = s->options.timeout_s;
    bool program = s->options.program != NULL;
    if (program)
        timeout_s = fmin(timeout_s, 5 + 20 * wall_s_of(s, sample));
    bool counted = calls_countable() && calls_count(library, argv, timeout_s, &counts);
    sample->ok = counted || program || !calls_countable();
    if (!sample->ok)
        snprintf(sample->reason, sizeof sample->reason, "under strace: %.140s", counts.by_name);
    sample->value[METRIC_MEMORY_CALLS] = counts.memory;
    sample->value[METRIC_FUTEX_CALLS] = counts.futex;
}

static void sample_run(const struct comparison *s, struct sample *sample)
{
    for (unsigned i = 0; i < METRIC_COUNT; i++)
        sample->value[i] = NAN;
    if (sample->run == RUN_CALLS)
        calls_run(s, sample);
    else if (s->options.program != NULL)
        program_run(s, sample);
    else
        bench_run(s, sample);
}

static void progress_show(const struct comparison *s, const struct sample *next,
                          const struct plan *plan)
{
    static const char *const words[RUN_KINDS] = {"", " latency", " system calls"};
    if (!isatty(STDERR_FILENO))
        return;
    double spent = difftime(time(NULL), plan->start);
    double left = plan->done == 0 ? 0 : spent / plan->done * (plan->total - plan->done);
    fprintf(stderr, "\r\033[K%u/%u  round %u%s  %s  %s  %d:%02d left", plan->done + 1, plan->total,
            next->round + 1, words[next->run], all_rows[s->rows[next->row]].name,
            s->variants[next->variant].name, (int)left / 60, (int)left % 60);
}

static void round_run(struct comparison *s, struct plan *plan, enum run_kind run, unsigned round)
{
    shuffle(plan->rows, s->row_count);
    for (unsigned r = 0; r < s->row_count; r++) {
        if (!row_has_run(s, plan->rows[r], run))
            continue;
        shuffle(plan->variants, plan->variant_count);
        for (unsigned v = 0; v < plan->variant_count; v++) {
            struct sample *sample = &s->samples[s->sample_count];
            *sample = (struct sample){
                .row = plan->rows[r], .variant = plan->variants[v], .round = round, .run = run};
            progress_show(s, sample, plan);
            sample_run(s, sample);
            if (launch_interrupted()) {
                s->interrupted = true;
                return;
            }
            s->sample_count++;
            plan->done++;
        }
    }
}

static void plan_make(const struct comparison *s, struct plan *plan)
{
    *plan = (struct plan){
        .rounds = {[RUN_TIMED] = s->options.rounds,
                   [RUN_LATENCY] = (unsigned)s->options.latency_rounds,
                   [RUN_CALLS] = s->options.ab && s->options.calls},
        .start = time(NULL),
    };
    for (unsigned i = 0; i < s->variant_count; i++)
        if (variant_runs(&s->variants[i]))
            plan->variants[plan->variant_count++] = i;
    for (unsigned row = 0; row < s->row_count; row++) {
        plan->rows[row] = row;
        for (unsigned run = 0; run < RUN_KINDS; run++)
            if (row_has_run(s, row, (enum run_kind)run))
                plan->total += plan->rounds[run] * plan->variant_count;
    }
}

void measure_all(struct comparison *s)
{
    struct plan plan;
    plan_make(s, &plan);
    s->samples = calloc(plan.total == 0 ? 1 : plan.total, sizeof *s->samples);
    if (s->samples == NULL) {
        perror("bench_runner");
        exit(1);
    }
    shuffle_state = s->options.seed == 0 ? 1 : s->options.seed;
    for (unsigned run = 0; run < RUN_KINDS; run++)
        for (unsigned round = 0; round < plan.rounds[run] && !s->interrupted; round++)
            round_run(s, &plan, (enum run_kind)run, round);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}
