/*
 * prof_load WHAT...: a program that allocates known volumes at known places, for the profiler's
 * test.
 *
 *   small    100 000 blocks of 48 bytes, kept (keep_small)
 *   large    40 blocks of 1 MiB, kept (keep_large)
 *   churn    4 000 000 times a block of 64 bytes that is freed at once (churn_small)
 *   signal   raises SIGUSR2
 *   file=F   makes the file F, and allocates until it is gone
 *   cut=F    the same while files may have 1000 bytes: who writes more gets SIGXFSZ
 *   fork     a child that keeps 64 blocks of 1 MiB (keep_child) and exits
 *   code     keeps 16 blocks of 1 MiB (keep_below) through code that was made at run time, with
 *            frame pointers and without unwind tables
 *   dup      keeps 20 000 copies of a text of 1000 bytes by strdup (keep_copies)
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))
#define MIB ((size_t)1 << 20)
#define WAIT_SECONDS 60

static void *volatile kept;

NOINLINE static void keep(size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++) {
        void **block = malloc(bytes);
        *block = kept;
        kept = block;
    }
}

/* After each call there is something left to do, so that it is no jump. */
#define KEEP(name, count, bytes)                                                                   \
    NOINLINE static void name(void)                                                                \
    {                                                                                              \
        keep(count, bytes);                                                                        \
        __asm__ volatile("");                                                                      \
    }
KEEP(keep_small, 100000, 48)
KEEP(keep_large, 40, MIB)
KEEP(keep_child, 64, MIB)
KEEP(keep_below, 16, MIB)

NOINLINE static void churn_small(void)
{
    for (size_t i = 0; i < 4000000; i++) {
        void *volatile block = malloc(64);
        free(block);
    }
}

NOINLINE static void keep_copies(void)
{
    static char text[1000];
    memset(text, 'x', sizeof text - 1);
    for (size_t i = 0; i < 20000; i++) {
        kept = strdup(text); /* not in a chain: nobody needs it */
    }
}

NOINLINE static void wait_for(const char *path)
{
    time_t end = time(NULL) + WAIT_SECONDS;
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    (void)close(file);
    while (access(path, F_OK) == 0 && time(NULL) < end) {
        keep(1000, 16);
        usleep(1000);
    }
}

NOINLINE static void wait_while_files_are_cut(const char *path)
{
    struct rlimit before, now;
    (void)getrlimit(RLIMIT_FSIZE, &before);
    now = before;
    now.rlim_cur = 1000;
    (void)setrlimit(RLIMIT_FSIZE, &now);
    wait_for(path);
    (void)setrlimit(RLIMIT_FSIZE, &before);
}

NOINLINE static void fork_child(void)
{
    if (fork() == 0) {
        keep_child();
        exit(0);
    }
    (void)wait(NULL);
}

/* push %rbp; mov %rsp,%rbp; call *%rdi; pop %rbp; ret */
NOINLINE static void call_made_code(void)
{
#if defined(__x86_64__)
    static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
    char *place = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(place, code, sizeof code);
    (void)mprotect(place, 4096, PROT_READ | PROT_EXEC);
    void (*made)(void (*)(void));
    memcpy(&made, &place, sizeof made);
    made(keep_below);
#else
    keep_below();
#endif
    __asm__ volatile("");
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        void (*act)(void);
    } acts[] = {{"small", keep_small}, {"large", keep_large},    {"churn", churn_small},
                {"fork", fork_child},  {"code", call_made_code}, {"dup", keep_copies}};
    for (int i = 1; i < count; i++) {
        for (size_t j = 0; j < sizeof acts / sizeof acts[0]; j++) {
            if (strcmp(arguments[i], acts[j].name) == 0) {
                acts[j].act();
            }
        }
        if (strcmp(arguments[i], "signal") == 0) {
            (void)raise(SIGUSR2);
        } else if (strncmp(arguments[i], "file=", 5) == 0) {
            wait_for(arguments[i] + 5);
        } else if (strncmp(arguments[i], "cut=", 4) == 0) {
            wait_while_files_are_cut(arguments[i] + 4);
        }
    }
    return 0;
}
