/*
 * who_malloc.h: what the runner and libwhomalloc.so agree on.
 *
 * The variable holds "DESCRIPTOR PID": where to report, and the only process that may.
 */
#ifndef HAK_BENCH_WHO_MALLOC_H
#define HAK_BENCH_WHO_MALLOC_H

#define WHO_MALLOC_VARIABLE "HAK_WHO_MALLOC"

#endif
