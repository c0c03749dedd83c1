/*
 * bench_huge MB STEPS SEED: pointers chased through a large heap.
 *
 * Blocks of 64 bytes, MB MiB (1024) of them, form one ring in an order of SEED (42). The clock
 * covers STEPS steps (20000000) along it: each is a load that waits for the one before, from a
 * place that no cache holds, so that what is measured is memory and the TLB. An operation is one
 * step; malloc is called before and free after.
 */
#include "bench_report.h"

enum { BLOCK_BYTES = 64 };

struct link {
    struct link *next;
};

/* All blocks, in the order in which they were allocated. */
static struct link **blocks_make(size_t count)
{
    struct link **blocks = bench_table(count, sizeof *blocks);
    for (size_t i = 0; i < count; i++)
        blocks[i] = bench_block(BLOCK_BYTES);
    return blocks;
}

/* One ring through all blocks: a random permutation (Fisher and Yates), linked in its order. */
static void ring_make(struct link **blocks, size_t count, uint64_t seed)
{
    struct bench_rng rng = rng_seeded(seed, 0);
    for (size_t i = count - 1; i > 0; i--) {
        size_t other = rng_below(&rng, (uint32_t)(i + 1));
        struct link *kept = blocks[i];
        blocks[i] = blocks[other];
        blocks[other] = kept;
    }
    for (size_t i = 0; i < count; i++)
        blocks[i]->next = blocks[(i + 1) % count];
}

static const struct link *ring_walk(const struct link *at, uint64_t steps)
{
    for (uint64_t i = 0; i < steps; i++)
        at = at->next;
    return at;
}

int main(int argc, char **argv)
{
    struct bench_report report = {.name = "bench_huge"};
    size_t count = (size_t)bench_arg(argc, argv, 1, 1024, 1, 1 << 16) << 20;
    count /= BLOCK_BYTES;
    uint64_t steps = bench_arg(argc, argv, 2, 20000000, 1, UINT64_C(1) << 40);
    uint64_t seed = bench_arg(argc, argv, 3, 42, 0, UINT64_MAX);
    struct link **blocks = blocks_make(count);
    ring_make(blocks, count, seed);
    uint64_t start_ns = bench_now_ns();
    const struct link *end = ring_walk(blocks[0], steps);
    report.seconds = (double)(bench_now_ns() - start_ns) * 1e-9;
    if (end != blocks[steps % count]) {
        fprintf(stderr, "bench: the ring led elsewhere\n");
        return 1;
    }
    report.ops = steps;
    bench_live_read(&report);
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
    report.after = bench_memory_now();
    bench_print(&report);
    return 0;
}
