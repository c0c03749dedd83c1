/*
 * bench_learner WORKLOAD [ROUNDS SEED [POLICY...]]: programs whose needs change while they run.
 *
 * Each workload goes through phases, ROUNDS times (4) all of them, sizes and order of SEED (42):
 *   bursts   many blocks of one size, then all of them freed; the size changes from phase to phase
 *   server   small blocks that come and go, with rare ones of 8 to 64 KiB, of which some stay
 *   sparse   many blocks of one Mid size, of which few stay; then others of another size
 *   shift    a Mid size is common in one phase and rare in the next, while another one is not
 *   lumps    small blocks, and of each of five Mid sizes two blocks now and then; trims in between
 *   steady   small blocks that come and go, and nothing else
 * Blocks are not touched but for their first byte, so that instructions are malloc's and the
 * loop's. At the end of each phase the memory that malloc holds is read (mallinfo2), and of these
 * readings the mean is printed, and at last the policy, where malloc has one. What reads this is
 * bench/learner.py. An operation is one malloc or one free. With policies, the workload runs once
 * under each of them, in a child.
 */
#include <malloc.h>
#include <sys/wait.h>

#include "bench_random.h"
#include "bench_report.h"

/* Of hakmem; another malloc has none. */
extern size_t hak_policy_get(char *text, size_t bytes) __attribute__((weak));
extern int hak_policy_set(const char *text, char *fault, size_t fault_bytes) __attribute__((weak));

#define SLOTS 4096

static struct bench_rng rng;
static void *slots[SLOTS];
static uint64_t ops;
static double held_bytes; /* summed over the ends of phases */
static unsigned phases;

static void slot_free(size_t i)
{
    if (slots[i] == NULL)
        return;
    free(slots[i]);
    slots[i] = NULL;
    ops++;
}

static void slot_fill(size_t i, size_t bytes)
{
    slot_free(i);
    slots[i] = malloc(bytes);
    if (slots[i] == NULL)
        abort();
    *(volatile char *)slots[i] = 1;
    ops++;
}

static void phase_end(void)
{
    struct mallinfo2 info = mallinfo2();
    held_bytes += (double)info.arena + (double)info.hblkhd;
    phases++;
}

static void free_all(void)
{
    for (size_t i = 0; i < SLOTS; i++)
        slot_free(i);
}

/* Blocks that come and go at random in the first `live` slots. */
static void churn(size_t live, size_t count, uint32_t min_bytes, uint32_t max_bytes)
{
    for (size_t i = 0; i < count; i++)
        slot_fill(rng_below(&rng, (uint32_t)live), rng_size(&rng, min_bytes, max_bytes));
}

static void burst(size_t repeats, size_t count, size_t bytes)
{
    for (; repeats > 0; repeats--) {
        for (size_t i = 0; i < count; i++)
            slot_fill(i, bytes);
        for (size_t i = 0; i < count; i++)
            slot_free(i);
    }
    phase_end();
}

static void bursts(void)
{
    burst(8, 1500, 1000);
    burst(8, 2000, 60);
    burst(12, 400, 3900);
    burst(16, 150, 12000);
    burst(8, 2000, 500);
}

static void server(void)
{
    for (size_t phase = 0; phase < 4; phase++) {
        for (size_t i = 0; i < 100; i++) {
            churn(1000, 300, 16, 500);
            slot_fill(1000 + rng_below(&rng, 8), 9000 + 14000 * phase);
        }
        phase_end();
    }
}

static void sparse(void)
{
    for (size_t phase = 0; phase < 4; phase++) {
        churn(1000, 20000, 16, 300);
        for (size_t i = 0; i < 150; i++)
            slot_fill(1000 + phase * 150 + i, 14000 + 11000 * phase);
        for (size_t i = 0; i < 150; i++) {
            if (i % 12 != 0)
                slot_free(1000 + phase * 150 + i);
        }
        phase_end();
    }
}

static void shift(void)
{
    for (size_t phase = 0; phase < 4; phase++) {
        size_t common = phase % 2 == 0 ? 9000 : 30000;
        for (size_t i = 0; i < 100; i++) {
            churn(500, 200, 16, 200);
            for (size_t k = 0; k < 15; k++)
                slot_fill(500 + rng_below(&rng, 60), common);
            slot_fill(600 + rng_below(&rng, 3), 39000 - common);
        }
        phase_end();
    }
}

static void lumps(void)
{
    for (size_t phase = 0; phase < 8; phase++) {
        churn(300, 12000, 16, 200);
        for (size_t i = 0; i < 10; i++)
            slot_fill(300 + i, 18000 + 8000 * (i / 2));
        phase_end();
        free_all();
        (void)malloc_trim(0);
    }
}

static void steady(void)
{
    for (size_t phase = 0; phase < 4; phase++) {
        churn(2000, 25000, 16, 1000);
        phase_end();
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} workloads[] = {
    {"bursts", bursts}, {"server", server}, {"sparse", sparse},
    {"shift", shift},   {"lumps", lumps},   {"steady", steady},
};

static void run(size_t chosen, uint64_t rounds)
{
    struct bench_report report = {.name = "bench_learner"};
    char policy[8192] = "";
    uint64_t start_ns = bench_now_ns();
    for (uint64_t i = 0; i < rounds; i++) {
        workloads[chosen].run();
        free_all();
    }
    report.seconds = (double)(bench_now_ns() - start_ns) * 1e-9;
    report.ops = ops;
    report.live = report.after = bench_memory_now();
    bench_print(&report);
    printf("held_bytes %.0f\n", held_bytes / phases);
    if (hak_policy_get != NULL && hak_policy_get(policy, sizeof policy) != 0)
        fputs(policy, stdout);
    fflush(stdout);
}

static int run_under(const char *policy, size_t chosen, uint64_t rounds)
{
    char fault[256] = "this malloc has no policies";
    int status = 1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (hak_policy_set == NULL || hak_policy_set(policy, fault, sizeof fault) != 0) {
            fprintf(stderr, "bench_learner: %s: %s\n", policy, fault);
            _exit(1);
        }
        run(chosen, rounds);
        _exit(0);
    }
    return child < 0 || waitpid(child, &status, 0) != child || status != 0;
}

int main(int argc, char **argv)
{
    size_t chosen = 0;
    int failed = 0;
    uint64_t rounds = bench_arg(argc, argv, 2, 4, 1, 1000);
    rng = rng_seeded(bench_arg(argc, argv, 3, 42, 0, UINT32_MAX), 0);
    while (chosen < sizeof workloads / sizeof workloads[0] &&
           (argc < 2 || strcmp(argv[1], workloads[chosen].name) != 0))
        chosen++;
    if (chosen == sizeof workloads / sizeof workloads[0]) {
        fprintf(stderr, "bench_learner: the first argument is bursts, server, sparse, shift, "
                        "lumps or steady\n");
        return 2;
    }
    if (argc <= 4)
        run(chosen, rounds);
    for (int i = 4; i < argc; i++)
        failed |= run_under(argv[i], chosen, rounds);
    return failed;
}
