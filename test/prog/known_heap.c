/*
 * Holds a known heap, and ends: 1000 blocks of 48 bytes and three of 1 MiB beyond what it starts
 * with; with an argument, it does something before that.
 *
 *   known_heap             ends
 *   known_heap info        malloc_info() to standard output
 *   known_heap stats       malloc_stats()
 *   known_heap forks       a child holds 500 blocks more, and ends after it
 *   known_heap threads     as many blocks again, of four threads that have ended
 */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *volatile kept[4000];

static void hold(size_t from, size_t to, size_t bytes)
{
    for (size_t i = from; i < to; i++) {
        kept[i] = malloc(bytes);
        if (kept[i] == NULL)
            abort();
    }
}

static void *hold_part(void *from)
{
    size_t start = (size_t)from;
    hold(start, start + 250, 48);
    return NULL;
}

int main(int arguments, char **argument)
{
    const char *wanted = arguments > 1 ? argument[1] : "";
    hold(0, 1000, 48);
    hold(1000, 1003, 1 << 20);
    if (strcmp(wanted, "info") == 0) {
        if (malloc_info(0, stdout) != 0)
            return 1;
    } else if (strcmp(wanted, "stats") == 0) {
        malloc_stats();
    } else if (strcmp(wanted, "threads") == 0) {
        pthread_t threads[4];
        for (size_t i = 0; i < 4; i++)
            pthread_create(&threads[i], NULL, hold_part, (void *)(2000 + i * 250));
        for (size_t i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
    } else if (strcmp(wanted, "forks") == 0) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            hold(2000, 2500, 48);
            exit(0);
        }
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            return 1;
    }
    return 0;
}
