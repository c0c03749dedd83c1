/*
 * bench_realloc ROUNDS SEED: vectors that grow, several side by side, on one thread.
 *
 * In each of ROUNDS rounds (20000) each of nine vectors grows once. Three grow to 1.5 times their
 * size, three to twice it, and to three is appended: 1..4096 bytes, drawn from SEED (42). They
 * begin at 16 bytes; one that has reached 1 MiB is freed in its next turn and begins again. One
 * byte of each os page that a vector gains is written. An operation is one realloc.
 */
#include "bench_calls.h"

enum { VECTORS = 9, FIRST_BYTES = 16, LAST_BYTES = 1 << 20, APPEND_BYTES = 4096 };

struct vector {
    void *items; /* NULL: begins again */
    size_t bytes;
    struct block_mark mark;
};

/* Vectors 0, 3, 6 grow by a half, 1, 4, 7 by themselves, 2, 5, 8 by what is appended. */
static size_t vector_next_bytes(const struct vector *vector, unsigned idx, struct bench_rng *rng)
{
    size_t bytes = vector->bytes;
    if (vector->items == NULL)
        return FIRST_BYTES;
    if (idx % 3 == 0)
        bytes += bytes / 2;
    else if (idx % 3 == 1)
        bytes += bytes;
    else
        bytes += 1 + rng_below(rng, APPEND_BYTES);
    return bytes < LAST_BYTES ? bytes : LAST_BYTES;
}

static void vector_free(struct vector *vector, struct bench_calls *calls)
{
    if (vector->items != NULL)
        calls_free(calls, vector->items, &vector->mark);
    vector->items = NULL;
    vector->bytes = 0;
}

static void vector_grow(struct vector *vector, unsigned idx, struct bench_calls *calls,
                        struct bench_rng *rng)
{
    if (vector->bytes == LAST_BYTES)
        vector_free(vector, calls);
    size_t bytes = vector_next_bytes(vector, idx, rng);
    vector->items = calls_grow(calls, vector->items, bytes, idx, &vector->mark);
    calls_touch(calls, vector->items, vector->bytes, bytes);
    vector->bytes = bytes;
}

int main(int argc, char **argv)
{
    struct bench_report report = {.name = "bench_realloc"};
    struct vector vectors[VECTORS] = {{NULL, 0, {0, 0, 0}}};
    uint64_t rounds = bench_arg(argc, argv, 1, 20000, 1, UINT64_C(1) << 32);
    struct bench_rng rng = rng_seeded(bench_arg(argc, argv, 2, 42, 0, UINT64_MAX), 0);
    struct bench_calls calls = calls_open(0);
    calls_sample(&calls, true);
    uint64_t start_ns = bench_now_ns();
    for (uint64_t i = 0; i < rounds; i++)
        for (unsigned idx = 0; idx < VECTORS; idx++)
            vector_grow(&vectors[idx], idx, &calls, &rng);
    report.seconds = (double)(bench_now_ns() - start_ns) * 1e-9;
    bench_live_read(&report);
    for (unsigned idx = 0; idx < VECTORS; idx++)
        vector_free(&vectors[idx], &calls);
    calls_report(&calls, &report);
    report.ops = rounds * VECTORS;
    report.after = bench_memory_now();
    bench_print(&report);
    return 0;
}
