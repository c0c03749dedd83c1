/*
 * variants.c: the allocators that are compared, and where their libraries are.
 *
 * hakmem's libraries lie beside this program. A peer is looked for under the names that Debian's
 * packages give it; one that is not found stays in the list as absent.
 */
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner.h"

static const char *const system_dirs[] = {
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
};

/* File names in order of preference. */
static const struct peer {
    const char *name;
    const char *files[3];
} peers[] = {
    {"mimalloc", {"libmimalloc.so.2.0", "libmimalloc.so.2", "libmimalloc.so"}},
    {"jemalloc", {"libjemalloc.so.2", "libjemalloc.so", NULL}},
    {"tcmalloc", {"libtcmalloc_minimal.so.4", "libtcmalloc_minimal.so", NULL}},
};

enum {
    PEER_COUNT = sizeof peers / sizeof peers[0],
    PEER_FILES = sizeof peers[0].files / sizeof peers[0].files[0],
    DIR_COUNT = sizeof system_dirs / sizeof system_dirs[0],
};

static bool library_at(const char *dir, const char *file, char *library)
{
    char path[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    return access(path, R_OK) == 0 && realpath(path, library) != NULL;
}

static struct variant *variant_new(struct comparison *s, const char *name, enum variant_kind kind)
{
    struct variant *variant = &s->variants[s->variant_count++];
    snprintf(variant->name, sizeof variant->name, "%s", name);
    variant->kind = kind;
    return variant;
}

static void peer_find(struct comparison *s, const struct peer *peer)
{
    struct variant *variant = variant_new(s, peer->name, VARIANT_PEER);
    variant->wanted = s->options.peers;
    for (unsigned i = 0; i < PEER_FILES && peer->files[i] != NULL; i++)
        for (unsigned dir = 0; dir < DIR_COUNT && !variant->present; dir++)
            variant->present = library_at(system_dirs[dir], peer->files[i], variant->library);
}

/* libfactor-NAME.so beside this program, as factor-NAME; in alphabetical order. */
static void factors_find(struct comparison *s)
{
    char pattern[2 * PATH_MAX];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/libfactor-*.so", s->program_dir);
    if (glob(pattern, 0, NULL, &found) != 0) {
        fprintf(stderr, "bench_runner: --factors: there is no %s\n", pattern);
        return;
    }
    for (size_t i = 0; i < found.gl_pathc && s->variant_count < MAX_VARIANTS; i++) {
        const char *start = strstr(found.gl_pathv[i], "/libfactor-") + strlen("/lib");
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%.*s", (int)(strrchr(start, '.') - start), start);
        struct variant *variant = variant_new(s, name, VARIANT_OTHER);
        variant->present = realpath(found.gl_pathv[i], variant->library) != NULL;
        variant->wanted = true;
    }
    globfree(&found);
}

/* hakmem's library by what backs its heap, in place of all other variants. The pool must have the
 * pages: REQUIRE fails a run that would go on without. The benches do not fork. */
static void huge_variants_find(struct comparison *s)
{
    static const struct {
        const char *name, *settings;
    } backings[] = {
        {"hakmem", "HAKMEM_HUGE=off"},
        {"hakmem-thp", "HAKMEM_HUGE=thp"},
        {"hakmem-hugetlb", "HAKMEM_HUGE=hugetlb HAKMEM_HUGE_REQUIRE=1 HAKMEM_HUGE_FORK=warn"},
    };
    for (unsigned i = 0; i < sizeof backings / sizeof backings[0]; i++) {
        struct variant *variant =
            variant_new(s, backings[i].name, i == 0 ? VARIANT_HAKMEM : VARIANT_OTHER);
        variant->settings = backings[i].settings;
        variant->wanted = true;
        variant->present = library_at(s->program_dir, "libhakmem.so", variant->library);
    }
}

void variants_find(struct comparison *s)
{
    struct variant *glibc = variant_new(s, "glibc", VARIANT_GLIBC);
    glibc->present = glibc->wanted = true;
    if (s->options.huge) {
        huge_variants_find(s);
        return;
    }
    struct variant *hakmem = variant_new(s, "hakmem", VARIANT_HAKMEM);
    hakmem->wanted = true;
    hakmem->present = library_at(s->program_dir, "libhakmem.so", hakmem->library);
    if (s->options.ab) {
        struct variant *header = variant_new(s, "hakmem-header", VARIANT_OTHER);
        header->wanted = true;
        header->present = library_at(s->program_dir, "libhakmem-header.so", header->library);
    }
    for (unsigned i = 0; i < PEER_COUNT; i++)
        peer_find(s, &peers[i]);
    if (s->options.factors)
        factors_find(s);
}

bool variant_add(struct comparison *s, const char *definition)
{
    const char *equals = strchr(definition, '=');
    struct variant *variant = NULL;
    if (equals == NULL || equals == definition || equals - definition >= NAME_BYTES) {
        fprintf(stderr, "bench_runner: --variant wants NAME=LIB.so, not '%s'\n", definition);
        return false;
    }
    size_t name_length = (size_t)(equals - definition);
    for (unsigned i = 0; i < s->variant_count; i++)
        if (strlen(s->variants[i].name) == name_length &&
            strncmp(s->variants[i].name, definition, name_length) == 0)
            variant = &s->variants[i];
    if (variant == NULL && s->variant_count == MAX_VARIANTS) {
        fprintf(stderr, "bench_runner: more than %d variants\n", MAX_VARIANTS);
        return false;
    }
    if (variant == NULL) {
        variant = variant_new(s, "", VARIANT_OTHER);
        memcpy(variant->name, definition, name_length);
    }
    if (realpath(equals + 1, variant->library) == NULL) {
        fprintf(stderr, "bench_runner: --variant %s: there is no such file\n", definition);
        return false;
    }
    variant->present = variant->wanted = true;
    return true;
}

void variant_control_add(struct comparison *s)
{
    int hakmem = variant_of_kind(s, VARIANT_HAKMEM);
    if (hakmem < 0 || s->variant_count == MAX_VARIANTS || variant_index(s, CONTROL_NAME) >= 0)
        return;
    struct variant *control = variant_new(s, CONTROL_NAME, VARIANT_OTHER);
    snprintf(control->library, sizeof control->library, "%s", s->variants[hakmem].library);
    control->settings = s->variants[hakmem].settings;
    control->present = control->wanted = true;
}

bool variant_runs(const struct variant *variant)
{
    return variant->present && variant->wanted;
}

int variant_index(const struct comparison *s, const char *name)
{
    for (unsigned i = 0; i < s->variant_count; i++)
        if (strcmp(s->variants[i].name, name) == 0 && variant_runs(&s->variants[i]))
            return (int)i;
    return -1;
}

int variant_of_kind(const struct comparison *s, enum variant_kind kind)
{
    for (unsigned i = 0; i < s->variant_count; i++)
        if (s->variants[i].kind == kind && variant_runs(&s->variants[i]))
            return (int)i;
    return -1;
}

static bool list_names(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    }
    return false;
}

bool variants_restrict(struct comparison *s, const char *names)
{
    unsigned named = 1;
    unsigned found = 0;
    for (const char *comma = strchr(names, ','); comma != NULL; comma = strchr(comma + 1, ','))
        named++;
    for (unsigned i = 0; i < s->variant_count; i++) {
        bool chosen = list_names(names, s->variants[i].name);
        found += chosen;
        s->variants[i].wanted = chosen;
    }
    if (found == named)
        return true;
    fprintf(stderr, "bench_runner: --variants %s: there are only", names);
    for (unsigned i = 0; i < s->variant_count; i++)
        fprintf(stderr, "%s %s", i > 0 ? "," : "", s->variants[i].name);
    fputc('\n', stderr);
    return false;
}
