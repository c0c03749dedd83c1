/*
 * Gives blocks of libc's own malloc to the free, realloc and malloc_usable_size that the program
 * has, from two places.
 *
 *   foreign CALL COUNT
 *
 *   free, realloc, size   COUNT blocks of 100 bytes, three of four from place_often()
 *   bands                 blocks of 100 and of 5000 bytes
 *   wild                  COUNT addresses that nobody made, of which half are not mapped
 *   threads               free by four threads at once
 *   many                  free from 100 places, one each
 *
 * Says how many realloc() calls gave a block with its contents, and how many bytes
 * malloc_usable_size() knew of.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#pragma GCC optimize("no-omit-frame-pointer")

static void *(*libc_malloc)(size_t);
static size_t kept, usable_bytes;
static const char *call;
static unsigned long count;

static void give(void *block)
{
    if (strcmp(call, "realloc") == 0) {
        char *moved = realloc(block, 300);
        kept += moved != NULL && moved[99] == 7;
    } else if (strcmp(call, "size") == 0) {
        usable_bytes += malloc_usable_size(block);
    } else {
        free(block);
    }
}

__attribute__((noipa)) static void place_often(void *block)
{
    give(block);
    __asm__ volatile(""); /* no jump in place of the call */
}

__attribute__((noipa)) static void place_seldom(void *block)
{
    give(block);
    __asm__ volatile("");
}

static void *give_all(void *unused)
{
    (void)unused;
    for (unsigned long i = 0; i < count; i++) {
        size_t bytes = strcmp(call, "bands") == 0 && i % 2 != 0 ? 5000 : 100;
        char *block = libc_malloc(bytes);
        if (block == NULL)
            abort();
        memset(block, 7, bytes);
        if (i % 4 == 0)
            place_seldom(block);
        else
            place_often(block);
    }
    return NULL;
}

static void give_wild(void)
{
    char *place = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED || munmap(place + (1 << 19), 1 << 19) != 0)
        abort();
    for (unsigned long i = 0; i < count; i++)
        place_often(place + (i % 2 != 0 ? 1 << 19 : 0) + 8 + i * 16);
}

static void give_many(void)
{
#define ONE free(libc_malloc(100));
#define TEN ONE ONE ONE ONE ONE ONE ONE ONE ONE ONE
    TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
}

int main(int arguments, char **argument)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW);
    if (arguments != 3 || libc == NULL)
        return 2;
    *(void **)&libc_malloc = dlsym(libc, "malloc");
    call = argument[1];
    count = strtoul(argument[2], NULL, 10);
    if (strcmp(call, "wild") == 0) {
        give_wild();
    } else if (strcmp(call, "many") == 0) {
        give_many();
    } else if (strcmp(call, "threads") == 0) {
        pthread_t threads[4];
        for (unsigned i = 0; i < 4; i++)
            pthread_create(&threads[i], NULL, give_all, NULL);
        for (unsigned i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
    } else {
        (void)give_all(NULL);
    }
    printf("kept %zu, %zu bytes\n", kept, usable_bytes);
    return 0;
}
