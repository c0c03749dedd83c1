/*
 * A heap that is led through the steps of the command line, on the malloc it was started on.
 *
 *   grow=MIB   blocks of every tier, filled
 *   stretch    large blocks grow by half
 *   write      other contents for all of them
 *   check      their contents are what was written
 *   drop       all are freed
 *   trim       malloc_trim(0)
 *   fork       a child that writes to all of them, and ends
 *   show       a line: pages of the pool and transparent ones that this process has, in KiB, and
 *              whether the kernel holds it for privileged
 *   wait       the line "waiting"; goes on when a line came in
 *
 * Ends with the line "sound" and 0; with 3 if a block lost its contents or could not be had.
 */
#include "huge_blocks.h"

#include <malloc.h>
#include <sys/auxv.h>
#include <sys/wait.h>

static struct huge_block blocks[HUGE_BLOCKS_MAX];

static void show(void)
{
    dprintf(STDOUT_FILENO, "hugetlb_kib=%lu thp_kib=%lu secure=%lu\n", huge_pooled_kib(),
            huge_kernel_figure("/proc/self/smaps_rollup", "AnonHugePages:"), getauxval(AT_SECURE));
}

/* A child that writes to all blocks, and its end. */
static void fork_writer(struct huge_blocks *set)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        huge_blocks_write(set);
        huge_blocks_check(set);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        huge_stop("the child was lost");
}

static void wait_for_line(void)
{
    char byte = 0;
    dprintf(STDOUT_FILENO, "waiting\n");
    while (read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n')
        continue;
    if (byte != '\n')
        huge_stop("nobody leads on");
}

static void step(struct huge_blocks *set, const char *word)
{
    if (strncmp(word, "grow=", 5) == 0)
        huge_blocks_grow(set, strtoul(word + 5, NULL, 10));
    else if (strcmp(word, "stretch") == 0)
        huge_blocks_stretch(set);
    else if (strcmp(word, "write") == 0)
        huge_blocks_write(set);
    else if (strcmp(word, "check") == 0)
        huge_blocks_check(set);
    else if (strcmp(word, "drop") == 0)
        huge_blocks_drop(set);
    else if (strcmp(word, "trim") == 0)
        (void)malloc_trim(0);
    else if (strcmp(word, "show") == 0)
        show();
    else if (strcmp(word, "fork") == 0)
        fork_writer(set);
    else if (strcmp(word, "wait") == 0)
        wait_for_line();
    else
        huge_stop("no such step");
}

int main(int count, char **words)
{
    struct huge_blocks set = {.blocks = blocks, .stamp = 1};
    for (int i = 1; i < count; i++)
        step(&set, words[i]);
    huge_blocks_check(&set);
    dprintf(STDOUT_FILENO, "sound\n");
    return 0;
}
