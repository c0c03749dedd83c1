/*
 * Runs a program whose memory calls to the kernel fail where it is told, and counts them.
 *
 *   fail_kth [--at K] [--times N] [--call NAME] [--errno NUMBER] [--library TEXT]
 *            [--report FILE] PROGRAM [ARGUMENT]...
 *
 * Calls are mmap, munmap, mprotect, madvise and mremap, or the one that --call names, of the
 * program and all processes that it starts. With --library only those that come from a file whose
 * name contains TEXT: the first words of the stack hold a return address into it. The K-th of them
 * and N - 1 more (default 1; 0: all that follow) fail with ENOMEM or that errno; the kernel never
 * sees them. Without --at none fails.
 *
 * A filter (seccomp) lets the kernel stop the program at such calls, and at these only; the rest is
 * ptrace. The report is one line:
 *
 *   calls 31 failed 1 signal 0 mmap 3 munmap 4 mprotect 20 madvise 4 mremap 0
 *
 * where `signal` is one like SIGSEGV that ended one of the processes.
 *
 * Exit status: the program's, 128 + N when signal N ended it, 77 when tracing is not allowed here.
 */
#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MMAP, MUNMAP, MPROTECT, MADVISE, MREMAP, KINDS };

static const struct {
    const char *name;
    long number;
} kinds[KINDS] = {
    [MMAP] = {"mmap", SYS_mmap},
    [MUNMAP] = {"munmap", SYS_munmap},
    [MPROTECT] = {"mprotect", SYS_mprotect},
    [MADVISE] = {"madvise", SYS_madvise},
    [MREMAP] = {"mremap", SYS_mremap},
};

static struct {
    unsigned long at, times;
    const char *call, *library, *report;
    int error;
} asked = {.times = 1, .error = ENOMEM};

static struct {
    unsigned long calls, failed, by_kind[KINDS];
    int signal;
} seen;

static void stop(int status, const char *what)
{
    fprintf(stderr, "fail_kth: %s: %s\n", what, strerror(errno));
    exit(status);
}

/* ---- the processor's part ---- */

struct place {
    long number;
    uintptr_t stack;
    uintptr_t link; /* the return address, where it is in a register */
};

#if defined(__x86_64__)
#define AUDIT_HERE AUDIT_ARCH_X86_64

static bool place_read(pid_t thread, struct place *place)
{
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, thread, NULL, &registers) != 0)
        return false;
    *place = (struct place){(long)registers.orig_rax, registers.rsp, 0};
    return true;
}

static bool call_fail(pid_t thread)
{
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, thread, NULL, &registers) != 0)
        return false;
    registers.orig_rax = (unsigned long long)-1; /* no call; what rax holds is its answer */
    registers.rax = (unsigned long long)-asked.error;
    return ptrace(PTRACE_SETREGS, thread, NULL, &registers) == 0;
}
#elif defined(__aarch64__)
#define AUDIT_HERE AUDIT_ARCH_AARCH64

static bool place_read(pid_t thread, struct place *place)
{
    struct user_regs_struct registers;
    struct iovec all = {&registers, sizeof registers};
    if (ptrace(PTRACE_GETREGSET, thread, (void *)NT_PRSTATUS, &all) != 0)
        return false;
    *place = (struct place){(long)registers.regs[8], registers.sp, registers.regs[30]};
    return true;
}

static bool call_fail(pid_t thread)
{
    struct user_regs_struct registers;
    struct iovec all = {&registers, sizeof registers};
    int none = -1;
    struct iovec number = {&none, sizeof none};
    if (ptrace(PTRACE_GETREGSET, thread, (void *)NT_PRSTATUS, &all) != 0)
        return false;
    registers.regs[0] = (unsigned long long)-asked.error;
    return ptrace(PTRACE_SETREGSET, thread, (void *)NT_ARM_SYSTEM_CALL, &number) == 0 &&
           ptrace(PTRACE_SETREGSET, thread, (void *)NT_PRSTATUS, &all) == 0;
}
#else
#error "fail_kth knows x86-64 and AArch64"
#endif

/* ---- whose call it is ---- */

/* Words of the stack that are looked at: mremap() of libc has the largest frame of these calls. */
#define STACK_WORDS 14

/* Whether one of `count` addresses lies in code of a file whose name contains the text. */
static bool leads_to_library(pid_t thread, const uintptr_t *addresses, size_t count)
{
    char path[64], line[512];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)thread);
    FILE *maps = fopen(path, "r");
    while (maps != NULL && !found && fgets(line, sizeof line, maps) != NULL) {
        unsigned long start, end;
        char rights[8];
        if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) != 3 || rights[2] != 'x' ||
            strstr(line, asked.library) == NULL)
            continue;
        for (size_t i = 0; i < count; i++)
            found = found || (addresses[i] >= start && addresses[i] < end);
    }
    if (maps != NULL)
        fclose(maps);
    return found;
}

static bool comes_from_library(pid_t thread, const struct place *place)
{
    uintptr_t words[STACK_WORDS + 1] = {place->link};
    struct iovec here = {words + 1, sizeof words - sizeof *words};
    struct iovec there = {(void *)place->stack, sizeof words - sizeof *words};
    if (process_vm_readv(thread, &here, 1, &there, 1, 0) <= 0)
        return false;
    return leads_to_library(thread, words, STACK_WORDS + 1);
}

static void look_at_call(pid_t thread)
{
    struct place place;
    if (!place_read(thread, &place))
        return;
    size_t kind = 0;
    while (kind < KINDS && kinds[kind].number != place.number)
        kind++;
    if (kind == KINDS || (asked.call != NULL && strcmp(asked.call, kinds[kind].name) != 0) ||
        (asked.library != NULL && !comes_from_library(thread, &place)))
        return;
    seen.calls++;
    seen.by_kind[kind]++;
    if (asked.at != 0 && seen.calls >= asked.at &&
        (asked.times == 0 || seen.calls - asked.at < asked.times)) {
        if (!call_fail(thread))
            stop(3, "a call could not be made to fail");
        seen.failed++;
    }
}

/* ---- the program ---- */

/* Stops at the calls of `kinds`, lets all others through. */
static bool filter_install(void)
{
    struct sock_filter steps[4 + KINDS + 2];
    size_t count = 0;
    steps[count++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    steps[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_HERE, 1, 0);
    steps[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    steps[count++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < KINDS; i++)
        steps[count++] = (struct sock_filter)BPF_JUMP(
            BPF_JMP | BPF_JEQ | BPF_K, (unsigned)kinds[i].number, (unsigned char)(KINDS - i), 0);
    steps[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    steps[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    struct sock_fprog filter = {(unsigned short)count, steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

static pid_t start(char **command)
{
    int go[2];
    char byte = 0;
    if (pipe(go) != 0)
        stop(3, "pipe");
    pid_t child = fork();
    if (child < 0)
        stop(3, "fork");
    if (child == 0) {
        close(go[1]);
        if (read(go[0], &byte, 1) != 1) /* nobody traces it */
            _exit(77);
        close(go[0]);
        if (!filter_install())
            stop(77, "seccomp");
        execvp(command[0], command);
        stop(127, command[0]);
    }
    close(go[0]);
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                   PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SEIZE, child, NULL, (void *)options) != 0) {
        fprintf(stderr, "fail_kth: tracing is not allowed here: %s\n", strerror(errno));
        kill(child, SIGKILL);
        exit(77);
    }
    if (write(go[1], &byte, 1) != 1)
        stop(3, "pipe");
    close(go[1]);
    return child;
}

/* What a thread stopped for; it goes on. */
static void go_on(pid_t thread, int status)
{
    int event = status >> 16;
    int number = WSTOPSIG(status);
    if (event == PTRACE_EVENT_SECCOMP)
        look_at_call(thread);
    if (event == PTRACE_EVENT_STOP && number != SIGTRAP) /* stopped as a job is */
        (void)ptrace(PTRACE_LISTEN, thread, NULL, NULL);
    else
        (void)ptrace(PTRACE_CONT, thread, NULL, (void *)(uintptr_t)(event == 0 ? number : 0));
}

static bool is_fault(int number)
{
    const int faults[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGSYS, SIGTRAP};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        if (number == faults[i])
            return true;
    }
    return false;
}

/* Until the last process has ended; the first one's end. */
static int trace_all(pid_t first)
{
    int status, end = 0;
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0 && errno == EINTR)
            continue;
        if (thread < 0)
            return end;
        if (WIFSTOPPED(status)) {
            go_on(thread, status);
            continue;
        }
        if (WIFSIGNALED(status) && is_fault(WTERMSIG(status)))
            seen.signal = WTERMSIG(status);
        if (thread == first)
            end = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
}

static void report_write(void)
{
    FILE *file = asked.report == NULL ? stderr : fopen(asked.report, "w");
    if (file == NULL)
        stop(3, asked.report);
    fprintf(file, "calls %lu failed %lu signal %d", seen.calls, seen.failed, seen.signal);
    for (size_t i = 0; i < KINDS; i++)
        fprintf(file, " %s %lu", kinds[i].name, seen.by_kind[i]);
    fputc('\n', file);
    if (fclose(file) != 0)
        stop(3, "report");
}

static char **options_read(char **words)
{
    for (; words[0] != NULL && strncmp(words[0], "--", 2) == 0 && words[1] != NULL; words += 2) {
        const char *name = words[0] + 2;
        if (strcmp(name, "at") == 0)
            asked.at = strtoul(words[1], NULL, 10);
        else if (strcmp(name, "times") == 0)
            asked.times = strtoul(words[1], NULL, 10);
        else if (strcmp(name, "errno") == 0)
            asked.error = atoi(words[1]);
        else if (strcmp(name, "call") == 0)
            asked.call = words[1];
        else if (strcmp(name, "library") == 0)
            asked.library = words[1];
        else if (strcmp(name, "report") == 0)
            asked.report = words[1];
        else
            break;
    }
    return words;
}

int main(int count, char **arguments)
{
    char **command = options_read(arguments + 1);
    (void)count;
    if (command[0] == NULL || command[0][0] == '-') {
        fprintf(stderr, "fail_kth: no program, or an unknown option\n");
        return 2;
    }
    int end = trace_all(start(command));
    report_write();
    return end;
}
