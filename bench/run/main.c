/*
 * bench_runner: compares allocators on the benches that lie beside it.
 *
 *     bench_runner            all benches, glibc, hakmem and the packaged allocators
 *     bench_runner --ab       hakmem against its header mode; files under build/ab
 *     bench_runner --ab -- PROGRAM ARG...
 *                             the same on a program instead of the benches
 *     bench_runner --help     the options
 *
 * Every run is a process of its own with the allocator preloaded; runs are interleaved in random
 * order. The end of the usage names the exit statuses.
 */
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "change.h"

static const char usage[] =
    "usage: bench_runner [options] [-- PROGRAM [ARG...]]\n"
    "  --rounds N            runs of each bench under each variant (7, 3 with --quick; --health: "
    "10;\n"
    "                        --ab: 10, with --quick 6, or more if many benches need it for a "
    "verdict)\n"
    "  --quick               shorter runs\n"
    "  --only PATTERN        benches whose name contains or matches PATTERN; counts nothing, and\n"
    "                        times single calls only with --latency\n"
    "  --trace FILE          a program's calls, recorded by `hakmem record`, in place of the "
    "benches\n"
    "  --health              the profiles MIXED and C6_HEAVY, hakmem against glibc: with a gate "
    "for\n"
    "                        each, wanted at least 1\n"
    "  --huge                hakmem on pages of 4 KiB, THP and hugetlb, of which the pool must "
    "have "
    "800 of\n"
    "                        2 MiB; benches with large heaps, or what --only or -- PROGRAM names\n"
    "  --peers, --no-peers   with or without mimalloc, jemalloc, tcmalloc (with; --ab: without)\n"
    "  --variant NAME=LIB.so another allocator, or another library for one of the variants\n"
    "  --variants LIST       only these variants, separated by commas\n"
    "  --latency N           runs of each bench in which single calls are timed (0; --ab: 3, and\n"
    "                        with --quick 1)\n"
    "  --no-counts           no instructions and system calls\n"
    "  --pin                 tie benches of one thread, or the program, to one CPU\n"
    "  --seed N              order of the runs, and of the bootstrap (42)\n"
    "  --timeout SECONDS     after which a run counts as hung (120)\n"
    "  --csv FILE, --json FILE, --html FILE\n"
    "                        - as FILE of the first two is standard output; the tables go to\n"
    "                        standard error then\n"
    "  --ab                  glibc, hakmem, hakmem-header; writes samples.csv, summary.json and\n"
    "                        report.html\n"
    "  --out DIR             where --ab writes (build/ab)\n"
    "  --factors             also the single-factor variants (./dev ab --factors builds them)\n"
    "  --no-control          --ab without hakmem-again, the same library as hakmem\n"
    "  --threshold PERCENT   what a difference must exceed for a verdict (1)\n"
    "  --gate NAME=VALUE     exit status 3 if a figure of hakmem misses VALUE; repeatable\n"
    "      geomean           at least: throughput over hakmem-header, geometric mean\n"
    "      glibc             at least: the same over glibc\n"
    "      MIXED, C6_HEAVY   at least: throughput over glibc on mixed_400 and on c6_heavy, the "
    "lower\n"
    "                        end of its interval\n"
    "      instructions-malloc, instructions-free, pair\n"
    "                        at most: instructions of a hit, of a malloc and its free\n"
    "  --list                the benches and their arguments\n"
    "PROGRAM is run in place of the benches and is timed as a whole; what it prints is not shown.\n"
    "Exit status: 0; 1 bad options, or a file that cannot be written; 2 a run failed; 3 a gate "
    "was\n"
    "missed or could not be measured; 130 interrupted. The first of 1, 3, 2, 130 that applies.\n";

enum option_id {
    OPTION_ROUNDS = 1,
    OPTION_QUICK,
    OPTION_ONLY,
    OPTION_PEERS,
    OPTION_NO_PEERS,
    OPTION_VARIANT,
    OPTION_VARIANTS,
    OPTION_LATENCY,
    OPTION_TRACE,
    OPTION_HEALTH,
    OPTION_HUGE,
    OPTION_NO_COUNTS,
    OPTION_PIN,
    OPTION_SEED,
    OPTION_TIMEOUT,
    OPTION_CSV,
    OPTION_JSON,
    OPTION_HTML,
    OPTION_AB,
    OPTION_OUT,
    OPTION_NO_CONTROL,
    OPTION_FACTORS,
    OPTION_THRESHOLD,
    OPTION_GATE,
    OPTION_LIST,
    OPTION_HELP,
};

static const struct option option_table[] = {
    {"rounds", required_argument, NULL, OPTION_ROUNDS},
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"only", required_argument, NULL, OPTION_ONLY},
    {"peers", no_argument, NULL, OPTION_PEERS},
    {"no-peers", no_argument, NULL, OPTION_NO_PEERS},
    {"variant", required_argument, NULL, OPTION_VARIANT},
    {"variants", required_argument, NULL, OPTION_VARIANTS},
    {"latency", required_argument, NULL, OPTION_LATENCY},
    {"trace", required_argument, NULL, OPTION_TRACE},
    {"health", no_argument, NULL, OPTION_HEALTH},
    {"huge", no_argument, NULL, OPTION_HUGE},
    {"no-counts", no_argument, NULL, OPTION_NO_COUNTS},
    {"pin", no_argument, NULL, OPTION_PIN},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"csv", required_argument, NULL, OPTION_CSV},
    {"json", required_argument, NULL, OPTION_JSON},
    {"html", required_argument, NULL, OPTION_HTML},
    {"ab", no_argument, NULL, OPTION_AB},
    {"out", required_argument, NULL, OPTION_OUT},
    {"no-control", no_argument, NULL, OPTION_NO_CONTROL},
    {"factors", no_argument, NULL, OPTION_FACTORS},
    {"threshold", required_argument, NULL, OPTION_THRESHOLD},
    {"gate", required_argument, NULL, OPTION_GATE},
    {"list", no_argument, NULL, OPTION_LIST},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static struct comparison comparison; /* large: not on the stack */
static const char *variant_definitions[MAX_VARIANTS];
static unsigned variant_definition_count;

_Noreturn static void usage_fail(const char *option, const char *value)
{
    fprintf(stderr, "bench_runner: %s %s is out of range\n%s", option, value, usage);
    exit(1);
}

static uint64_t number_argument(const char *option, uint64_t min, uint64_t max)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(optarg, &end, 10);
    if (errno != 0 || end == optarg || *end != '\0' || optarg[0] == '-' || value < min ||
        value > max)
        usage_fail(option, optarg);
    return value;
}

static double percent_argument(const char *option)
{
    char *end = NULL;
    double value = strtod(optarg, &end);
    if (end == optarg || *end != '\0' || !(value >= 0 && value <= 100))
        usage_fail(option, optarg);
    return value;
}

_Noreturn static void rows_list(void)
{
    for (unsigned i = 0; i < all_row_count; i++)
        printf("%-18s %s %s\n", all_rows[i].name, all_rows[i].program, all_rows[i].arguments);
    exit(0);
}

/* What --ab adds; see option_apply. */
static bool option_apply_ab(int id, struct options *options)
{
    switch (id) {
    case OPTION_AB:
        options->ab = true;
        return true;
    case OPTION_OUT:
        options->out = optarg;
        return true;
    case OPTION_FACTORS:
        options->factors = true;
        return true;
    case OPTION_NO_CONTROL:
        options->control = false;
        return true;
    case OPTION_THRESHOLD:
        options->threshold_percent = percent_argument("--threshold");
        return true;
    case OPTION_GATE:
        if (!gate_add(options, optarg))
            exit(1);
        return true;
    default:
        return false;
    }
}

/* What stands in place of the benches or variants; see option_apply. */
static bool option_apply_what(int id, struct options *options)
{
    switch (id) {
    case OPTION_ONLY:
        options->only = optarg;
        options->probes = options->calls = false;
        return true;
    case OPTION_TRACE:
        options->trace = optarg;
        return true;
    case OPTION_HEALTH:
        options->health = true;
        return gate_add(options, "MIXED=1") && gate_add(options, "C6_HEAVY=1");
    case OPTION_HUGE:
        options->huge = true;
        return true;
    case OPTION_VARIANTS:
        options->variants = optarg;
        return true;
    case OPTION_LATENCY:
        options->latency_rounds = (int)number_argument("--latency", 0, MAX_ROUNDS);
        return true;
    default:
        return false;
    }
}

/* Files and the rarer switches; see option_apply. */
static void option_apply_more(int id, struct options *options)
{
    switch (id) {
    case OPTION_PIN:
        options->pin = true;
        break;
    case OPTION_SEED:
        options->seed = number_argument("--seed", 1, UINT64_MAX);
        break;
    case OPTION_TIMEOUT:
        options->timeout_s = (double)number_argument("--timeout", 1, 86400);
        break;
    case OPTION_CSV:
        options->csv = optarg;
        break;
    case OPTION_JSON:
        options->json = optarg;
        break;
    case OPTION_HTML:
        options->html = optarg;
        break;
    case OPTION_LIST:
        rows_list();
    case OPTION_HELP:
        fputs(usage, stdout);
        exit(0);
    default:
        fputs(usage, stderr);
        exit(1);
    }
}

static void option_apply(int id, struct options *options, int *peers)
{
    switch (id) {
    case OPTION_ROUNDS:
        options->rounds = (unsigned)number_argument("--rounds", 1, MAX_ROUNDS);
        break;
    case OPTION_QUICK:
        options->quick = true;
        break;
    case OPTION_PEERS:
        *peers = 1;
        break;
    case OPTION_NO_PEERS:
        *peers = 0;
        break;
    case OPTION_VARIANT:
        if (variant_definition_count == MAX_VARIANTS)
            usage_fail("--variant", optarg);
        variant_definitions[variant_definition_count++] = optarg;
        break;
    case OPTION_NO_COUNTS:
        options->probes = options->calls = false;
        break;
    default:
        if (!option_apply_ab(id, options) && !option_apply_what(id, options))
            option_apply_more(id, options);
    }
}

static void options_read_program(struct options *options, char **argv)
{
    if (strcmp(argv[optind - 1], "--") != 0) {
        fprintf(stderr, "bench_runner: what is '%s'?\n%s", argv[optind], usage);
        exit(1);
    }
    options->program = (const char *const *)(argv + optind);
}

static void options_read(struct options *options, int argc, char **argv)
{
    int id;
    int peers = -1;
    *options = (struct options){
        .latency_rounds = -1,
        .probes = true,
        .calls = true,
        .control = true,
        .threshold_percent = 1,
        .seed = 42,
        .timeout_s = 120,
        .out = "build/ab",
    };
    while ((id = getopt_long(argc, argv, "+", option_table, NULL)) != -1)
        option_apply(id, options, &peers);
    options->peers = peers < 0 ? !options->ab && !options->health && !options->huge : peers != 0;
    if (optind < argc)
        options_read_program(options, argv);
    if (options->trace != NULL || options->health || options->huge || options->program != NULL)
        options->probes = false;
    if ((options->only != NULL) + (options->trace != NULL) + (options->program != NULL) +
            options->health >
        1) {
        fprintf(stderr, "bench_runner: of --only, --trace, --health and a program behind --, one "
                        "chooses what is run\n");
        exit(1);
    }
    if (options->huge && (options->health || options->ab)) {
        fprintf(stderr, "bench_runner: --huge has variants of its own, so it goes with neither "
                        "--health nor --ab\n");
        exit(1);
    }
}

/* How many timed benches a verdict has to stand against. */
static unsigned timed_rows(const struct comparison *s)
{
    unsigned count = 0;
    for (unsigned row = 0; row < s->row_count; row++)
        count += row_is_timed(s, row);
    return count;
}

static void rounds_choose(struct comparison *s)
{
    struct options *options = &s->options;
    bool benches = options->only == NULL && options->trace == NULL && options->program == NULL;
    bool timeable = false;
    for (unsigned row = 0; row < s->row_count; row++)
        timeable |= row_has_run(s, row, RUN_LATENCY);
    if (options->latency_rounds > 0 && !timeable) {
        fprintf(stderr, "bench_runner: --latency: no single calls can be timed here\n");
        exit(1);
    }
    if (options->latency_rounds < 0)
        options->latency_rounds = options->ab && benches ? options->quick ? 1 : 3 : 0;
    if (options->rounds != 0)
        return;
    if (!options->ab) {
        options->rounds = options->health ? 10 : options->quick ? 3 : 7;
        return;
    }
    options->rounds = options->quick ? SAMPLES_LEAST : 10;
    while (verdicts_out_of_reach(options->rounds, timed_rows(s)))
        options->rounds++;
}

static bool row_wanted(const struct row *row, const struct options *options)
{
    const char *pattern = options->only;
    if (options->health)
        return (row->flags & ROW_HEALTH) != 0;
    if (pattern == NULL && (row->flags & ROW_NAMED) != 0)
        return false;
    if (pattern == NULL && (options->huge || (row->flags & ROW_HUGE) != 0))
        return options->huge && (row->flags & ROW_HUGE) != 0;
    if (pattern == NULL && !options->ab && (row->flags & ROW_AB_ONLY) != 0)
        return false;
    return pattern == NULL || strstr(row->name, pattern) != NULL ||
           fnmatch(pattern, row->name, 0) == 0;
}

static void rows_choose(struct comparison *s)
{
    if (s->options.program != NULL || s->options.trace != NULL) {
        s->rows[s->row_count++] = s->options.program != NULL ? program_row_fill(s->options.program)
                                                             : trace_row_fill(s->options.trace);
        return;
    }
    for (unsigned i = 0; i < all_row_count; i++)
        if (row_wanted(&all_rows[i], &s->options))
            s->rows[s->row_count++] = i;
    if (s->row_count == 0) {
        fprintf(stderr, "bench_runner: no bench matches '%s'; see --list\n", s->options.only);
        exit(1);
    }
}

static void comparison_prepare(struct comparison *s)
{
    ssize_t length = readlink("/proc/self/exe", s->program_dir, sizeof s->program_dir - 1);
    if (length <= 0) {
        perror("bench_runner: /proc/self/exe");
        exit(1);
    }
    s->program_dir[length] = '\0';
    *strrchr(s->program_dir, '/') = '\0';
    rows_choose(s);
    rounds_choose(s);
    variants_find(s);
    for (unsigned i = 0; i < variant_definition_count; i++)
        if (!variant_add(s, variant_definitions[i]))
            exit(1);
    if ((s->options.ab || s->options.huge) && s->options.control)
        variant_control_add(s);
    if (s->options.variants != NULL && !variants_restrict(s, s->options.variants))
        exit(1);
}

/* Makes a directory and those above it. */
static bool directory_make(const char *path)
{
    char part[PATH_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(part, 0777);
        *slash = '/';
    }
    if (mkdir(part, 0777) == 0 || errno == EEXIST)
        return true;
    fprintf(stderr, "bench_runner: %s: %s\n", path, strerror(errno));
    return false;
}

static bool files_write(const struct comparison *s, FILE *out)
{
    const struct options *options = &s->options;
    char path[PATH_MAX];
    bool ok = true;
    if (options->csv != NULL)
        ok &= csv_write(s, options->csv);
    if (options->json != NULL)
        ok &= json_write(s, options->json);
    if (options->html != NULL)
        ok &= page_write(s, options->html);
    if (!options->ab)
        return ok;
    if (!directory_make(options->out))
        return false;
    snprintf(path, sizeof path, "%s/samples.csv", options->out);
    ok &= csv_write(s, path);
    snprintf(path, sizeof path, "%s/summary.json", options->out);
    ok &= json_write(s, path);
    snprintf(path, sizeof path, "%s/report.html", options->out);
    ok &= page_write(s, path);
    if (ok)
        fprintf(out, "\nwrote samples.csv, summary.json and report.html to %s\n", options->out);
    return ok;
}

static bool any_failed(const struct comparison *s)
{
    for (unsigned i = 0; i < s->sample_count; i++)
        if (!s->samples[i].ok)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    options_read(&comparison.options, argc, argv);
    comparison_prepare(&comparison);
    unsetenv("BENCH_LATENCY"); /* of the caller: such runs are not to be compared */
    unsetenv("BENCH_VERIFY");
    unsetenv("BENCH_SECONDS");
    commit_read(&comparison);
    launch_catch_interrupts();
    measure_all(&comparison);
    probes_run(&comparison);
    comparison.interrupted |= launch_interrupted();
    cells_fill(&comparison);
    if (comparison.options.program == NULL && comparison.options.trace == NULL)
        targets_check(&comparison);
    const struct options *options = &comparison.options;
    bool taken = file_is_stdout(options->json) || file_is_stdout(options->csv);
    FILE *out = taken ? stderr : stdout;
    table_print(&comparison, out);
    bool written = files_write(&comparison, out);
    bool passed = gates_check(&comparison, out);
    bool failed = any_failed(&comparison);
    free(comparison.samples);
    return !written ? 1 : !passed ? 3 : failed ? 2 : comparison.interrupted ? 130 : 0;
}
