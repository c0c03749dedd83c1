/*
 * bench_large ITERS WS SEED: large blocks on one thread.
 *
 * ITERS operations (20000) on a table of WS blocks (20), in an order of SEED (42), blocks of 64 KiB
 * to 25 MiB. Each doubling is as frequent as any other and even within itself; what the last of
 * them has above 25 MiB is drawn anew. In every fourth block (those whose size divides by 4) the
 * first byte of each os page is written, in the others the first and the last byte of the block.
 * An operation is one malloc or one free.
 */
#include "bench_slots.h"

enum { MIN_BYTES = 64 << 10, MAX_BYTES = 25 << 20, DOUBLINGS = 9, TOUCH_EVERY = 4 };

static size_t large_bytes(struct bench_rng *size)
{
    size_t bytes;
    do {
        uint32_t low = (uint32_t)MIN_BYTES << rng_below(size, DOUBLINGS);
        bytes = low + rng_below(size, low);
    } while (bytes > MAX_BYTES);
    return bytes;
}

int main(int argc, char **argv)
{
    struct slot_load load = {
        .name = "bench_large",
        .iters = bench_arg(argc, argv, 1, 20000, 2, UINT64_C(1) << 40),
        .slots = (uint32_t)bench_arg(argc, argv, 2, 20, 1, 1u << 28),
        .seed = bench_arg(argc, argv, 3, 42, 0, UINT64_MAX),
        .draw_bytes = large_bytes,
        .touch_every = TOUCH_EVERY,
    };
    return slot_load_run(&load);
}
