/*
 * schedule: runs the threads of a small case in every order.
 *
 * Purpose   a race shows in some orders of the threads' steps only. Here the orders are not left to
 *           chance: a step is one atomic operation with the plain code up to the next one, exactly
 *           one thread runs at a time, and at each step the scheduler chooses which. It runs the
 *           case again and again, and changes the last choice that has an alternative left: depth
 *           first, until there is none.
 *           Either with at most so many preemptions, that is, changes to another thread though the
 *           one before could go on: two of them show most races (Musuvathi and Qadeer, Iterative
 *           context bounding for systematic testing of multithreaded programs, PLDI 2007). Or all
 *           orders; of those that differ only in the order of neighbours that do not touch the same
 *           word, one (sleep sets: Godefroid, Partial-order methods for the verification of
 *           concurrent systems, 1996).
 *           What is not seen: orders that only a weak memory model allows, and weak exchanges that
 *           fail by themselves. A step is as in a sequentially consistent machine.
 * Owner     one case at a time, in a process of its own: what it writes is put back for the next
 *           schedule: the program's variables, and what the case names by schedule_save().
 * Threads   those of a case are coroutines of one thread of the system. `hak_heap_self`, errno and
 *           `hak_arena_in_turn` are each one's own.
 */
#ifndef HAKMEM_TEST_SCHEDULE_H
#define HAKMEM_TEST_SCHEDULE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "schedule/points.h"

#define SCHEDULE_THREADS 3
#define SCHEDULE_ALL UINT_MAX

struct schedule_case {
    const char *name;
    void (*setup)(void);   /* once, before the first schedule */
    void (*prepare)(void); /* before each schedule; NULL for nothing */
    void (*threads[SCHEDULE_THREADS])(void);
    void (*check)(void);  /* after each schedule, undisturbed */
    unsigned quick, full; /* preemptions; SCHEDULE_ALL for all orders */
};

extern const struct schedule_case schedule_page_cases[], schedule_heap_cases[],
    schedule_policy_cases[], schedule_segment_cases[], schedule_start_cases[];

/* What a case came to. */
struct schedule_report {
    size_t schedules; /* that ran to the end */
    size_t pruned;    /* that were left early: another one stands for them */
    size_t steps;     /* chosen, of all schedules */
    size_t longest;   /* steps of one schedule */
};

/* Runs a case with so many preemptions at most. Ends the process with 1 where it breaks a rule,
 * and says on standard error which schedule did. */
void schedule_explore(const struct schedule_case *tried, unsigned preemptions,
                      struct schedule_report *report);

/* In setup: memory that each schedule finds as it is when setup ends; at most 7 places. `always`:
 * it may be that the allocator commits it in a schedule, which would undo the protection by which
 * writes are noticed. */
void schedule_save(void *start, size_t bytes, bool always);

/* In setup and check: does something as one of the case's threads, undisturbed. */
void schedule_as(unsigned thread, void (*body)(void));

/* In a thread: a place where others may come in between, before the case itself looks at memory. */
#define SCHEDULE_HERE(address) schedule_point((address), SCHEDULE_WRITES, __func__, __LINE__)

#endif
