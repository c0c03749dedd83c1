/*
 * coverage_end: writes the counts of a process that does not come by exit().
 *
 * Purpose   for builds with HAK_COVERAGE, where the linker leads _exit() and abort() here.
 *           Writing allocates. Where the library itself ends the process within its start, or with
 *           a lock held, that waits for ever: such a process ends without its counts.
 * Threads   any; the first that ends the process writes.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define WRITE_SECONDS_MAX 10

void __gcov_dump(void);
_Noreturn void __real__exit(int status);
_Noreturn void __real_abort(void);
_Noreturn void __wrap__exit(int status);
_Noreturn void __wrap_abort(void);

enum { ABORTS = -1 };
static int end_status; /* [who writes] or ABORTS */

static _Noreturn void end_now(int status)
{
    if (status == ABORTS) {
        __real_abort();
    }
    __real__exit(status);
}

static void give_up(int number)
{
    (void)number;
    end_now(end_status);
}

static _Noreturn void dump_and_end(int status)
{
    static atomic_flag done = ATOMIC_FLAG_INIT;
    sigset_t alarms;
    if (!atomic_flag_test_and_set(&done)) {
        end_status = status;
        (void)signal(SIGALRM, give_up);
        (void)sigemptyset(&alarms);
        (void)sigaddset(&alarms, SIGALRM);
        (void)sigprocmask(SIG_UNBLOCK, &alarms, NULL);
        (void)alarm(WRITE_SECONDS_MAX);
        __gcov_dump();
    }
    end_now(status);
}

_Noreturn void __wrap__exit(int status)
{
    dump_and_end(status & 0xff);
}

_Noreturn void __wrap_abort(void)
{
    dump_and_end(ABORTS);
}
