/*
 * doctor_asked.c: what the environment asks of the allocator about huge pages.
 *
 * A value that the allocator refuses is replaced by the default, as the allocator does.
 */
#include <stdlib.h>
#include <string.h>

#include "doctor.h"

const char *const doctor_huge_names[] = {"off", "thp", "hugetlb", "auto", NULL};

static void refuse(struct doctor_asked *asked, const char *name, const char *value,
                   const char *legal, const char *used)
{
    asked->refusals[asked->refusal_count++] =
        (struct doctor_refusal){.name = name, .value = value, .legal = legal, .used = used};
}

/* The number of the variable's value among `names`; `otherwise` if it is not there or refused. */
static unsigned choice_read(struct doctor_asked *asked, const char *name, const char *const *names,
                            const char *legal, unsigned otherwise)
{
    const char *value = getenv(name);
    if (value == NULL) {
        return otherwise;
    }
    for (unsigned i = 0; names[i] != NULL; i++) {
        if (strcmp(value, names[i]) == 0) {
            return i;
        }
    }
    refuse(asked, name, value, legal, names[otherwise]);
    return otherwise;
}

static void reserve_read(struct doctor_asked *asked)
{
    const char *value = getenv("HAKMEM_HUGE_RESERVE");
    if (value == NULL) {
        return;
    }
    size_t digits = strspn(value, "0123456789");
    uint64_t segments = strtoull(value, NULL, 10);
    if (digits == 0 || digits > 18 || value[digits] != '\0' || segments > DOCTOR_RESERVE_MAX) {
        refuse(asked, "HAKMEM_HUGE_RESERVE", value, "a number from 0 to 1048576", "0");
        return;
    }
    asked->reserve_segments = segments;
    asked->reserve_given = segments > 0;
}

void doctor_read_asked(struct doctor_asked *asked)
{
    static const char *const bits[] = {"0", "1", NULL};
    static const char *const forks[] = {"warn", "safe", NULL};
    memset(asked, 0, sizeof *asked);
    asked->huge_given = getenv("HAKMEM_HUGE") != NULL;
    asked->huge = choice_read(asked, "HAKMEM_HUGE", doctor_huge_names, "off, thp, hugetlb or auto",
                              DOCTOR_HUGE_DEFAULT);
    asked->require = choice_read(asked, "HAKMEM_HUGE_REQUIRE", bits, "0 or 1", 0) == 1;
    asked->fork_safe = choice_read(asked, "HAKMEM_HUGE_FORK", forks, "safe or warn", 1) == 1;
    asked->hugetlbfs = getenv("HAKMEM_HUGETLBFS");
    if (asked->hugetlbfs != NULL && asked->hugetlbfs[0] == '\0') {
        asked->hugetlbfs = NULL;
    }
    reserve_read(asked);
}
