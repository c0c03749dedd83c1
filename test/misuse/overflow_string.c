/*
 * A text is copied into a block that has no room for its end.
 *
 * default: none
 * hardened: SIGABRT hakmem: write past the end of a block
 * hardened large: SIGSEGV
 */
#include "misuse.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = size_of(argv);
    char *block = block_of(size);

    char *text = block_of(size + 1);
    text[size] = '\0';
    strcpy(block, text);
    free(block);
    return flush();
}
