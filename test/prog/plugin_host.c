/*
 * Opens a library, has threads use it, and closes it, again and again; memory stays as it is.
 *
 *   plugin_host LIBRARY ROUNDS
 *
 * A thread that used the library ends before it is closed, another one after that. Prints "flat"
 * and ends with 0, or says what grew and ends with 1.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void (*use)(unsigned seed);
static void (*trim)(void);
static pthread_barrier_t used, closed;

static void *use_before(void *argument)
{
    use((unsigned)(uintptr_t)argument);
    free(malloc(1000));
    return NULL;
}

static void *use_around(void *argument)
{
    void *block;
    use((unsigned)(uintptr_t)argument);
    pthread_barrier_wait(&used);
    pthread_barrier_wait(&closed);
    block = malloc(100 + (uintptr_t)argument);
    memset(block, 1, 100);
    free(block);
    return NULL;
}

static int run_once(const char *path, unsigned round)
{
    pthread_t before[2], around;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "plugin_host: %s\n", dlerror());
        return 2;
    }
    use = (void (*)(unsigned))dlsym(library, "plugin_use");
    trim = (void (*)(void))dlsym(library, "plugin_trim");
    if (use == NULL || trim == NULL)
        return 2;
    use(round);
    for (uintptr_t i = 0; i < 2; i++) {
        if (pthread_create(&before[i], NULL, use_before, (void *)(round + i)) != 0)
            return 2;
    }
    if (pthread_create(&around, NULL, use_around, (void *)(uintptr_t)(round + 2)) != 0)
        return 2;
    for (unsigned i = 0; i < 2; i++)
        pthread_join(before[i], NULL);
    pthread_barrier_wait(&used);
    trim();
    dlclose(library);
    pthread_barrier_wait(&closed);
    pthread_join(around, NULL);
    return 0;
}

static long resident_pages(void)
{
    long pages = 0;
    malloc_trim(0);
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*s %ld", &pages) != 1)
        exit(2);
    fclose(file);
    return pages;
}

int main(int count, char **arguments)
{
    unsigned rounds = count > 2 ? (unsigned)strtoul(arguments[2], NULL, 10) : 0;
    long before_pages = 0;
    if (rounds < 100)
        return 2;
    pthread_barrier_init(&used, NULL, 2);
    pthread_barrier_init(&closed, NULL, 2);
    for (unsigned round = 0; round < rounds; round++) {
        int status = run_once(arguments[1], round);
        if (status != 0)
            return status;
        if (round == rounds / 4)
            before_pages = resident_pages();
    }
    if (resident_pages() > before_pages + 512) {
        fprintf(stderr, "plugin_host: %ld pages after %u rounds, %ld after %u\n", before_pages,
                rounds / 4, resident_pages(), rounds);
        return 1;
    }
    puts("flat");
    return 0;
}
