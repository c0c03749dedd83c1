/*
 * bench_c6_heavy [ITERS WS SEED]: the upper small classes on one thread.
 *
 * ITERS operations (20000000) on a table of WS blocks (400), in an order of SEED (42), blocks of
 * 257..512 bytes. An operation is one malloc or one free.
 */
#include "bench_slots.h"

int main(int argc, char **argv)
{
    struct slot_load load = {
        .name = "bench_c6_heavy",
        .iters = bench_arg(argc, argv, 1, 20000000, 2, UINT64_C(1) << 40),
        .slots = (uint32_t)bench_arg(argc, argv, 2, 400, 1, 1u << 28),
        .seed = bench_arg(argc, argv, 3, 42, 0, UINT64_MAX),
        .min_bytes = 257,
        .max_bytes = 512,
    };
    return slot_load_run(&load);
}
