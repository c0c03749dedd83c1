/*
 * launch.c: runs one program to its end, with a time limit, and takes what it printed and used.
 *
 * The child has a process group of its own, so that a child that hangs is ended with all it
 * started, and so that Ctrl-C reaches this program alone, which then ends the child and reports.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../who_malloc.h"
#include "launch.h"

enum {
    REPORT_DESCRIPTOR = 100,
    LAST_READS = 64,     /* of what stands in the pipe at the end; a daemon may go on writing */
    EXEC_MARGIN_KB = 64, /* what exec itself may touch */
};

/* maxrss of a child before exec, which the kernel counts as the program's. [the child that runs] */
static long *before_exec_kb; /* shared memory; NULL: none */

/* The child that runs now. */
struct child {
    pid_t pid;
    int process;        /* pidfd; -1: the kernel has none */
    int output, report; /* where it and the witness are read */
    size_t length;      /* of the output so far */
    double start_s;
};

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

/* Puts the witness behind the allocator and tells it where to report, if there is one. */
static void preload_set(const struct launch *launch, int report)
{
    char list[2 * PATH_MAX];
    char where[64];
    const char *library = launch->preload == NULL ? "" : launch->preload;
    const char *witness = launch->witness == NULL ? "" : launch->witness;
    snprintf(list, sizeof list, "%s%s%s", library, *library && *witness ? ":" : "", witness);
    if (list[0] != '\0')
        setenv("LD_PRELOAD", list, 1);
    else
        unsetenv("LD_PRELOAD");
    unsetenv(WHO_MALLOC_VARIABLE);
    if (launch->witness == NULL)
        return;
    /* This one is inherited. It lies above those that the program will open. */
    int inherited = fcntl(report, F_DUPFD, REPORT_DESCRIPTOR);
    snprintf(where, sizeof where, "%d %d", inherited, (int)getpid());
    if (inherited >= 0)
        setenv(WHO_MALLOC_VARIABLE, where, 1);
}

/* "A=1 B=2" into the environment. */
static void settings_put(const char *settings)
{
    char *rest = settings == NULL ? NULL : strdup(settings); /* it stays in the environment */
    char *setting;
    while (rest != NULL && (setting = strtok_r(rest, " ", &rest)) != NULL)
        putenv(setting);
}

_Noreturn static void child_exec(const struct launch *launch, int output, int report)
{
    setpgid(0, 0);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    if (null > STDERR_FILENO)
        close(null);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    preload_set(launch, report);
    settings_put(launch->settings);
    if (launch->set != NULL)
        putenv((char *)(uintptr_t)launch->set);
    if (launch->pin)
        cpu_pin();
    struct rusage usage;
    if (before_exec_kb != NULL && getrusage(RUSAGE_SELF, &usage) == 0)
        *before_exec_kb = usage.ru_maxrss;
    execvp(launch->argv[0], (char *const *)(uintptr_t)launch->argv);
    fprintf(stderr, "%s: %s\n", launch->argv[0], strerror(errno));
    _exit(127);
}

enum taken { TAKEN_SOME, TAKEN_NOTHING, TAKEN_CLOSED };

/* One read of what the child printed. */
static enum taken output_take(struct child *child, struct launch_result *result)
{
    char surplus[4096];
    size_t space = sizeof result->output - 1 - child->length;
    ssize_t got = space > 0 ? read(child->output, result->output + child->length, space)
                            : read(child->output, surplus, sizeof surplus);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return TAKEN_NOTHING;
    if (got <= 0)
        return TAKEN_CLOSED;
    if (space > 0)
        child->length += (size_t)got;
    result->output[child->length] = '\0';
    return TAKEN_SOME;
}

/*
 * Reads until the child has ended. A kernel before 5.3 does not tell: there, closing the output is
 * the end. What the child left running is ended with it. False: the time was up or Ctrl-C came.
 */
static bool child_watch(struct child *child, double deadline_s, struct launch_result *result)
{
    struct pollfd ready[] = {{.fd = child->output, .events = POLLIN},
                             {.fd = child->process, .events = POLLIN}};
    for (;;) {
        double left_s = deadline_s - now_s();
        if (launch_interrupted() || left_s <= 0)
            return false;
        if (poll(ready, 2, left_s > 1 ? 1000 : (int)(left_s * 1000) + 1) <= 0)
            continue;
        if (ready[1].revents != 0) {
            result->wall_s = now_s() - child->start_s;
            kill(-child->pid, SIGKILL); /* not yet waited for: the number is still its own */
            for (unsigned i = 0; i < LAST_READS && output_take(child, result) == TAKEN_SOME; i++)
                ;
            return true;
        }
        if (output_take(child, result) != TAKEN_CLOSED)
            continue;
        ready[0].fd = -1;
        if (child->process >= 0)
            continue;
        result->wall_s = now_s() - child->start_s;
        return true;
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

static void before_exec_map(void)
{
    if (before_exec_kb != NULL)
        return;
    void *page = mmap(NULL, sizeof *before_exec_kb, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    before_exec_kb = page == MAP_FAILED ? NULL : page;
}

/* Two pipes; the child inherits neither by its number here. */
static bool pipes_open(int *output, int *report)
{
    if (pipe2(output, O_CLOEXEC) != 0)
        return false;
    if (pipe2(report, O_CLOEXEC) == 0) {
        fcntl(output[0], F_SETFL, O_NONBLOCK);
        fcntl(report[0], F_SETFL, O_NONBLOCK); /* the child's children may hold the other end */
        return true;
    }
    close(output[0]);
    close(output[1]);
    return false;
}

/* Waits for a child that is ending and takes what it used and what the witness said. */
static void child_end(const struct launch *launch, const struct child *child, bool in_time,
                      struct launch_result *result)
{
    int status = 0;
    struct rusage usage;
    if (!in_time)
        kill(-child->pid, SIGKILL);
    while (wait4(child->pid, &status, 0, &usage) < 0 && errno == EINTR)
        ;
    status_explain(status, in_time, launch->timeout_s, result);
    ssize_t got = read(child->report, result->malloc_file, sizeof result->malloc_file - 1);
    result->malloc_file[got > 0 ? got : 0] = '\0';
    if (before_exec_kb != NULL && usage.ru_maxrss > *before_exec_kb + EXEC_MARGIN_KB)
        result->maxrss_kb = (double)usage.ru_maxrss;
    result->minor_faults = usage.ru_minflt;
    result->user_s = seconds_of(usage.ru_utime);
    result->system_s = seconds_of(usage.ru_stime);
}

void launch_run(const struct launch *launch, struct launch_result *result)
{
    int output[2];
    int report[2];
    memset(result, 0, sizeof *result);
    result->wall_s = NAN;
    result->maxrss_kb = NAN;
    before_exec_map();
    if (!pipes_open(output, report)) {
        snprintf(result->reason, sizeof result->reason, "pipe: %s", strerror(errno));
        return;
    }
    struct child child = {.output = output[0], .report = report[0], .start_s = now_s()};
    child.pid = fork();
    if (child.pid == 0)
        child_exec(launch, output[1], report[1]);
    close(output[1]);
    close(report[1]);
    if (child.pid < 0) {
        snprintf(result->reason, sizeof result->reason, "fork: %s", strerror(errno));
    } else {
        setpgid(child.pid, child.pid);
        child.process = pidfd_open(child.pid, 0);
        bool in_time = child_watch(&child, child.start_s + launch->timeout_s, result);
        child_end(launch, &child, in_time, result);
        if (child.process >= 0)
            close(child.process);
    }
    close(output[0]);
    close(report[0]);
}
