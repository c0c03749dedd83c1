/*
 * start: the first allocation of the process sets everything up.
 *
 * Threads   hak_start() from any; one does the work, the others wait for it.
 */
#ifndef HAK_START_H
#define HAK_START_H

#include "hak_base.h"

/* Reads the options, reserves the arena, fills the tables. False when there is no memory for it;
 * the next call tries again. */
bool hak_start(void);

/* Makes the key whose destructor ends a thread's heap (thread.c). */
void hak_thread_init(void);

#endif
