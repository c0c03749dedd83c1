/*
 * libwhomalloc.so: preloaded behind an allocator, tells the runner which file serves malloc.
 *
 * The dynamic linker goes on without a preload that it cannot load, and a program does not say who
 * served it. Before main(), in the process that the runner started and in no other, the file's name
 * is written to the descriptor that the runner left open; descriptor and variable are then gone, so
 * that the program finds neither. Defines nothing of the malloc family and calls none of it itself.
 * The environment is read without getenv(), which a shell may define in its own way.
 */
#include <dlfcn.h>
#include <link.h>
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

/*
 * NULL: nobody knows. A program at a fixed address that takes malloc's has a stub of its own, which
 * is malloc's address for everybody; then the first of the libraries that defines malloc serves it.
 */
static const char *malloc_file(void)
{
    Dl_info info;
    ElfW(Sym) *symbol = NULL;
    void *address = dlsym(RTLD_DEFAULT, "malloc");
    if (address == NULL || dladdr1(address, &info, (void **)&symbol, RTLD_DL_SYMENT) == 0)
        return NULL;
    if (symbol != NULL && symbol->st_shndx != SHN_UNDEF)
        return info.dli_fname;
    for (struct link_map *map = _r_debug.r_map->l_next; map != NULL; map = map->l_next) {
        void *library =
            strchr(map->l_name, '/') == NULL ? NULL : dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD);
        address = library == NULL ? NULL : dlsym(library, "malloc");
        if (address != NULL && dladdr(address, &info) != 0 &&
            strcmp(info.dli_fname, map->l_name) == 0)
            return map->l_name;
    }
    return NULL;
}

__attribute__((constructor)) static void malloc_file_report(void)
{
    char *rest = NULL;
    char **variable = variable_find();
    if (variable == NULL)
        return;
    int descriptor = (int)strtol(*variable + sizeof WHO_MALLOC_VARIABLE, &rest, 10);
    if (strtol(rest, NULL, 10) != (long)getpid())
        return;
    const char *file = malloc_file();
    if (file != NULL)
        (void)write(descriptor, file, strlen(file));
    close(descriptor);
    do
        variable[0] = variable[1];
    while (*variable++ != NULL);
}
