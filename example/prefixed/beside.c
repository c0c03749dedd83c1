/* The hak_ names in a program whose malloc stays libc's. */
#include <hakmem.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    char *ours = hak_malloc(100);
    char *libcs = malloc(100);
    if (ours == NULL || libcs == NULL) {
        perror("beside");
        return 1;
    }
    /* Each tells its own blocks: hak_free() leaves what is not its own alone. */
    printf("usable: %s and %s\n", hak_malloc_usable_size(ours) >= 100 ? "100 or more" : "less",
           hak_malloc_usable_size(libcs) == 0 ? "not ours" : "ours");
    hak_free(ours);
    free(libcs);
    return 0;
}
