/*
 * emulator: what a test sees of a program that runs under qemu-user.
 */
#ifndef HAK_TEST_EMULATOR_H
#define HAK_TEST_EMULATOR_H

#include <string.h>

/* What qemu-user adds when it ends by a signal is not the program's. */
static inline void emulator_drop_line(char *text)
{
    char *added = strstr(text, "qemu: uncaught target signal ");
    if (added != NULL) {
        char *after = strchr(added, '\n');
        memmove(added, after == NULL ? "" : after + 1, after == NULL ? 1 : strlen(after + 1) + 1);
    }
}

#endif
