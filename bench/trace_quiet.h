/*
 * trace_quiet.h: a write whose failure does not end the program by a signal.
 *
 * Owner    the recorder.
 * Threads  any; the signals of the calling thread are held meanwhile.
 * Errors   as of write(2).
 *
 * Beyond RLIMIT_FSIZE a write sends its thread SIGXFSZ, into a pipe that nobody reads SIGPIPE. Both
 * are held during the write, and the one that it sent is taken away; one that was waiting before
 * is the program's and stays. A pipe whose reader leaves amid a write sends SIGPIPE, too, and the
 * write tells how many bytes it took. By number: sigtimedwait is a point of cancellation.
 */
#ifndef HAK_BENCH_TRACE_QUIET_H
#define HAK_BENCH_TRACE_QUIET_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

typedef uint64_t quiet_signals; /* the kernel's set: bit n is signal n + 1 */

#define QUIET_SIGNAL(number) (UINT64_C(1) << ((number)-1))

static inline long quiet_write(int fd, const void *data, size_t bytes)
{
    static const quiet_signals held = QUIET_SIGNAL(SIGXFSZ) | QUIET_SIGNAL(SIGPIPE);
    static const struct timespec at_once = {0, 0};
    quiet_signals mask = 0, before = 0;
    (void)syscall(SYS_rt_sigprocmask, SIG_BLOCK, &held, &mask, sizeof mask);
    (void)syscall(SYS_rt_sigpending, &before, sizeof before);
    long written = syscall(SYS_write, fd, data, bytes);
    int error = errno;
    bool amid = written >= 0 && (size_t)written < bytes;
    quiet_signals sent = amid || (written < 0 && error == EPIPE) ? QUIET_SIGNAL(SIGPIPE)
                         : written < 0 && error == EFBIG         ? QUIET_SIGNAL(SIGXFSZ)
                                                                 : 0;
    sent &= ~before;
    if (sent != 0)
        (void)syscall(SYS_rt_sigtimedwait, &sent, NULL, &at_once, sizeof sent);
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
    errno = error;
    return written;
}

#endif
