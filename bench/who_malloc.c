/*
 * libwhomalloc.so: preloaded behind an allocator, tells the runner which file serves malloc.
 *
 * The dynamic linker goes on without a preload that it cannot load, and a program does not say who
 * served it. Before main(), in the process that the runner started and in no other, the file's name
 * is written to the descriptor that the runner left open; descriptor and variable are then gone, so
 * that the program finds neither. Defines nothing of the malloc family and calls none of it. The
 * environment is read without getenv(), which a shell may define in its own way.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "who_malloc.h"

/* The variable's place in the environment; NULL if it is not set. */
static char **variable_find(void)
{
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
        if (strncmp(*entry, WHO_MALLOC_VARIABLE "=", sizeof WHO_MALLOC_VARIABLE) == 0)
            return entry;
    return NULL;
}

__attribute__((constructor)) static void malloc_file_report(void)
{
    Dl_info info;
    char *rest = NULL;
    char **variable = variable_find();
    if (variable == NULL)
        return;
    int descriptor = (int)strtol(*variable + sizeof WHO_MALLOC_VARIABLE, &rest, 10);
    if (strtol(rest, NULL, 10) != (long)getpid())
        return;
    void *address = dlsym(RTLD_DEFAULT, "malloc");
    if (address != NULL && dladdr(address, &info) != 0 && info.dli_fname != NULL)
        (void)write(descriptor, info.dli_fname, strlen(info.dli_fname));
    close(descriptor);
    do
        variable[0] = variable[1];
    while (*variable++ != NULL);
}
