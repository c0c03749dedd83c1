/*
 * bench_mid_large_mt T ITERS WS SEED: mid-size blocks on several threads, none shared.
 *
 * T threads (8), each ITERS operations (40000) on its own table of WS blocks (2048) in an order of
 * SEED (42), blocks of 8..32 KiB. An operation is one malloc or one free.
 */
#include "bench_slots.h"

int main(int argc, char **argv)
{
    struct slot_load load = {
        .name = "bench_mid_large_mt",
        .threads = (unsigned)bench_arg(argc, argv, 1, 8, 1, BENCH_MAX_THREADS),
        .iters = bench_arg(argc, argv, 2, 40000, 2, UINT64_C(1) << 40),
        .slots = (uint32_t)bench_arg(argc, argv, 3, 2048, 1, 1u << 28),
        .seed = bench_arg(argc, argv, 4, 42, 0, UINT64_MAX),
        .min_bytes = 8 * 1024,
        .max_bytes = 32 * 1024,
    };
    return slot_load_run(&load);
}
