/*
 * live: a process that can be watched from outside, see include/hak_view.h.
 *
 * Purpose   the view, which is a constant; and with HAKMEM_LIVE=1 the live file, refreshed in slow
 *           paths a few times a second at most. Neither stops or slows a fast path.
 * Owner     the process whose number the file has; a child of a fork makes its own at its first
 *           refresh.
 * Threads   any; one at a time refreshes, the others go on.
 * Errors    without a file the process runs on unpublished; at the start that is said.
 */
#ifndef HAK_LIVE_H
#define HAK_LIVE_H

#include <stdatomic.h>

#include "hak_view.h"

extern HAK_HIDDEN const struct hak_view hak_view; /* view.c */

extern HAK_HIDDEN _Atomic(bool) hak_live_on; /* [start and end of the process, atomic] */

/* Called once within the start, when all else is set up. */
void hak_live_start(void);

/* In the child of a fork. */
void hak_live_fork_child(void);

void hak_live_refresh(void);

/* For slow paths: refreshes the file if that is due. */
static inline void hak_live_poll(void)
{
    /* relaxed: a switch; the refresh looks by itself. */
    if (HAK_UNLIKELY(atomic_load_explicit(&hak_live_on, memory_order_relaxed))) {
        hak_live_refresh();
    }
}

#endif
