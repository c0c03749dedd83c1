/*
 * points: what the allocator's files and the cases call of the scheduler while it runs a case.
 *
 * Threads   the scheduler's own; outside of a schedule these functions do nothing.
 */
#ifndef HAKMEM_TEST_SCHEDULE_POINTS_H
#define HAKMEM_TEST_SCHEDULE_POINTS_H

#include <pthread.h>

enum schedule_kind {
    SCHEDULE_READS,
    SCHEDULE_WRITES, /* also what reads and then may write */
};

/* The calling thread is about to do this: now, or after others. */
void schedule_point(const volatile void *address, enum schedule_kind kind, const char *function,
                    int line);

/* The calling thread has just written something: those that wait look again. */
void schedule_wrote(void);

/* The calling thread waits for others, having looked in vain. */
void schedule_wait(void);

/* Thread-specific data: one key, whose destructor schedule_thread_end() calls. */
int schedule_key_create(pthread_key_t *key, void (*destructor)(void *));
int schedule_key_set(pthread_key_t key, const void *value);

/* Does what the system does when a thread ends; and makes it a new one. */
void schedule_thread_end(void);
void schedule_thread_renew(void);

#endif
