/*
 * A heap of which the test knows what is in it, and that counts on while it is looked at.
 *
 *   heap_sample COUNTER_FILE
 *
 * Obeys letters on standard input and answers each with a line:
 *   a   allocates 1000 blocks of 60 bytes, 500 of 1500, 200 of 10000, 3 of 1 MiB, and has another
 *       thread allocate 700 of 250
 *   s   passes through slow paths for half a second
 *   f   forks; the child does the same, writes its number, and waits for the end of the input
 *   x   becomes sleep(1), without the library
 * A thread writes a growing number to COUNTER_FILE every millisecond.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OTHERS 700

static void *kept[2000];
static void *others[OTHERS];
static int wake[2];
static const char *counter_path;

static void stop(const char *what)
{
    (void)!write(STDERR_FILENO, what, strlen(what));
    _exit(3);
}

static void say(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        stop("cannot write\n");
}

static void *count_on(void *unused)
{
    int file = open(counter_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (unsigned long number = 0; file >= 0; number++) {
        char text[32];
        int bytes = snprintf(text, sizeof text, "%lu\n", number);
        if (pwrite(file, text, (size_t)bytes, 0) != bytes)
            stop("cannot count\n");
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return unused;
}

static void *allocate_others(void *unused)
{
    char byte;
    while (read(wake[0], &byte, 1) == 1) {
        for (size_t i = 0; i < OTHERS; i++) {
            others[i] = malloc(250);
            if (others[i] == NULL)
                stop("no memory\n");
        }
        say("done\n");
    }
    return unused;
}

static void allocate(void)
{
    static const struct {
        size_t count, bytes;
    } rows[] = {{1000, 60}, {500, 1500}, {200, 10000}, {3, 1 << 20}};
    size_t at = 0;
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        for (size_t i = 0; i < rows[row].count; i++, at++) {
            kept[at] = malloc(rows[row].bytes);
            if (kept[at] == NULL)
                stop("no memory\n");
        }
    }
}

static void slow_paths(void)
{
    for (unsigned i = 0; i < 50; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        for (unsigned j = 0; j < 32; j++)
            free(malloc(100000));
    }
}

static void fork_child(void)
{
    char text[32];
    pid_t child = fork();
    if (child < 0)
        stop("no child\n");
    if (child > 0)
        return;
    slow_paths();
    snprintf(text, sizeof text, "%d\n", (int)getpid());
    say(text);
    while (read(STDIN_FILENO, text, 1) == 1)
        if (text[0] == 'e')
            break;
    exit(0);
}

int main(int count, char **arguments)
{
    pthread_t counter, other;
    char letter;
    counter_path = count > 1 ? arguments[1] : "/dev/null";
    if (pipe(wake) != 0 || pthread_create(&other, NULL, allocate_others, NULL) != 0 ||
        pthread_create(&counter, NULL, count_on, NULL) != 0)
        stop("cannot start\n");
    say("ready\n");
    while (read(STDIN_FILENO, &letter, 1) == 1) {
        switch (letter) {
        case 'a':
            allocate();
            if (write(wake[1], "a", 1) != 1) /* which answers */
                stop("cannot wake\n");
            break;
        case 's':
            slow_paths();
            say("done\n");
            break;
        case 'f':
            fork_child();
            break;
        case 'x':
            unsetenv("LD_PRELOAD");
            unsetenv("HAKMEM_LIVE");
            say("done\n");
            execlp("sleep", "sleep", "60", (char *)NULL);
            stop("no sleep\n");
            break;
        default:
            break;
        }
    }
    return 0;
}
