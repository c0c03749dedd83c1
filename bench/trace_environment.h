/*
 * trace_environment.h: the variables that `hakmem record` set, read and taken out again.
 *
 * Owner    the recorder, before the program's main.
 * Threads  the one that starts.
 *
 * By hand: setenv allocates, and bash has functions of these names that see its own variables.
 */
#ifndef HAK_BENCH_TRACE_ENVIRONMENT_H
#define HAK_BENCH_TRACE_ENVIRONMENT_H

#include <string.h>
#include <unistd.h>

#define ENVIRONMENT_FILE "HAKMEM_RECORD_FILE"

/* The variable's place; NULL: not set. */
static inline char **environment_find(const char *name)
{
    size_t length = strlen(name);
    char **variable = environ;
    while (variable != NULL && *variable != NULL &&
           (strncmp(*variable, name, length) != 0 || (*variable)[length] != '='))
        variable++;
    return variable == NULL || *variable == NULL ? NULL : variable;
}

static inline void environment_remove(char **variable)
{
    for (; variable != NULL && *variable != NULL; variable++)
        *variable = variable[1];
}

/* Which file to record into; NULL: none, somebody preloaded the recorder by hand. */
static inline const char *environment_file(void)
{
    char **variable = environment_find(ENVIRONMENT_FILE);
    return variable == NULL ? NULL : *variable + sizeof ENVIRONMENT_FILE;
}

/* As it was before `hakmem record`, if that was there. The recorder is the first of the list. */
static inline void environment_restore(void)
{
    char **file = environment_find(ENVIRONMENT_FILE);
    char **preload = environment_find("LD_PRELOAD");
    char *list = preload == NULL ? NULL : *preload + sizeof "LD_PRELOAD";
    char *rest = list == NULL ? NULL : list + strcspn(list, ": ");
    if (file == NULL)
        return;
    environment_remove(file);
    if (rest != NULL && *rest != '\0')
        memmove(list, rest + 1, strlen(rest));
    else
        environment_remove(environment_find("LD_PRELOAD"));
}

#endif
