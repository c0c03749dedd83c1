/*
 * What runs the tests: a sanitizer, an emulator.
 *
 * Threads   any.
 */
#ifndef HAKMEM_TEST_SURROUNDINGS_H
#define HAKMEM_TEST_SURROUNDINGS_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ASan and TSan have shadow memory: resident sizes, page faults and limits then say nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SUPPORT_SHADOWED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SUPPORT_SHADOWED 1
#endif
#endif
#ifndef SUPPORT_SHADOWED
#define SUPPORT_SHADOWED 0
#endif

/* qemu-user; the preset aarch64 says so. What it cannot do is in design/0027. */
static inline bool surroundings_are_qemu(void)
{
    return getenv("UNDER_QEMU") != NULL;
}

/* What qemu-user adds when it ends by a signal is not the program's. */
static inline void surroundings_drop_words(char *text)
{
    char *added = strstr(text, "qemu: uncaught target signal ");
    if (added != NULL) {
        char *after = strchr(added, '\n');
        memmove(added, after == NULL ? "" : after + 1, after == NULL ? 1 : strlen(after + 1) + 1);
    }
}

#endif
