/*
 * Operations that are interrupted by other operations, between any two instructions.
 *
 * Purpose   a race is two operations of which one comes to a stop half-way while the other runs.
 *           Threads do that to each other seldom, and hardly at all on few or busy processors. Here
 * a timer interrupts one thread, and its signal handler does the other operation from beginning to
 * end: as if a second thread had run just then. That is allowed for what never waits for anybody,
 * as all of region/ and segment/. Threads   one. Not under ASan and TSan, which deliver signals
 * late.
 */
#ifndef HAKMEM_TEST_INTERRUPT_H
#define HAKMEM_TEST_INTERRUPT_H

#include "support.h"

/* So often an operation is interrupted before the test ends. */
#define INTERRUPTIONS 4000
#define INTERRUPT_NS 17000

static struct {
    void (*body)(void);
    volatile sig_atomic_t quiet; /* no interruption now */
    volatile size_t count;
} interrupt;

static inline void interrupt_handle(int signal_number)
{
    int saved = errno;
    (void)signal_number;
    if (!interrupt.quiet) {
        interrupt.quiet = 1;
        interrupt.body();
        interrupt.quiet = 0;
        interrupt.count++;
    }
    errno = saved;
}

/* Does operation() again and again while interruption() interrupts it, and check() in between,
 * undisturbed. Ends early when operation() says that it is done. */
static inline void interrupt_run(bool (*operation)(void), void (*interruption)(void),
                                 void (*check)(void))
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    const struct itimerspec interval = {{0, INTERRUPT_NS}, {0, INTERRUPT_NS}};
    timer_t timer;
    bool goes_on = true;
    interrupt.body = interruption;
    interrupt.count = 0;
    signal(SIGUSR1, interrupt_handle);
    SUPPORT_REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    SUPPORT_REQUIRE(timer_settime(timer, 0, &interval, NULL) == 0);
    while (goes_on && interrupt.count < INTERRUPTIONS) {
        goes_on = operation();
        interrupt.quiet = 1;
        check();
        interrupt.quiet = 0;
    }
    SUPPORT_REQUIRE(timer_delete(timer) == 0);
    signal(SIGUSR1, SIG_IGN);
}

#endif
