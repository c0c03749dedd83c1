/*
 * limit: reads HAKMEM_LIMIT.
 */
#include "front/harden/limit.h"

#include <stdlib.h>
#include <string.h>

#include "front/options.h"
#include "segment/os.h"

#define LIMIT_MIN_BYTES (4 * HAK_MIB)
#define LIMIT_MAX_BYTES (65536 * HAK_GIB)
#define LIMIT_RANGE "4M..65536G|cgroup"
#define DIGITS_MAX 15

/* Of what a cgroup allows, this share and so much at least is not for blocks: there are stacks,
 * code, tables, files and other processes in it, too. But half is for blocks in any case. */
#define REST_SHARE 16
#define REST_MIN_BYTES (8 * HAK_MIB)

/* Digits, and one of K, M and G if there is anything behind them. */
static bool bytes_parse(const char *text, size_t *bytes)
{
    static const char units[] = "KMG";
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > DIGITS_MAX) {
        return false;
    }
    *bytes = 0;
    for (size_t i = 0; i < digits; i++) {
        *bytes = *bytes * 10 + (size_t)(text[i] - '0');
    }
    if (text[digits] == '\0') {
        return true;
    }
    const char *unit = strchr(units, text[digits]);
    size_t shift = unit == NULL ? 0 : 10 * (size_t)(unit - units + 1);
    if (shift == 0 || text[digits + 1] != '\0' || *bytes > LIMIT_MAX_BYTES >> shift) {
        return false;
    }
    *bytes <<= shift;
    return true;
}

static size_t cgroup_bytes(void)
{
    size_t allowed = hak_os_memory_allowed_bytes();
    if (allowed > LIMIT_MAX_BYTES) {
        return 0; /* version 1 says "no limit" by a number */
    }
    size_t rest = hak_max(allowed / REST_SHARE, REST_MIN_BYTES);
    return hak_max(allowed - hak_min(rest, allowed / 2), 1); /* 0 would be none */
}

size_t hak_limit_read(void)
{
    const char *text = getenv("HAKMEM_LIMIT");
    size_t bytes = 0;
    if (text == NULL) {
        return 0;
    }
    if (strcmp(text, "cgroup") == 0) {
        return cgroup_bytes();
    }
    if (!bytes_parse(text, &bytes) || bytes < LIMIT_MIN_BYTES || bytes > LIMIT_MAX_BYTES) {
        hak_options_refuse("HAKMEM_LIMIT", text, LIMIT_RANGE, "none");
        return 0;
    }
    return bytes;
}
