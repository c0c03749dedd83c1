/*
 * schedule_cases: runs small cases of the allocator in every order of their threads' steps; see
 * schedule.h.
 *
 *   schedule_cases [--full] [--preemptions N|all] [--list] [CASE]...
 *
 * Ends with 0, with 1 when a case breaks a rule, with 2 after a wrong call.
 */
#include <sys/mman.h>

#include "schedule/schedule.h"
#include "support.h"

#define CASE_SECONDS 1800 /* one that takes longer has no end */

static const struct schedule_case *const tables[] = {
    schedule_page_cases,    schedule_heap_cases,  schedule_policy_cases,
    schedule_segment_cases, schedule_start_cases,
};

static struct {
    bool full, lists;
    unsigned preemptions; /* 0: as the case says */
    char **names;         /* NULL: all */
} asked;

static bool is_asked(const struct schedule_case *of)
{
    if (*asked.names == NULL)
        return true;
    for (char **name = asked.names; *name != NULL; name++) {
        if (strcmp(*name, of->name) == 0)
            return true;
    }
    return false;
}

static void bound_print(unsigned preemptions, const struct schedule_report *report)
{
    if (preemptions == SCHEDULE_ALL)
        printf("all orders (%zu pruned)\n", report->pruned);
    else
        printf("all with %u preemptions at most\n", preemptions);
}

/* In a process of its own: one that breaks a rule ends there. */
static bool case_run(const struct schedule_case *tried)
{
    unsigned preemptions = asked.preemptions != 0 ? asked.preemptions
                           : asked.full           ? tried->full
                                                  : tried->quick;
    struct schedule_report *report =
        mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    SUPPORT_REQUIRE(report != MAP_FAILED);
    double start = support_seconds();
    int status;
    fflush(stdout);
    pid_t child = fork();
    SUPPORT_REQUIRE(child >= 0);
    if (child == 0) {
        support_child_begin(CASE_SECONDS);
        schedule_explore(tried, preemptions, report);
        _exit(0);
    }
    SUPPORT_REQUIRE(waitpid(child, &status, 0) == child);
    printf("%s: %zu schedules of up to %zu steps, %zu in all, %.1f s: ", tried->name,
           report->schedules, report->longest, report->steps, support_seconds() - start);
    if (status == 0)
        bound_print(preemptions, report);
    else
        printf("BROKEN (status %#x)\n", (unsigned)status);
    munmap(report, sizeof *report);
    return status == 0;
}

static unsigned number_of(const char *text)
{
    return strcmp(text, "all") == 0 ? SCHEDULE_ALL : (unsigned)strtoul(text, NULL, 10);
}

static bool arguments_read(char **argument)
{
    for (; *argument != NULL && strncmp(*argument, "--", 2) == 0; argument++) {
        if (strcmp(*argument, "--full") == 0)
            asked.full = true;
        else if (strcmp(*argument, "--list") == 0)
            asked.lists = true;
        else if (strcmp(*argument, "--preemptions") == 0 && argument[1] != NULL)
            asked.preemptions = number_of(*++argument);
        else
            return false;
    }
    asked.names = argument;
    return true;
}

int main(int count, char **arguments)
{
    size_t matches = 0, broken = 0;
    (void)count;
    if (!arguments_read(arguments + 1)) {
        fprintf(stderr,
                "usage: schedule_cases [--full] [--preemptions N|all] [--list] [CASE]...\n");
        return 2;
    }
    for (size_t i = 0; i < SUPPORT_COUNT(tables); i++) {
        for (const struct schedule_case *at = tables[i]; at->name != NULL; at++) {
            if (!is_asked(at))
                continue;
            matches++;
            if (asked.lists)
                puts(at->name);
            else
                broken += !case_run(at);
        }
    }
    if (matches == 0)
        fprintf(stderr, "schedule_cases: no such case\n");
    return matches == 0 ? 2 : broken != 0;
}
