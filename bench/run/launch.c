/*
 * launch.c: runs one program to its end, with a time limit, and takes what it printed and used.
 *
 * The child has a process group of its own, so that a child that hangs is ended with all it
 * started, and so that Ctrl-C reaches this program alone, which then ends the child and reports.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "launch.h"

static volatile sig_atomic_t interrupted; /* [signal handler] */

static void interrupt_note(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

bool launch_interrupted(void)
{
    return interrupted != 0;
}

void launch_catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = interrupt_note};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Ties this process to the last CPU it may use: the first serves most interrupts. */
static void cpu_pin(void)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        CPU_ZERO(&allowed);
        CPU_SET(cpu, &allowed);
        sched_setaffinity(0, sizeof allowed, &allowed);
        return;
    }
}

_Noreturn static void child_exec(const struct launch *launch, int output)
{
    setpgid(0, 0);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    if (launch->preload != NULL && launch->preload[0] != '\0')
        setenv("LD_PRELOAD", launch->preload, 1);
    else
        unsetenv("LD_PRELOAD");
    if (launch->pin)
        cpu_pin();
    execvp(launch->argv[0], (char *const *)(uintptr_t)launch->argv);
    fprintf(stderr, "%s: %s\n", launch->argv[0], strerror(errno));
    _exit(127);
}

/* Reads until the child closes its output. False: the time was up or Ctrl-C came. */
static bool output_read(int fd, double deadline_s, struct launch_result *result)
{
    size_t length = 0;
    char surplus[4096];
    for (;;) {
        double left_s = deadline_s - now_s();
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (launch_interrupted() || left_s <= 0)
            return false;
        if (poll(&ready, 1, left_s > 1 ? 1000 : (int)(left_s * 1000) + 1) <= 0)
            continue;
        size_t space = sizeof result->output - 1 - length;
        ssize_t got = space > 0 ? read(fd, result->output + length, space)
                                : read(fd, surplus, sizeof surplus);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return true;
        if (space > 0)
            length += (size_t)got;
        result->output[length] = '\0';
    }
}

/* The first line that the child printed, as what may explain its end. */
static void reason_from_output(struct launch_result *result)
{
    size_t length = strcspn(result->output, "\n");
    size_t used = strlen(result->reason);
    if (length > 0 && used + 3 < sizeof result->reason)
        snprintf(result->reason + used, sizeof result->reason - used, ": %.*s", (int)length,
                 result->output);
}

static void status_explain(int status, bool in_time, double timeout_s, struct launch_result *result)
{
    if (!in_time && launch_interrupted())
        snprintf(result->reason, sizeof result->reason, "interrupted");
    else if (!in_time)
        snprintf(result->reason, sizeof result->reason, "hung: ended after %.0f s", timeout_s);
    else if (WIFSIGNALED(status))
        snprintf(result->reason, sizeof result->reason, "%s", strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        snprintf(result->reason, sizeof result->reason, "exit status %d", WEXITSTATUS(status));
    else
        result->ok = true;
    if (in_time && !result->ok)
        reason_from_output(result);
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

void launch_run(const struct launch *launch, struct launch_result *result)
{
    int ends[2];
    int status = 0;
    struct rusage usage;
    memset(result, 0, sizeof *result);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        snprintf(result->reason, sizeof result->reason, "pipe: %s", strerror(errno));
        return;
    }
    pid_t child = fork();
    if (child == 0)
        child_exec(launch, ends[1]);
    close(ends[1]);
    if (child < 0) {
        snprintf(result->reason, sizeof result->reason, "fork: %s", strerror(errno));
        close(ends[0]);
        return;
    }
    setpgid(child, child);
    bool in_time = output_read(ends[0], now_s() + launch->timeout_s, result);
    close(ends[0]);
    if (!in_time)
        kill(-child, SIGKILL);
    while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR)
        ;
    status_explain(status, in_time, launch->timeout_s, result);
    result->maxrss_kb = usage.ru_maxrss;
    result->minor_faults = usage.ru_minflt;
    result->user_s = seconds_of(usage.ru_utime);
    result->system_s = seconds_of(usage.ru_stime);
}
