/*
 * Whether memory can be touched.
 *
 * Threads   any.
 */
#ifndef HAKMEM_TEST_READABLE_H
#define HAKMEM_TEST_READABLE_H

#include "support.h"

/* Whether a byte can be read: the kernel is asked to. */
static inline bool readable_is(const void *at)
{
    int pipe_ends[2];
    SUPPORT_REQUIRE(pipe(pipe_ends) == 0);
    bool done = write(pipe_ends[1], at, 1) == 1;
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    return done;
}

#endif
