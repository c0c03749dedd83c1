/*
 * fatal: the end of a process whose heap cannot be trusted.
 */
#include <stdlib.h>
#include <string.h>

#include "hak_base.h"
#include "segment/os.h"

_Noreturn void hak_fatal(const char *message)
{
    char line[256];
    size_t bytes = hak_min(strlen(message), sizeof line - 1);
    memcpy(line, message, bytes);
    line[bytes++] = '\n';
    hak_os_write_error(line, bytes);
    abort();
}
