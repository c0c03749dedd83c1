/*
 * Takes huge pages of 2 MiB out of the pool: huge_hog PAGES
 *
 * Writes how many it got, and keeps them until its standard input ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES ((size_t)2 << 20)
#define POOL_FLAGS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 21 << 26) /* 2 MiB: 21 bits */

int main(int count, char **words)
{
    unsigned long asked = count == 2 ? strtoul(words[1], NULL, 10) : 0;
    unsigned long got = 0;
    for (; got < asked; got++) {
        volatile char *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, POOL_FLAGS, -1, 0);
        if (page == MAP_FAILED)
            break;
        *page = 1;
    }
    dprintf(STDOUT_FILENO, "got %lu\n", got);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    return 0;
}
