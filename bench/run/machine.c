/*
 * machine.c: what a reader has to know about the machine and the tree to judge the figures.
 *
 * Each figure that the machine does not tell stays an empty string, printed as "?" or null.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "runner.h"

/* The rest of the first line of a file that starts with `key`; "" if there is none. */
static void file_line(const char *path, const char *key, char *value, size_t value_bytes)
{
    char line[512];
    FILE *file = fopen(path, "re");
    value[0] = '\0';
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, strlen(key)) != 0)
            continue;
        const char *text = line + strlen(key);
        text += strspn(text, " \t:");
        snprintf(value, value_bytes, "%.*s", (int)strcspn(text, "\n"), text);
        break;
    }
    fclose(file);
}

void commit_read(struct comparison *s)
{
    static struct launch_result result;
    const char *const argv[] = {"git",     "-C", s->program_dir, "describe", "--always",
                                "--dirty", NULL};
    struct launch launch = {.argv = argv, .timeout_s = 10};
    launch_run(&launch, &result);
    if (result.ok)
        snprintf(s->commit, sizeof s->commit, "%.*s", (int)strcspn(result.output, "\n"),
                 result.output);
}

void machine_describe(struct machine *machine)
{
    struct utsname name;
    memset(machine, 0, sizeof *machine);
    if (uname(&name) == 0)
        snprintf(machine->kernel, sizeof machine->kernel, "%.60s %.60s", name.release,
                 name.machine);
    file_line("/proc/cpuinfo", "model name", machine->cpu, sizeof machine->cpu);
    file_line("/sys/kernel/mm/transparent_hugepage/enabled", "", machine->thp, sizeof machine->thp);
    file_line("/proc/meminfo", "HugePages_Total", machine->hugepages, sizeof machine->hugepages);
    machine->cpus = sysconf(_SC_NPROCESSORS_ONLN);
    machine->build = HAK_BENCH_BUILD;
}

bool tree_file(const struct comparison *s, const char *name, char *path, size_t path_bytes)
{
    static const char *const places[] = {"", "bench/", "../bench/", "../../bench/",
                                         "../../../bench/"};
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(path, path_bytes, "%s/%s%s", s->program_dir, places[i], name);
        if (access(path, R_OK) == 0)
            return true;
    }
    return false;
}

bool temporary_file(char *path, size_t path_bytes)
{
    const char *dir = getenv("TMPDIR");
    snprintf(path, path_bytes, "%s/hakmem-bench.XXXXXX", dir == NULL ? "/tmp" : dir);
    int fd = mkstemp(path);
    if (fd < 0)
        return false;
    close(fd);
    return true;
}
