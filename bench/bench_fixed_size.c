/*
 * bench_fixed_size SIZE ITERS WS: blocks of one size on one thread.
 *
 * Blocks of SIZE bytes (256), ITERS operations (20000000) on a table of WS blocks (128).
 * An operation is one malloc or one free.
 */
#include "bench_slots.h"

int main(int argc, char **argv)
{
    uint32_t bytes = (uint32_t)bench_arg(argc, argv, 1, 256, 1, 1u << 30);
    struct slot_load load = {
        .name = "bench_fixed_size",
        .iters = bench_arg(argc, argv, 2, 20000000, 2, UINT64_C(1) << 40),
        .slots = (uint32_t)bench_arg(argc, argv, 3, 128, 1, 1u << 28),
        .seed = 42,
        .min_bytes = bytes,
        .max_bytes = bytes,
    };
    return slot_load_run(&load);
}
