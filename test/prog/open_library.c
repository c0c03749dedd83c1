/*
 * Opens the library that its argument names while threads run already, uses it and closes it.
 *
 *   open_library LIBRARY [thread]     with `thread` another thread than main opens it
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *(*allocate)(size_t);
static void (*release)(void *);
static const char *library_path;
static void *library;
static pthread_barrier_t opened, used, closed;

static void use(void)
{
    for (size_t bytes = 1; bytes < 5000000; bytes += bytes / 2 + 1) {
        char *block = allocate(bytes);
        if (block == NULL)
            exit(3);
        memset(block, 1, bytes);
        release(block);
    }
}

/* Began before the library was there, ends after it was closed: its end must find the code. */
static void *use_between(void *argument)
{
    pthread_barrier_wait(&opened);
    use();
    pthread_barrier_wait(&used);
    pthread_barrier_wait(&closed);
    return argument;
}

static void *open_it(void *argument)
{
    library = dlopen(library_path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "open_library: %s\n", dlerror());
        exit(2);
    }
    allocate = (void *(*)(size_t))dlsym(library, "hak_malloc");
    release = (void (*)(void *))dlsym(library, "hak_free");
    if (allocate == NULL || release == NULL)
        exit(4);
    use();
    return argument;
}

int main(int count, char **arguments)
{
    pthread_t early, opener;
    if (count < 2)
        return 1;
    library_path = arguments[1];
    pthread_barrier_init(&opened, NULL, 2);
    pthread_barrier_init(&used, NULL, 2);
    pthread_barrier_init(&closed, NULL, 2);
    if (pthread_create(&early, NULL, use_between, NULL) != 0)
        return 1;
    if (count > 2) {
        if (pthread_create(&opener, NULL, open_it, NULL) != 0)
            return 1;
        pthread_join(opener, NULL);
    } else {
        open_it(NULL);
    }
    pthread_barrier_wait(&opened);
    use();
    pthread_barrier_wait(&used);
    dlclose(library);
    pthread_barrier_wait(&closed);
    pthread_join(early, NULL);
    return 0;
}
