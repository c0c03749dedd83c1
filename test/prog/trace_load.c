/*
 * A load whose calls of the malloc family are known: recorded by test_trace.sh.
 *
 * trace_load [EXIT]. Threads that allocate, resize, align, clear and free each other's blocks; a
 * fork, whose child allocates too; a peak on one thread alone. Each size is MARK more than a
 * multiple of MARK_STEP, which libc asks for nowhere, so that the recording of these calls can be
 * told from libc's own. Prints how many calls the first process made, and the most bytes that were
 * live at once. Ends with EXIT (0).
 *
 *   trace_load kill     SIGKILL in place of the end
 *   trace_load leave    _exit in place of it
 *   trace_load quick    quick_exit in place of it
 *   trace_load exec     execveat of a program that ends with 0, in place of it
 *   trace_load late     calls after the destructors, and an exec that fails between them
 *   trace_load joined   in place of all that: threads one after the other, each with a peak
 *   trace_load close    closes every descriptor first, and gives the high ones to a file `taken`
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MARK = 333, MARK_STEP = 1024, THREADS = 300, BLOCKS = 20, PEAK_BLOCKS = 2000, WAYS = 8 };

static _Atomic uint64_t operations;      /* [any, atomic] */
static void *handed_on[THREADS][BLOCKS]; /* [its thread, then main] */
static _Atomic(void *) passed[THREADS];  /* [any, atomic] a block for the next thread to free */

static size_t marked(size_t steps)
{
    return steps * MARK_STEP + MARK;
}

static void *count(void *block)
{
    if (block == NULL)
        _exit(99);
    /* relaxed: a figure. */
    atomic_fetch_add_explicit(&operations, 1, memory_order_relaxed);
    return block;
}

static void drop(void *block)
{
    if (block == NULL)
        return;
    /* relaxed: as above. */
    atomic_fetch_add_explicit(&operations, 1, memory_order_relaxed);
    free(block);
}

static void *take(unsigned way, size_t bytes)
{
    void *block = NULL;
    switch (way % WAYS) {
    case 0:
        return count(calloc(1, bytes));
    case 1:
        return posix_memalign(&block, 256, bytes) == 0 ? count(block) : count(NULL);
    case 2:
        return count(realloc(count(malloc(marked(0))), bytes));
    case 3:
        return count(memalign(64, bytes));
    case 4:
        return count(reallocarray(count(calloc(3, marked(3) / 3)), 1, bytes));
    case 5:
        return count(valloc(bytes));
    default:
        return count(malloc(bytes));
    }
}

/* Each thread frees what another one passed on, keeps some blocks, and leaves them to main. */
static void *churn(void *argument)
{
    size_t me = (size_t)argument;
    for (unsigned i = 0; i < 400; i++) {
        void **kept = &handed_on[me][i % BLOCKS];
        drop(*kept);
        *kept = take(i + (unsigned)me, marked(i % 5));
        memset(*kept, (int)i, marked(i % 5));
        if (i % 3 == 0) {
            /* acq_rel: the block's contents go with it. */
            drop(
                atomic_exchange_explicit(&passed[(me + 1) % THREADS], *kept, memory_order_acq_rel));
            *kept = NULL;
        }
    }
    return NULL;
}

static void fork_once(void)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        for (size_t i = 0; i < 1000; i++)
            free(take((unsigned)i, marked(100)));
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        _exit(98);
}

static uint64_t peak_alone(void)
{
    static void *blocks[PEAK_BLOCKS];
    uint64_t bytes = 0;
    for (size_t i = 0; i < PEAK_BLOCKS; i++) {
        blocks[i] = take((unsigned)i, marked(i % 50));
        bytes += marked(i % 50);
    }
    for (size_t i = 0; i < PEAK_BLOCKS; i++)
        drop(blocks[i]);
    return bytes;
}

static void *peak_in_thread(void *bytes)
{
    *(uint64_t *)bytes = peak_alone();
    return NULL;
}

static uint64_t peaks_joined(void)
{
    pthread_t thread;
    uint64_t bytes = 0;
    for (size_t i = 0; i < 20; i++) {
        drop(count(malloc(marked(0)))); /* of this thread, between the two */
        if (pthread_create(&thread, NULL, peak_in_thread, &bytes) != 0 ||
            pthread_join(thread, NULL) != 0)
            _exit(94);
    }
    return bytes;
}

static void threads_together(void)
{
    static pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, churn, (void *)i) != 0)
            _exit(97);
    fork_once();
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < THREADS; i++) {
        /* relaxed: the threads have ended. */
        drop(atomic_load_explicit(&passed[i], memory_order_relaxed));
        for (size_t k = 0; k < BLOCKS; k++)
            drop(handed_on[i][k]);
    }
}

static void descriptors_take(void)
{
    int taken = open("taken", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (taken < 0 || write(taken, "mine\n", 5) != 5)
        _exit(96);
    for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
        if (fd != taken && (fd < 1000 ? close(fd) : dup2(taken, fd)) < 0 && errno != EBADF)
            _exit(95);
}

/* stdio ends after all destructors: what it calls then is the program's last. */
static ssize_t allocate_late(void *cookie, const char *text, size_t bytes)
{
    char *none[] = {NULL};
    (void)cookie;
    (void)text;
    drop(count(malloc(marked(0))));
    (void)execv("./no-such", none);
    drop(count(malloc(marked(1))));
    return (ssize_t)bytes;
}

static void late_prepare(void)
{
    static char buffer[64];
    FILE *stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = allocate_late});
    if (stream == NULL || setvbuf(stream, buffer, _IOFBF, sizeof buffer) != 0 ||
        fputc('.', stream) == EOF)
        _exit(93);
    /* relaxed: the calls to come, so that what is printed is what will have been done. */
    atomic_fetch_add_explicit(&operations, 4, memory_order_relaxed);
}

static void leave(const char *end)
{
    char *program[] = {"true", NULL};
    if (strcmp(end, "kill") == 0)
        raise(SIGKILL);
    if (strcmp(end, "leave") == 0)
        _exit(5);
    if (strcmp(end, "quick") == 0)
        quick_exit(5);
    if (strcmp(end, "exec") == 0 && execveat(AT_FDCWD, "/bin/true", program, environ, 0) != 0)
        _exit(92);
}

int main(int argc, char **argv)
{
    const char *end = argc > 1 ? argv[1] : "0";
    bool joined = strcmp(end, "joined") == 0;
    if (strcmp(end, "close") == 0)
        descriptors_take();
    if (!joined)
        threads_together();
    if (strcmp(end, "late") == 0)
        late_prepare();
    uint64_t peak_bytes = joined ? peaks_joined() : peak_alone();
    /* relaxed: as above. */
    dprintf(STDOUT_FILENO, "operations %llu peak_bytes %llu\n",
            (unsigned long long)atomic_load_explicit(&operations, memory_order_relaxed),
            (unsigned long long)peak_bytes);
    leave(end);
    return atoi(end);
}
