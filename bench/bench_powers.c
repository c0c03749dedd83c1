/*
 * bench_powers ITERS WS SEED: powers of two, which no header leaves as they are, on one thread.
 *
 * ITERS operations (20000000) on a table of WS blocks (400000), in an order of SEED (42). Blocks
 * are of 16, 32, .. 32768 bytes, each half as frequent as the one before (32768 as 16384), so that
 * all sizes hold about the same memory: on average a block has 104 bytes, and 400000 blocks have
 * 42 MB. An operation is one malloc or one free.
 */
#include "bench_slots.h"

enum { MIN_BYTES = 16, DOUBLINGS = 11 };

static size_t power_bytes(struct bench_rng *size)
{
    uint64_t draw = rng_next(size) | UINT64_C(1) << DOUBLINGS;
    return (size_t)MIN_BYTES << __builtin_ctzll(draw);
}

int main(int argc, char **argv)
{
    struct slot_load load = {
        .name = "bench_powers",
        .iters = bench_arg(argc, argv, 1, 20000000, 2, UINT64_C(1) << 40),
        .slots = (uint32_t)bench_arg(argc, argv, 2, 400000, 1, 1u << 28),
        .seed = bench_arg(argc, argv, 3, 42, 0, UINT64_MAX),
        .draw_bytes = power_bytes,
    };
    return slot_load_run(&load);
}
