/*
 * hardened_misuse: a child of a hardened process does one thing wrong, and is stopped.
 *
 * Purpose   whatever came before it, a live block is misused in one of the ways of the table below:
 *           the process ends by abort() after the one line that the table has, or by SIGSEGV where
 *           the memory cannot be touched any more.
 * Threads   one at a time works; the child has the one that forked.
 */
#ifndef HAKMEM_TEST_FUZZ_HARDENED_MISUSE_H
#define HAKMEM_TEST_FUZZ_HARDENED_MISUSE_H

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "hardened.h"

/* A fork takes a while: so many an input. */
#define MISUSES_MAX 32

enum misuse {
    FREE_TWICE,
    FREE_INSIDE,
    WRITE_BEHIND,
    WRITE_BEFORE,
    WRITE_AFTER_FREE,
    FREE_SIZED,
    RESIZE_FREED,
    SIZE_OF_FREED,
    MISUSES,
};

static unsigned misuses_left; /* [who works] */

static const char *const misuse_messages[MISUSES] = {
    [FREE_TWICE] = "hakmem: free of a block that is already free\n",
    [FREE_INSIDE] = "hakmem: free of a pointer inside a block\n",
    [WRITE_BEHIND] = "hakmem: write past the end of a block\n",
    [WRITE_BEFORE] = "hakmem: write before the start of a block\n",
    [WRITE_AFTER_FREE] = "hakmem: write to a block after it was freed\n",
    [FREE_SIZED] = "hakmem: free with another size than the block was allocated with\n",
    [RESIZE_FREED] = "hakmem: realloc of a block that is already free\n",
    [SIZE_OF_FREED] = "hakmem: malloc_usable_size of a block that is already free\n",
};

static void misuse_do(enum misuse misuse, unsigned char *start, size_t bytes, unsigned number)
{
    __asm__ volatile("" : "+r"(start)); /* the compiler is not to see what is wrong */
    volatile unsigned char *at = start;
    switch (misuse) {
    case FREE_INSIDE:
        hak_free(start + 1 + number % (bytes - 1));
        return;
    case WRITE_BEHIND:
        at[bytes] ^= 64;
        break;
    case WRITE_BEFORE:
        at[-1] ^= 64;
        break;
    case FREE_SIZED:
        hak_free_sized(start, bytes + 2 + number);
        return;
    default:
        break;
    }
    hak_free(start);
    __asm__ volatile("" : "+r"(start));
    if (misuse == FREE_TWICE) {
        hak_free(start);
    } else if (misuse == WRITE_AFTER_FREE) {
        at[0] = 1;
        struct hak_page *page = hak_page_of(start); /* as at exit */
        uintptr_t tag = hak_region_tag(hak_page_idx(page));
        if (hak_slots_own(tag)) /* a large block could not be touched */
            hak_slots_check(page, tag);
    } else if (misuse == RESIZE_FREED) {
        hak_free(hak_realloc(start, 1 + number));
    } else {
        (void)hak_malloc_usable_size(start);
    }
}

/* Some blocks have nothing inside, before or behind them that could be misused. */
static bool misuse_is_possible(enum misuse misuse, const unsigned char *start, size_t bytes)
{
    return !(misuse == FREE_INSIDE && bytes < 2) && !(misuse == WRITE_AFTER_FREE && bytes < 1) &&
           !(misuse == WRITE_BEFORE && (uintptr_t)start % HAK_PAGE_BYTES == 0);
}

static void hardened_misuse(unsigned char *start, size_t bytes, unsigned choice, unsigned number)
{
    enum misuse misuse = (enum misuse)(choice % MISUSES);
    char text[128] = "";
    int ends[2], status;
    if (start == NULL || hardened.may_run_out || !misuse_is_possible(misuse, start, bytes) ||
        misuses_left == 0)
        return;
    misuses_left--;
    FUZZ_REQUIRE(pipe(ends) == 0);
    pid_t child = fork();
    FUZZ_REQUIRE(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        (void)signal(SIGSEGV, SIG_DFL);
        (void)dup2(ends[1], STDERR_FILENO);
        misuse_do(misuse, start, bytes, number);
        _exit(0);
    }
    (void)close(ends[1]);
    while (waitpid(child, &status, 0) != child) /* libFuzzer has a timer */
        FUZZ_REQUIRE(errno == EINTR);
    FUZZ_REQUIRE(read(ends[0], text, sizeof text - 1) >= 0); /* all of it is there */
    (void)close(ends[0]);
    bool touches = misuse == WRITE_BEHIND || misuse == WRITE_BEFORE || misuse == WRITE_AFTER_FREE;
    int signal_number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    bool stopped = (signal_number == SIGABRT && strcmp(text, misuse_messages[misuse]) == 0) ||
                   (signal_number == SIGSEGV && touches);
    if (!stopped)
        fprintf(stderr, "misuse %u of %zu bytes: status %#x: %s\n", misuse, bytes, (unsigned)status,
                text);
    FUZZ_REQUIRE(stopped);
}

#endif
