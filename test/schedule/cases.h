/*
 * What the cases of front/ share: blocks of one class, eight of which fill a page, who has which,
 * and what is true when all threads are at rest.
 *
 * Threads   those of the scheduler, and who explores; one runs at a time.
 */
#ifndef HAKMEM_TEST_SCHEDULE_CASES_H
#define HAKMEM_TEST_SCHEDULE_CASES_H

#include "front/heap.h"
#include "segment/os_fake.h"

#include "schedule/schedule.h"
#include "support.h"

#define CASE_BYTES 8000
#define CASE_BLOCKS 32

extern char *case_blocks[CASE_BLOCKS]; /* live ones; NULL: none */

/* Starts the allocator on the kernel for tests: an arena of 1 GiB. */
void case_begin(void);

/* At the end of setup: what describes the first segments, and the allocator's records. */
void case_save(size_t segments);

size_t case_bin(void);
size_t case_slots(void); /* of a page */

/* Allocates a block, which nobody may have; its number. Frees one the usual way; frees one at once
 * for its owner to collect. */
size_t case_take(void);
void case_free(size_t i);
void case_free_remote(size_t i);

/* Gives the calling thread a heap; then a page of it, all of whose blocks are live. */
void case_attach(void);
void case_fill_page(void);

/* No thread is in the allocator. Every slot of every page is in exactly one place; every page that
 * wants to be told of remote frees was told; lists, words, tags and maps agree. */
void case_check(void);

/* Then, when everything is given back, there is nothing left. The blocks are freed before. */
void case_check_empty(void);

#endif
