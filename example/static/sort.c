/* Sorts the lines of standard input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int line_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int main(void)
{
    char **lines = NULL;
    size_t count = 0;
    size_t room = 0;
    char buffer[4096];
    while (fgets(buffer, sizeof buffer, stdin) != NULL) {
        if (count == room) {
            room = room == 0 ? 64 : 2 * room;
            char **grown = realloc(lines, room * sizeof *lines);
            if (grown == NULL) {
                perror("sort");
                return 1;
            }
            lines = grown;
        }
        size_t bytes = strlen(buffer) + 1;
        lines[count] = malloc(bytes);
        if (lines[count] == NULL) {
            perror("sort");
            return 1;
        }
        memcpy(lines[count++], buffer, bytes);
    }
    qsort(lines, count, sizeof *lines, line_compare);
    for (size_t i = 0; i < count; i++) {
        fputs(lines[i], stdout);
        free(lines[i]);
    }
    free(lines);
    return 0;
}
