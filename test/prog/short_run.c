/*
 * A short life with threads, to be run many times: what hangs one time in a thousand hangs here.
 *
 *   short_run SEED
 *
 * By the seed, threads are joined at the end, or left running while main() returns, or the process
 * forks among them, and its child does as much and ends.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS 64

static _Atomic(char *) table[SLOTS];
static _Atomic(int) stop_now;

static uint64_t random_next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void step(uint64_t *seed)
{
    size_t bytes = 1 + random_next(seed) % (random_next(seed) % 30 == 0 ? 200000 : 2000);
    char *block = malloc(bytes);
    if (block == NULL)
        _exit(3);
    memset(block, 1, bytes);
    free(atomic_exchange(&table[random_next(seed) % SLOTS], block));
}

static void *run(void *argument)
{
    uint64_t seed = (uintptr_t)argument;
    while (!atomic_load(&stop_now))
        step(&seed);
    return NULL;
}

int main(int count, char **arguments)
{
    uint64_t seed = count > 1 ? strtoul(arguments[1], NULL, 10) : 0;
    unsigned kind = (unsigned)seed % 3;
    pthread_t threads[3];
    int status = 0;
    for (uintptr_t i = 0; i < 3; i++) {
        if (pthread_create(&threads[i], NULL, run, (void *)(seed * 3 + i)) != 0)
            return 4;
    }
    for (unsigned i = 0; i < 200; i++)
        step(&seed);
    if (kind == 1)
        return 0; /* the others are in the middle of something */
    if (kind == 2) {
        pid_t child = fork();
        for (unsigned i = 0; i < 200; i++)
            step(&seed);
        if (child == 0)
            exit(0);
        if (child < 0 || waitpid(child, &status, 0) != child)
            return 5;
    }
    atomic_store(&stop_now, 1);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    return status == 0 ? 0 : 6;
}
