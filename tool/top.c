/*
 * top.c: the command `hakmem top`: its arguments, its clock, and the terminal.
 *
 * On a terminal the figures have a screen of their own, which goes away again with q, Ctrl-C,
 * Ctrl-Z and at the end of the process. Elsewhere each second's figures follow the last ones.
 */
#include "top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define SCREEN_BEGIN "\033[?1049h\033[?25l"
#define SCREEN_HOME "\033[H"
#define SCREEN_LINE_END "\033[K\r\n"
#define SCREEN_REST "\033[J"
#define SCREEN_END "\033[?25h\033[?1049l"
/* Lines above the classes, and one for the number of those that do not fit. */
#define HEAD_LINES 8
#define PERIOD_SECONDS 1.0

struct top_arguments {
    int process;
    bool once, json, published;
};

static bool arguments_read(char **arguments, struct top_arguments *asked)
{
    *asked = (struct top_arguments){0};
    for (; arguments[0] != NULL; arguments++) {
        if (strcmp(arguments[0], "--once") == 0) {
            asked->once = true;
        } else if (strcmp(arguments[0], "--json") == 0) {
            asked->json = true;
        } else if (strcmp(arguments[0], "--published") == 0) {
            asked->published = true;
        } else if (arguments[0][0] == '-') {
            heap_complain(HEAP_WRONG_CALL, "unknown option (see hakmem --help)", arguments[0]);
            return false;
        } else if (asked->process != 0 || heap_process(arguments[0]) == 0) {
            heap_complain(HEAP_WRONG_CALL,
                          asked->process != 0 ? "one process at a time, not also"
                                              : "this is no process id",
                          arguments[0]);
            return false;
        } else {
            asked->process = heap_process(arguments[0]);
        }
    }
    if (asked->process == 0) {
        heap_complain(HEAP_WRONG_CALL, "no process given (see hakmem --help)", NULL);
    }
    return asked->process != 0;
}

/* ---- the terminal ---- */

static struct {
    bool taken, keys; /* the screen; the keyboard */
    struct termios before;
} terminal;

static volatile sig_atomic_t stop_signal; /* that came; 0: none */

static void stop(int number)
{
    stop_signal = number;
}

static void signals_take(void)
{
    struct sigaction action = {.sa_handler = stop};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGTSTP, &action, NULL); /* as the end: a stopped top would leave its screen behind */
}

/* Keys come one by one and are not shown. */
static void terminal_take(void)
{
    signals_take();
    terminal.keys = isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp() &&
                    tcgetattr(STDIN_FILENO, &terminal.before) == 0;
    if (terminal.keys) {
        struct termios raw = terminal.before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    terminal.taken = true;
    fputs(SCREEN_BEGIN, stdout);
}

static void terminal_give_back(void)
{
    if (terminal.taken) {
        fputs(SCREEN_END, stdout);
        fflush(stdout);
    }
    if (terminal.keys) {
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal.before);
    }
    terminal.taken = terminal.keys = false;
}

static size_t terminal_lines(void)
{
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > HEAD_LINES;
    return known ? (size_t)(size.ws_row - HEAD_LINES) : 16;
}

/* Waits until a moment; false: the user wants no more. */
static bool wait_until(double moment)
{
    for (double now; stop_signal == 0 && (now = top_clock()) < moment;) {
        struct pollfd keyboard = {.fd = terminal.keys ? STDIN_FILENO : -1, .events = POLLIN};
        char key = '\0';
        if (poll(&keyboard, 1, (int)((moment - now) * 1000) + 1) <= 0) {
            continue;
        }
        ssize_t bytes = read(STDIN_FILENO, &key, 1);
        if (bytes == 1 && (key == 'q' || key == 'Q')) {
            return false;
        }
        terminal.keys = terminal.keys && bytes == 1;
    }
    return stop_signal == 0;
}

/* ---- the figures, again and again ---- */

static int figures_print(const struct top *top, const struct top_arguments *asked)
{
    if (terminal.taken) {
        fputs(SCREEN_HOME, stdout);
        top_print_text(top, terminal_lines(), heap_colour(), SCREEN_LINE_END);
        fputs(SCREEN_REST, stdout);
    } else if (asked->json) {
        top_print_json(top);
    } else {
        top_print_text(top, SIZE_MAX, false, "\n");
    }
    if (fflush(stdout) == EOF || ferror(stdout)) {
        return heap_complain(HEAP_FAILED, "cannot write", strerror(errno));
    }
    return 0;
}

static int figures_follow(struct top *top, const struct top_arguments *asked)
{
    for (double moment = top_clock();; moment += PERIOD_SECONDS) {
        if (!wait_until(moment)) {
            return 0;
        }
        if (!target_lives(&top->target)) {
            terminal_give_back();
            fprintf(stderr, "hakmem: top: process %d has ended\n", top->target.process);
            return 0;
        }
        int status = top_read(top);
        if (status == 0) {
            status = figures_print(top, asked);
        }
        if (status != 0) {
            return status;
        }
    }
}

int top_command(char **arguments)
{
    static struct top top;
    struct top_arguments asked;
    heap_verb("top");
    if (!arguments_read(arguments, &asked)) {
        return HEAP_WRONG_CALL;
    }
    top_sweep();
    int status = top_open(&top, asked.process, asked.published);
    if (status != 0) {
        return status;
    }
    if (asked.once) {
        status = top_read(&top);
        return status != 0 ? status : figures_print(&top, &asked);
    }
    if (!asked.json && isatty(STDOUT_FILENO)) {
        terminal_take();
    }
    status = figures_follow(&top, &asked);
    terminal_give_back();
    return status;
}
