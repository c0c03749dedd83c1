/*
 * bench_pool_tls T ITERS WS SEED: the whole Mid range on several threads, none shared.
 *
 * T threads (4), each ITERS operations (200000) on its own table of WS blocks (256) in an order of
 * SEED (42), blocks of 8..52 KiB. An operation is one malloc or one free.
 */
#include "bench_slots.h"

int main(int argc, char **argv)
{
    struct slot_load load = {
        .name = "bench_pool_tls",
        .threads = (unsigned)bench_arg(argc, argv, 1, 4, 1, BENCH_MAX_THREADS),
        .iters = bench_arg(argc, argv, 2, 200000, 2, UINT64_C(1) << 40),
        .slots = (uint32_t)bench_arg(argc, argv, 3, 256, 1, 1u << 28),
        .seed = bench_arg(argc, argv, 4, 42, 0, UINT64_MAX),
        .min_bytes = 8 * 1024,
        .max_bytes = 52 * 1024,
    };
    return slot_load_run(&load);
}
