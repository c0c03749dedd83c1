/*
 * bench_app ITERS WS SEED: the sizes of an ordinary program on one thread.
 *
 * ITERS operations (20000000) on a table of WS blocks (4000), in an order of SEED (42). Of the
 * blocks, 80 % are of 16..256 bytes, 15 % of 257..2048 and 5 % of 2049..32768, even within each.
 * An operation is one malloc or one free.
 */
#include "bench_slots.h"

enum { SHARES = 20 }; /* of one: 5 % */

static const struct {
    uint32_t min_bytes, max_bytes;
} bands[] = {{16, 256}, {257, 2048}, {2049, 32768}};

static size_t app_bytes(struct bench_rng *size)
{
    uint32_t share = rng_below(size, SHARES);
    unsigned band = (share >= SHARES - 4) + (share >= SHARES - 1);
    return rng_size(size, bands[band].min_bytes, bands[band].max_bytes);
}

int main(int argc, char **argv)
{
    struct slot_load load = {
        .name = "bench_app",
        .iters = bench_arg(argc, argv, 1, 20000000, 2, UINT64_C(1) << 40),
        .slots = (uint32_t)bench_arg(argc, argv, 2, 4000, 1, 1u << 28),
        .seed = bench_arg(argc, argv, 3, 42, 0, UINT64_MAX),
        .draw_bytes = app_bytes,
    };
    return slot_load_run(&load);
}
