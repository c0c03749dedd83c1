/*
 * bench_nothing: what a program that does nothing costs.
 *
 * No arguments. Allocates one block, keeps it, and reports the peak memory of the process; the time
 * means nothing. An operation is the one malloc.
 */
#include "bench_report.h"

int main(void)
{
    struct bench_report report = {.name = "bench_nothing", .ops = 1};
    void *block = bench_block(64);
    report.live = bench_memory_now();
    report.after = report.live;
    bench_print(&report);
    free(block);
    return 0;
}
