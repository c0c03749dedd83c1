/*
 * A thread that stops at any instruction of an operation.
 *
 * Purpose   what an operation leaves half-way shows where it is stopped at each of its
 *           instructions. The thread goes by single steps, a trap a step, and at the one that was
 *           asked for a signal's handler calls a function of the test, which may wait, or fork.
 * Threads   one at a time. On x86-64 only, and not under ASan and TSan, which deliver signals late.
 */
#ifndef HAKMEM_TEST_STEPS_H
#define HAKMEM_TEST_STEPS_H

#include "support.h"

#include <sys/syscall.h>
#include <ucontext.h>

#if defined(__x86_64__) && !SUPPORT_SHADOWED
#define STEPS_CAN 1

/* Sets whether the thread that a handler interrupted goes on by single steps. A memset() or
 * memcpy() by one instruction would trap at every byte: it is done here. */
static inline void context_step(void *context, bool on)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const greg_t trap_flag = 0x100;
    registers[REG_EFL] = (registers[REG_EFL] & ~trap_flag) | (on ? trap_flag : 0);
    bool sets = memcmp((const void *)registers[REG_RIP], "\xf3\xaa", 2) == 0;   /* rep stosb */
    bool copies = memcmp((const void *)registers[REG_RIP], "\xf3\xa4", 2) == 0; /* rep movsb */
    if (on && (sets || copies)) {
        void *to = (void *)registers[REG_RDI];
        if (sets)
            memset(to, (int)registers[REG_RAX], (size_t)registers[REG_RCX]);
        else
            memcpy(to, (const void *)registers[REG_RSI], (size_t)registers[REG_RCX]);
        registers[REG_RDI] += registers[REG_RCX];
        registers[REG_RSI] += copies ? registers[REG_RCX] : 0;
        registers[REG_RCX] = 0;
        registers[REG_RIP] += 2;
    }
}
#else
#define STEPS_CAN 0

static inline void context_step(void *context, bool on)
{
    (void)context;
    (void)on;
}
#endif

#define STEPS_ALL SIZE_MAX

/* Of the one thread that is stepped. */
static struct {
    volatile bool on;
    volatile size_t left; /* instructions to the stop; STEPS_ALL: it stops at each */
    volatile size_t done;
    void (*at_stop)(void);
} steps;

static inline void step_handle(int number, siginfo_t *info, void *context)
{
    (void)info;
    if (number == SIGTRAP && (++steps.done == steps.left || steps.left == STEPS_ALL)) {
        steps.on = steps.on && steps.left == STEPS_ALL;
        steps.at_stop();
    }
    context_step(context, steps.on);
}

/* Not raise(): that may block all signals for a moment, and a trap ends the process then. */
static inline void steps_switch(bool on)
{
    steps.on = on;
    (void)syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR2);
}

/* Calls at_stop() at that instruction of an operation, or at each. False: there are not so many. */
static inline bool steps_run(void (*operation)(void), size_t stop, void (*at_stop)(void))
{
    steps.left = stop;
    steps.done = 0;
    steps.at_stop = at_stop;
    steps_switch(true);
    operation();
    bool stopped = !steps.on;
    steps_switch(false);
    return stopped;
}

static inline void steps_begin(void)
{
    struct sigaction action = {.sa_sigaction = step_handle, .sa_flags = SA_SIGINFO | SA_RESTART};
    SUPPORT_REQUIRE(sigaction(SIGTRAP, &action, NULL) == 0);
    SUPPORT_REQUIRE(sigaction(SIGUSR2, &action, NULL) == 0);
}

#endif
