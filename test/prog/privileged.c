/*
 * What a setuid program does with the library: it uses every tier. Says first whether the kernel
 * has told it that its environment is not to be trusted: "secure" or "plain", then "hardened" if a
 * block is as long as was asked for, which no slot is, "published" if it is, and at last "whole".
 * With FOREIGN in its environment it also frees what malloc has not given.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

int main(void)
{
    char path[64];
    puts(getauxval(AT_SECURE) != 0 ? "secure" : "plain");
    char *ten = malloc(10);
    if (ten == NULL)
        return 5;
    if (malloc_usable_size(ten) == 10)
        puts("hardened");
    free(ten);
    snprintf(path, sizeof path, "/dev/shm/hakmem.%u.%d", geteuid(), getpid());
    if (access(path, F_OK) == 0)
        puts("published");
    for (size_t bytes = 1; bytes < 3000000; bytes *= 3) {
        char *block = malloc(bytes);
        char *cleared = calloc(1, bytes);
        if (block == NULL || cleared == NULL || cleared[bytes - 1] != 0)
            return 3;
        memset(block, 1, bytes);
        block = realloc(block, 2 * bytes);
        if (block == NULL || block[bytes - 1] != 1)
            return 4;
        free(cleared);
        free(block);
    }
    if (getenv("FOREIGN") != NULL) {
        static char foreign[64];
        char *volatile hidden = foreign;
        free(hidden);
    }
    puts("whole");
    return 0;
}
