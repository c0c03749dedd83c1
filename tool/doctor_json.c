/*
 * doctor_json.c: prints the same as one JSON object on one line.
 *
 * What could not be read is null; a limit that is none is the string "unlimited". Names keep their
 * meaning within a schema; new ones may come.
 */
#include <inttypes.h>
#include <stdio.h>

#include "doctor.h"

/* Whether a comma goes before the next thing. */
static bool comma;

/* The length of the UTF-8 sequence at the start of a text; 0 if it is none. */
static int utf8_bytes(const unsigned char *text)
{
    int bytes = text[0] < 0x80    ? 1
                : text[0] < 0xc2  ? 0
                : text[0] < 0xe0  ? 2
                : text[0] < 0xf0  ? 3
                : text[0] <= 0xf4 ? 4
                                  : 0;
    for (int i = 1; i < bytes; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    /* Overlong forms, surrogates and what lies beyond the last character. */
    bool is_wrong = (text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
                    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f);
    return is_wrong ? 0 : bytes;
}

/* A byte of a path that is no UTF-8 becomes a lone surrogate, as in Python's file names. */
static void string_print(const char *string)
{
    const unsigned char *text = (const unsigned char *)string;
    putchar('"');
    while (*text != '\0') {
        int bytes = utf8_bytes(text);
        if (bytes == 0) {
            printf("\\udc%02x", *text);
            bytes = 1;
        } else if (*text == '"' || *text == '\\') {
            printf("\\%c", *text);
        } else if (*text < ' ') {
            printf("\\u%04x", *text);
        } else {
            printf("%.*s", bytes, (const char *)text);
        }
        text += bytes;
    }
    putchar('"');
}

/* Begins a field, or an item of an array if `name` is NULL. */
static void begin(const char *name)
{
    if (comma) {
        putchar(',');
    }
    if (name != NULL) {
        string_print(name);
        putchar(':');
    }
    comma = true;
}

static void scope_open(const char *name, char bracket)
{
    begin(name);
    putchar(bracket);
    comma = false;
}

static void scope_close(char bracket)
{
    putchar(bracket);
    comma = true;
}

static void field_string(const char *name, const char *text)
{
    begin(name);
    if (text == NULL || text[0] == '\0') {
        fputs("null", stdout);
    } else {
        string_print(text);
    }
}

static void field_number(const char *name, uint64_t number)
{
    begin(name);
    printf("%" PRIu64, number);
}

static void field_bool(const char *name, bool value)
{
    begin(name);
    fputs(value ? "true" : "false", stdout);
}

static void field_figure(const char *name, struct doctor_figure figure)
{
    if (figure.state == FIGURE_KNOWN) {
        field_number(name, figure.value);
    } else {
        field_string(name, figure.state == FIGURE_UNLIMITED ? "unlimited" : NULL);
    }
}

static void field_answer(const char *name, enum doctor_answer answer)
{
    if (answer == ANSWER_UNKNOWN) {
        field_string(name, NULL);
    } else {
        field_bool(name, answer == ANSWER_YES);
    }
}

/* ---- the system ------------------------------------------------------------------------------ */

static void field_since(const char *name, const struct doctor_system *system, unsigned version)
{
    if (system->version.state == FIGURE_KNOWN) {
        field_bool(name, system->version.value >= version);
    } else {
        field_string(name, NULL);
    }
}

static void kernel_print(const struct doctor_system *system)
{
    scope_open("kernel", '{');
    field_string("release", system->release);
    field_figure("page_bytes", system->os_page_bytes);
    field_figure("nodes", system->nodes);
    field_since("madvise_populate_write", system, 5014);
    field_since("membarrier", system, 4014);
    scope_close('}');
}

static void memory_print(const struct doctor_system *system)
{
    scope_open("memory", '{');
    field_figure("total_bytes", system->total_bytes);
    field_figure("available_bytes", system->available_bytes);
    field_figure("swap_bytes", system->swap_bytes);
    field_figure("commit_limit_bytes", system->commit_limit_bytes);
    field_figure("committed_bytes", system->committed_bytes);
    field_figure("overcommit_memory", system->overcommit_mode);
    field_figure("overcommit_ratio", system->overcommit_ratio);
    field_figure("overcommit_kbytes", system->overcommit_kb);
    field_figure("max_map_count", system->max_map_count);
    field_figure("rlimit_as_bytes", system->address_space_bytes);
    field_figure("rlimit_memlock_bytes", system->locked_bytes);
    scope_close('}');
}

static void pool_print(const struct doctor_pool *pool)
{
    scope_open(NULL, '{');
    field_number("page_bytes", pool->page_bytes);
    field_bool("default", pool->is_default);
    field_figure("pages", pool->pages);
    field_figure("free", pool->free);
    field_figure("reserved", pool->reserved);
    field_figure("surplus", pool->surplus);
    field_figure("overcommit", pool->overcommit);
    scope_open("nodes", '[');
    for (size_t i = 0; i < pool->node_count; i++) {
        scope_open(NULL, '{');
        field_number("node", pool->nodes[i].node);
        field_figure("pages", pool->nodes[i].pages);
        field_figure("free", pool->nodes[i].free);
        field_figure("surplus", pool->nodes[i].surplus);
        scope_close('}');
    }
    scope_close(']');
    scope_close('}');
}

static void pools_print(const struct doctor_system *system)
{
    if (system->pools_read != ANSWER_YES) {
        field_string("pools", NULL);
        return;
    }
    scope_open("pools", '[');
    for (size_t i = 0; i < system->pool_count; i++) {
        pool_print(&system->pools[i]);
    }
    scope_close(']');
}

static void mounts_print(const struct doctor_system *system)
{
    if (system->mounts_read != ANSWER_YES) {
        field_string("mounts", NULL);
        return;
    }
    scope_open("mounts", '[');
    for (size_t i = 0; i < system->mount_count; i++) {
        const struct doctor_mount *mount = &system->mounts[i];
        scope_open(NULL, '{');
        field_string("path", mount->path);
        field_figure("page_bytes", mount->page_bytes);
        field_figure("size_bytes", mount->size_bytes);
        field_figure("min_size_bytes", mount->min_size_bytes);
        field_figure("free_bytes", mount->free_bytes);
        field_bool("read_only", mount->read_only);
        field_answer("writable", mount->writable);
        scope_close('}');
    }
    scope_close(']');
}

static void cgroup_print(const char *name, const struct doctor_cgroup *cgroup)
{
    scope_open(name, '{');
    field_figure("version", cgroup->version);
    field_string("path", cgroup->path);
    scope_close('}');
}

static void cgroups_print(const struct doctor_system *system)
{
    scope_open("cgroups", '{');
    cgroup_print("hugetlb", &system->hugetlb);
    cgroup_print("memory", &system->memory);
    field_answer("memory_counts_hugetlb", system->memory.counts_huge);
    scope_open("limits", '[');
    for (size_t i = 0; i < system->limit_count; i++) {
        const struct doctor_limit *limit = &system->limits[i];
        scope_open(NULL, '{');
        field_string("file", limit->file);
        field_string("of", limit->page_bytes == 0 ? "memory" : "hugetlb");
        field_figure("limit_bytes", limit->limit_bytes);
        field_figure("used_bytes", limit->used_bytes);
        scope_close('}');
    }
    scope_close(']');
    scope_close('}');
}

static void thp_print(const struct doctor_thp *thp)
{
    scope_open("thp", '{');
    field_string("enabled", thp->enabled);
    field_string("defrag", thp->defrag);
    field_figure("max_ptes_none", thp->max_ptes_none);
    field_figure("pmd_bytes", thp->pmd_bytes);
    field_answer("process", thp->process);
    scope_open("sizes", '[');
    for (size_t i = 0; i < thp->size_count; i++) {
        scope_open(NULL, '{');
        field_number("page_bytes", thp->sizes[i].page_bytes);
        field_string("enabled", thp->sizes[i].enabled);
        scope_close('}');
    }
    scope_close(']');
    scope_close('}');
}

/* ---- environment and verdict ----------------------------------------------------------------- */

static void asked_print(const struct doctor_asked *asked)
{
    scope_open("asked", '{');
    field_string("huge", doctor_huge_names[asked->huge]);
    field_bool("huge_is_default", !asked->huge_given);
    field_number("segment_bytes", DOCTOR_SEGMENT_BYTES);
    field_number("reserve_segments", asked->reserve_segments);
    field_string("hugetlbfs", asked->hugetlbfs);
    field_bool("require", asked->require);
    field_string("fork", asked->fork_safe ? "safe" : "warn");
    scope_close('}');
}

static const char *backing_name(enum doctor_backing backing)
{
    static const char *const names[] = {
        [BACKING_UNKNOWN] = "",
        [BACKING_SMALL] = "small",
        [BACKING_THP] = "thp",
        [BACKING_HUGETLB] = "hugetlb",
    };
    return names[backing];
}

static void verdict_print(const struct doctor_verdict *verdict)
{
    scope_open("verdict", '{');
    field_bool("ok", !doctor_has_problem(verdict));
    field_string("first", backing_name(verdict->first));
    field_string("then", backing_name(verdict->then));
    field_answer("starts", verdict->starts);
    begin("pool_page_bytes");
    if (verdict->pool != NULL) {
        printf("%" PRIu64, verdict->pool->page_bytes);
    } else {
        fputs("null", stdout);
    }
    field_number("segments_wanted", verdict->segments_wanted);
    field_number("pages_wanted", verdict->pages_wanted);
    field_number("headroom_pages", verdict->headroom_pages);
    field_figure("pages_available", verdict->pages_available);
    field_figure("segments_possible", verdict->segments_possible);
    scope_close('}');
}

static void findings_print(const struct doctor_verdict *verdict)
{
    scope_open("findings", '[');
    for (size_t i = 0; i < verdict->finding_count; i++) {
        const struct doctor_finding *finding = &verdict->findings[i];
        scope_open(NULL, '{');
        field_bool("problem", finding->problem);
        field_string("text", finding->text);
        field_string("fix", finding->fix);
        field_bool("as_root", finding->as_root);
        scope_close('}');
    }
    scope_close(']');
}

void doctor_print_json(const struct doctor_system *system, const struct doctor_asked *asked,
                       const struct doctor_verdict *verdict)
{
    scope_open(NULL, '{');
    field_number("schema", DOCTOR_SCHEMA);
    field_string("root", system->root[0] != '\0' ? system->root : "/");
    kernel_print(system);
    memory_print(system);
    pools_print(system);
    mounts_print(system);
    cgroups_print(system);
    thp_print(&system->thp);
    asked_print(asked);
    verdict_print(verdict);
    findings_print(verdict);
    scope_close('}');
    putchar('\n');
}
