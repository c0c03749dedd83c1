/* Counts how often each word stands in a file; knows nothing of hakmem. */
#define _GNU_SOURCE
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct word {
    char *text;
    unsigned count;
};

static int word_compare(const void *a, const void *b)
{
    return strcmp(((const struct word *)a)->text, ((const struct word *)b)->text);
}

static void word_free(void *node)
{
    struct word *word = node;
    free(word->text);
    free(word);
}

int main(int count, char **arguments)
{
    FILE *file = count > 1 ? fopen(arguments[1], "r") : stdin;
    if (file == NULL) {
        perror(arguments[1]);
        return 1;
    }
    void *root = NULL;
    unsigned words = 0;
    unsigned kinds = 0;
    char *text;
    while (fscanf(file, "%ms", &text) == 1) {
        struct word *word = calloc(1, sizeof *word);
        if (word == NULL) {
            perror("words");
            return 1;
        }
        word->text = text;
        struct word **found = tsearch(word, &root, word_compare);
        if (found == NULL) {
            perror("words");
            return 1;
        }
        if (*found == word) {
            kinds++;
        } else {
            word_free(word);
        }
        (*found)->count++;
        words++;
    }
    tdestroy(root, word_free);
    printf("%u words, %u different\n", words, kinds);
    return 0;
}
