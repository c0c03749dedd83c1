/*
 * Forks while other threads allocate, in ways that wait for ever where malloc takes locks around a
 * fork, or in its child still has those of threads that are not there:
 *
 *   lock     the handlers of a library take its lock, under which a thread allocates
 *   thread   a handler in the child allocates, and starts a thread that does
 *   stream   a stream's functions allocate, and a thread flushes all streams
 *
 * "early": the handlers are registered before those of any library, "late": after them. Says
 * nothing and ends with 0; what hangs is ended by SIGALRM.
 *
 * usage: fork_handlers lock|thread|stream early|late FORKS
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 3
#define CHILD_SECONDS 30
#define PARENT_SECONDS 200

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *stream;
static const char *way;
static _Atomic(int) over;

static int is_over(void)
{
    /* relaxed: only says when to end. */
    return atomic_load_explicit(&over, memory_order_relaxed);
}

static void stop(const char *why)
{
    fprintf(stderr, "fork_handlers: %s\n", why);
    _exit(1);
}

/* Some blocks of every tier, and what they hold. */
static void use_malloc(void)
{
    static const size_t sizes[] = {24, 100, 700, 3000, 9000, 40000, 200000};
    enum { SIZES = sizeof sizes / sizeof sizes[0], ROUNDS = 3 };
    unsigned char *blocks[ROUNDS][SIZES];
    for (unsigned i = 0; i < ROUNDS * SIZES; i++) {
        unsigned char *block = malloc(sizes[i % SIZES]);
        if (block == NULL)
            stop("no memory");
        memset(block, (int)i + 1, sizes[i % SIZES] < 4096 ? sizes[i % SIZES] : 4096);
        blocks[i / SIZES][i % SIZES] = block;
    }
    for (unsigned i = 0; i < ROUNDS * SIZES; i++) {
        unsigned char *block = blocks[i / SIZES][i % SIZES];
        if (block[0] != i + 1 ||
            block[sizes[i % SIZES] < 4096 ? sizes[i % SIZES] - 1 : 4095] != i + 1)
            stop("contents lost");
        free(block);
    }
}

static void *use_in_thread(void *unused)
{
    use_malloc();
    return unused;
}

/* ---- handlers -------------------------------------------------------------------------------- */

static void lock_take(void)
{
    pthread_mutex_lock(&lock);
    use_malloc();
}

static void lock_drop(void)
{
    use_malloc();
    pthread_mutex_unlock(&lock);
}

static void child_starts_a_thread(void)
{
    pthread_t thread;
    alarm(CHILD_SECONDS);
    if (pthread_create(&thread, NULL, use_in_thread, NULL) != 0)
        stop("no thread in a child");
    use_malloc();
    pthread_join(thread, NULL);
}

static void handlers_register(void)
{
    if (strcmp(way, "lock") == 0)
        pthread_atfork(lock_take, lock_drop, lock_drop);
    else if (strcmp(way, "thread") == 0)
        pthread_atfork(NULL, NULL, child_starts_a_thread);
}

/* Before the constructors of all libraries, libc's too. */
static void register_early(int argc, char **argv, char **environment)
{
    (void)environment;
    way = argc == 4 ? argv[1] : "";
    if (argc == 4 && strcmp(argv[2], "early") == 0)
        handlers_register();
}
__attribute__((section(".preinit_array"),
               used)) static void (*const first)(int, char **, char **) = register_early;

/* ---- what other threads do ------------------------------------------------------------------- */

static ssize_t stream_write(void *cookie, const char *bytes, size_t count)
{
    (void)cookie;
    (void)bytes;
    use_malloc();
    return (ssize_t)count;
}

static void *work(void *unused)
{
    while (!is_over()) {
        if (strcmp(way, "stream") == 0) {
            fputs("some bytes", stream);
            fflush(NULL);
        } else {
            pthread_mutex_lock(&lock);
            use_malloc();
            pthread_mutex_unlock(&lock);
        }
        use_malloc();
        sched_yield();
    }
    return unused;
}

static void fork_once(void)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        alarm(CHILD_SECONDS);
        use_malloc();
        if (strcmp(way, "stream") == 0) /* a vanished thread may have been inside of it */
            _exit(0);
        exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        stop("no child");
    if (status != 0)
        stop(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "a child hangs"
                                                                : "a child fails");
}

int main(int argc, char **argv)
{
    const cookie_io_functions_t functions = {.write = stream_write};
    pthread_t workers[WORKERS];
    if (argc != 4)
        return 2;
    alarm(PARENT_SECONDS);
    stream = fopencookie(NULL, "w", functions);
    if (stream == NULL)
        return 3;
    if (strcmp(argv[2], "late") == 0)
        handlers_register();
    for (int i = 0; i < WORKERS; i++) {
        if (pthread_create(&workers[i], NULL, work, NULL) != 0)
            return 4;
    }
    for (int i = atoi(argv[3]); i > 0; i--)
        fork_once();
    /* relaxed: see is_over(). */
    atomic_store_explicit(&over, 1, memory_order_relaxed);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    fclose(stream);
    return 0;
}
