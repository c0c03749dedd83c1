/*
 * target: another process, and the allocator in it.
 *
 * Purpose   finds the library by the note that it carries in memory (include/hak_view.h), whatever
 *           it is called and wherever its file is by now, and reads by process_vm_readv(), which
 *           never stops the process. That takes the rights of a debugger.
 * Errors    said on standard error; the return value is the exit status.
 */
#ifndef HAK_TARGET_H
#define HAK_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hak_view.h"

/* Exit statuses of map and top, beside 0. */
enum {
    HEAP_FAILED = 1, /* a file cannot be read or written, or the process ended meanwhile */
    HEAP_WRONG_CALL = 2,
    HEAP_NO_PROCESS = 3,
    HEAP_NO_RIGHTS = 4,
    HEAP_NO_LIBRARY = 5,
    HEAP_OTHER_VERSION = 6,
};

struct target {
    int process;
    char program[32]; /* its name, as ps shows it */
    struct hak_view view;
};

/* The process alone: whether it is there, and its name. */
int target_find(struct target *target, int process);

/* The allocator in it. */
int target_open(struct target *target);

/* Reads memory of the process; false: it cannot be read. */
bool target_read(const struct target *target, uint64_t address, void *bytes, size_t count);

/* Whether the process is still there and runs. */
bool target_lives(const struct target *target);

#endif
