/* Linked with the library: malloc is hakmem's, and the hak_ names are there too. */
#include <hakmem.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    enum { BLOCKS = 100000, BYTES = 200 };
    static void *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BYTES);
        if (blocks[i] == NULL) {
            perror("trim");
            return 1;
        }
    }
    size_t in_use_bytes = hak_mallinfo2().uordblks;
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
    int given = hak_malloc_trim(0);
    printf("%d blocks took %zu bytes or more: %s; memory was given back: %s\n", BLOCKS,
           (size_t)BLOCKS * BYTES, in_use_bytes >= (size_t)BLOCKS * BYTES ? "yes" : "no",
           given == 1 ? "yes" : "no");
    return 0;
}
