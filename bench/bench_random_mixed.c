/*
 * bench_random_mixed ITERS WS SEED: small blocks of mixed sizes on one thread.
 *
 * ITERS operations (20000000) on a table of WS blocks (400), in an order of SEED (42), blocks of
 * 16..1040 bytes. An operation is one malloc or one free.
 */
#include "bench_slots.h"

int main(int argc, char **argv)
{
    struct slot_load load = {
        .name = "bench_random_mixed",
        .iters = bench_arg(argc, argv, 1, 20000000, 2, UINT64_C(1) << 40),
        .slots = (uint32_t)bench_arg(argc, argv, 2, 400, 1, 1u << 28),
        .seed = bench_arg(argc, argv, 3, 42, 0, UINT64_MAX),
        .min_bytes = 16,
        .max_bytes = 1040,
    };
    return slot_load_run(&load);
}
