/*
 * A block is freed by two other threads, one after the other.
 *
 * default: SIGABRT hakmem: free of a block that is already free
 * hardened: SIGABRT hakmem: free of a block that is already free
 */
#include "misuse.h"
#include <pthread.h>

static void *free_it(void *block)
{
    free(block);
    return NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);
    pthread_t thread;
    if (pthread_create(&thread, NULL, free_it, block) != 0 || pthread_join(thread, NULL) != 0)
        return 99;
    if (pthread_create(&thread, NULL, free_it, hide(block)) != 0 || pthread_join(thread, NULL) != 0)
        return 99;
    return flush();
}
