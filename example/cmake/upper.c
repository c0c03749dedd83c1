/* Writes its arguments in capitals. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        size_t bytes = strlen(arguments[i]) + 1;
        char *copy = malloc(bytes);
        if (copy == NULL) {
            perror("upper");
            return 1;
        }
        for (size_t at = 0; at < bytes; at++) {
            copy[at] = (char)toupper((unsigned char)arguments[i][at]);
        }
        puts(copy);
        free(copy);
    }
    return 0;
}
