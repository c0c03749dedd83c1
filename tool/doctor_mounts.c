/*
 * doctor_mounts.c: hugetlbfs mounts, the directory of HAKMEM_HUGETLBFS, and limits of cgroups.
 *
 * /proc/self/mountinfo is read once for all. A group's path in /proc/self/cgroup begins at the
 * hierarchy's own root, of which a container may have only a part mounted: the mount's root is
 * taken off its front. Limits count in every group from there up to the mount.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "doctor_files.h"

#define HUGETLBFS_TYPE 0x958458f6 /* HUGETLBFS_MAGIC of linux/magic.h */

/* One line of mountinfo, cut into words. */
struct mount_line {
    char *root, *path, *options, *type, *super_options;
};

/* What the lines lead to. */
struct mounts_reader {
    struct doctor_system *system;
    const char *wanted; /* HAKMEM_HUGETLBFS, or NULL */
    size_t best_bytes;  /* length of the longest mount path before it, so far */
    char hugetlb_root[PATH_MAX], memory_root[PATH_MAX], unified_root[PATH_MAX];
    char hugetlb_top[PATH_MAX], memory_top[PATH_MAX], unified_top[PATH_MAX];
    bool unified_counts_huge;
};

static void text_copy(char *to, const char *from, size_t bytes)
{
    snprintf(to, bytes, "%s", from);
}

/* Undoes mountinfo's \040 for a space and its like. */
static void octal_undo(char *text)
{
    char *to = text;
    for (const char *at = text; *at != '\0'; at++) {
        if (at[0] == '\\' && strspn(at + 1, "01234567") >= 3) {
            *to++ = (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'));
            at += 3;
        } else {
            *to++ = *at;
        }
    }
    *to = '\0';
}

/* "36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue" */
static bool line_parse(char *text, struct mount_line *line)
{
    char *rest;
    char *words[6];
    text[strcspn(text, "\n")] = '\0';
    for (size_t i = 0; i < 6; i++) {
        words[i] = strtok_r(i == 0 ? text : NULL, " ", &rest);
        if (words[i] == NULL) {
            return false;
        }
    }
    line->root = words[3];
    line->path = words[4];
    line->options = words[5];
    const char *word;
    do {
        word = strtok_r(NULL, " ", &rest);
    } while (word != NULL && strcmp(word, "-") != 0);
    line->type = word == NULL ? NULL : strtok_r(NULL, " ", &rest);
    if (line->type == NULL || strtok_r(NULL, " ", &rest) == NULL) {
        return false;
    }
    line->super_options = strtok_r(NULL, " ", &rest);
    octal_undo(line->root);
    octal_undo(line->path);
    return line->super_options != NULL;
}

/* What stands after "name=" among options with commas, "" after a name alone; NULL: not there. */
static const char *option_find(const char *options, const char *name, char *value,
                               size_t value_bytes)
{
    size_t name_bytes = strlen(name);
    for (const char *at = options; *at != '\0'; at += strcspn(at, ","), at += *at == ',') {
        if (strncmp(at, name, name_bytes) == 0 && strchr("=,", at[name_bytes]) != NULL) {
            const char *text = at + name_bytes + (at[name_bytes] == '=');
            snprintf(value, value_bytes, "%.*s", (int)strcspn(text, ","), text);
            return value;
        }
    }
    return NULL;
}

static bool option_is_set(const char *options, const char *name)
{
    char value[8];
    return option_find(options, name, value, sizeof value) != NULL;
}

/* An option's bytes; `otherwise` if it is not there. */
static struct doctor_figure option_bytes(const char *options, const char *name,
                                         struct doctor_figure otherwise)
{
    char value[32];
    return option_find(options, name, value, sizeof value) == NULL ? otherwise
                                                                   : doctor_bytes_parse(value);
}

/* ---- hugetlbfs ------------------------------------------------------------------------------- */

static enum doctor_answer writable_ask(const char *root, const char *path, bool read_only)
{
    if (read_only) {
        return ANSWER_NO;
    }
    if (euidaccess(doctor_path(root, "%s", path).text, W_OK | X_OK) == 0) {
        return ANSWER_YES;
    }
    return errno == EACCES || errno == EROFS || errno == EPERM ? ANSWER_NO : ANSWER_UNKNOWN;
}

/* What is left of a mount's quota. Only a mount on this machine tells it. */
static struct doctor_figure quota_free(const char *root, const struct doctor_mount *mount)
{
    struct doctor_figure unknown = {.state = FIGURE_UNKNOWN};
    struct statfs state;
    if (mount->size_bytes.state == FIGURE_UNLIMITED) {
        return mount->size_bytes;
    }
    if (statfs(doctor_path(root, "%s", mount->path).text, &state) != 0 ||
        state.f_type != HUGETLBFS_TYPE) {
        return unknown;
    }
    return doctor_known(state.f_bfree * (uint64_t)state.f_bsize);
}

static void mount_fill(const struct doctor_system *system, const struct mount_line *line,
                       struct doctor_mount *mount)
{
    const struct doctor_figure unlimited = {.state = FIGURE_UNLIMITED};
    const struct doctor_figure unknown = {.state = FIGURE_UNKNOWN};
    text_copy(mount->path, line->path, sizeof mount->path);
    mount->page_bytes = option_bytes(line->super_options, "pagesize", unknown);
    mount->size_bytes = option_bytes(line->super_options, "size", unlimited);
    mount->min_size_bytes = option_bytes(line->super_options, "min_size", doctor_known(0));
    mount->read_only =
        option_is_set(line->options, "ro") || option_is_set(line->super_options, "ro");
    mount->writable = writable_ask(system->root, mount->path, mount->read_only);
    mount->free_bytes = quota_free(system->root, mount);
}

/* Whether a directory is `top` or below it. */
static bool path_is_below(const char *path, const char *top)
{
    size_t bytes = strlen(top);
    return strcmp(top, "/") == 0 ||
           (strncmp(path, top, bytes) == 0 && (path[bytes] == '\0' || path[bytes] == '/'));
}

/* Of several mounts on one directory the last is seen; of nested ones the innermost. */
static void place_take(struct mounts_reader *reader, const struct mount_line *line)
{
    struct doctor_place *place = &reader->system->place;
    if (reader->wanted == NULL || !path_is_below(reader->wanted, line->path) ||
        strlen(line->path) < reader->best_bytes) {
        return;
    }
    reader->best_bytes = strlen(line->path);
    text_copy(place->type, line->type, sizeof place->type);
    if (strcmp(line->type, "hugetlbfs") == 0) {
        mount_fill(reader->system, line, &place->mount);
        place->mount.writable =
            writable_ask(reader->system->root, reader->wanted, place->mount.read_only);
    }
}

static void hugetlbfs_take(struct doctor_system *system, const struct mount_line *line)
{
    system->mounts = doctor_grow(system->mounts, system->mount_count, sizeof *system->mounts);
    mount_fill(system, line, &system->mounts[system->mount_count++]);
}

/* ---- cgroups --------------------------------------------------------------------------------- */

static void cgroup_mount_take(struct mounts_reader *reader, const struct mount_line *line)
{
    if (strcmp(line->type, "cgroup2") == 0) {
        text_copy(reader->unified_root, line->root, sizeof reader->unified_root);
        text_copy(reader->unified_top, line->path, sizeof reader->unified_top);
        reader->unified_counts_huge =
            option_is_set(line->super_options, "memory_hugetlb_accounting");
    } else if (option_is_set(line->super_options, "hugetlb")) {
        text_copy(reader->hugetlb_root, line->root, sizeof reader->hugetlb_root);
        text_copy(reader->hugetlb_top, line->path, sizeof reader->hugetlb_top);
    }
    if (strcmp(line->type, "cgroup") == 0 && option_is_set(line->super_options, "memory")) {
        text_copy(reader->memory_root, line->root, sizeof reader->memory_root);
        text_copy(reader->memory_top, line->path, sizeof reader->memory_top);
    }
}

/* Where a group is, from its path in /proc/self/cgroup. */
static void cgroup_place(struct doctor_cgroup *cgroup, uint64_t version, const char *top,
                         const char *mount_root, const char *path)
{
    const char *below = path;
    if (top[0] == '\0') {
        return;
    }
    if (strcmp(mount_root, "/") != 0) {
        below = path_is_below(path, mount_root) ? path + strlen(mount_root) : "";
    }
    if (strcmp(below, "/") == 0 || strncmp(below, "/..", 3) == 0) {
        below = ""; /* the process is outside of what is mounted */
    }
    if (strlen(top) + strlen(below) >= sizeof cgroup->path) {
        return;
    }
    cgroup->version = doctor_known(version);
    text_copy(cgroup->top, top, sizeof cgroup->top);
    text_copy(cgroup->path, top, sizeof cgroup->path);
    strcat(cgroup->path, below);
}

/* Takes a line "4:memory:/path" of version 1 or "0::/path" of version 2. */
static void cgroup_line_take(struct mounts_reader *reader, char *text)
{
    struct doctor_system *system = reader->system;
    char *controllers = strchr(text, ':');
    char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (path == NULL) {
        return;
    }
    *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    controllers++;
    if (option_is_set(controllers, "hugetlb")) {
        cgroup_place(&system->hugetlb, 1, reader->hugetlb_top, reader->hugetlb_root, path);
    }
    if (option_is_set(controllers, "memory")) {
        cgroup_place(&system->memory, 1, reader->memory_top, reader->memory_root, path);
        system->memory.counts_huge = ANSWER_NO; /* version 1 never does */
    }
    if (controllers[0] != '\0') {
        return;
    }
    if (system->hugetlb.version.state == FIGURE_UNKNOWN) {
        cgroup_place(&system->hugetlb, 2, reader->unified_top, reader->unified_root, path);
    }
    if (system->memory.version.state == FIGURE_UNKNOWN) {
        cgroup_place(&system->memory, 2, reader->unified_top, reader->unified_root, path);
        system->memory.counts_huge = reader->unified_counts_huge ? ANSWER_YES : ANSWER_NO;
    }
}

/* Takes a limit if its file is there. Version 1 writes "unlimited" as a number near 2^63. */
static void limit_take(struct doctor_system *system, uint64_t page_bytes, struct doctor_path file,
                       struct doctor_path used)
{
    if (access(file.text, F_OK) != 0) {
        return;
    }
    system->limits = doctor_grow(system->limits, system->limit_count, sizeof *system->limits);
    struct doctor_limit *limit = &system->limits[system->limit_count++];
    text_copy(limit->file, file.text + strlen(system->root), sizeof limit->file);
    limit->page_bytes = page_bytes;
    limit->limit_bytes = doctor_file_number(file);
    limit->used_bytes = doctor_file_number(used);
    if (limit->limit_bytes.value >= UINT64_C(1) << 62) {
        limit->limit_bytes.state = FIGURE_UNLIMITED;
    }
}

/* "2MB", "1GB", "64KB", as the kernel names the files. */
static void size_name(uint64_t bytes, char *name, size_t name_bytes)
{
    unsigned shift = bytes >= UINT64_C(1) << 30 ? 30 : bytes >= UINT64_C(1) << 20 ? 20 : 10;
    const char *unit = shift == 30 ? "GB" : shift == 20 ? "MB" : "KB";
    snprintf(name, name_bytes, "%llu%s", (unsigned long long)(bytes >> shift), unit);
}

static void hugetlb_limits_take(struct doctor_system *system, const char *group)
{
    const char *root = system->root;
    bool first = system->hugetlb.version.value == 1;
    for (size_t i = 0; i < system->pool_count; i++) {
        uint64_t bytes = system->pools[i].page_bytes;
        char size[32];
        size_name(bytes, size, sizeof size);
        for (int reserved = 0; reserved <= 1; reserved++) {
            const char *kind = reserved ? ".rsvd" : "";
            limit_take(system, bytes,
                       doctor_path(root, "%s/hugetlb.%s%s.%s", group, size, kind,
                                   first ? "limit_in_bytes" : "max"),
                       doctor_path(root, "%s/hugetlb.%s%s.%s", group, size, kind,
                                   first ? "usage_in_bytes" : "current"));
        }
    }
}

static void memory_limits_take(struct doctor_system *system, const char *group)
{
    bool first = system->memory.version.value == 1;
    limit_take(
        system, 0,
        doctor_path(system->root, "%s/memory.%s", group, first ? "limit_in_bytes" : "max"),
        doctor_path(system->root, "%s/memory.%s", group, first ? "usage_in_bytes" : "current"));
}

/* Calls `take` for the process's group and all above it. */
static void cgroup_walk(struct doctor_system *system, const struct doctor_cgroup *cgroup,
                        void (*take)(struct doctor_system *system, const char *group))
{
    char group[PATH_MAX];
    if (cgroup->version.state != FIGURE_KNOWN) {
        return;
    }
    text_copy(group, cgroup->path, sizeof group);
    for (;;) {
        take(system, group);
        char *last = strrchr(group, '/');
        if (last == NULL || strlen(group) <= strlen(cgroup->top)) {
            return;
        }
        *last = '\0';
    }
}

/* ---- all together ---------------------------------------------------------------------------- */

/* Calls `take` with each line of a file; false if it cannot be read. */
static bool lines_read(struct mounts_reader *reader, const char *path,
                       void (*take)(struct mounts_reader *reader, char *text))
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *file = fopen(doctor_path(reader->system->root, "%s", path).text, "re");
    if (file == NULL) {
        return false;
    }
    bool any = false;
    while (getline(&text, &bytes, file) > 0) {
        take(reader, text);
        any = true;
    }
    free(text);
    fclose(file);
    return any;
}

static void mount_line_take(struct mounts_reader *reader, char *text)
{
    struct mount_line line;
    if (!line_parse(text, &line)) {
        return;
    }
    place_take(reader, &line);
    if (strcmp(line.type, "hugetlbfs") == 0) {
        hugetlbfs_take(reader->system, &line);
    } else if (strncmp(line.type, "cgroup", 6) == 0) {
        cgroup_mount_take(reader, &line);
    }
}

void doctor_read_mounts(struct doctor_system *system, const char *hugetlbfs)
{
    static struct mounts_reader reader;
    static char wanted[PATH_MAX];
    reader.system = system;
    if (hugetlbfs != NULL) {
        bool is_live = system->root[0] == '\0';
        struct doctor_path path = doctor_path(system->root, "%s", hugetlbfs);
        system->place.exists = access(path.text, F_OK) == 0 ? ANSWER_YES : ANSWER_NO;
        if (!is_live || realpath(hugetlbfs, wanted) == NULL) {
            text_copy(wanted, hugetlbfs, sizeof wanted);
        }
        reader.wanted = wanted;
    }
    bool is_read = lines_read(&reader, "/proc/self/mountinfo", mount_line_take);
    system->mounts_read = is_read ? ANSWER_YES : ANSWER_NO;
    lines_read(&reader, "/proc/self/cgroup", cgroup_line_take);
    cgroup_walk(system, &system->hugetlb, hugetlb_limits_take);
    cgroup_walk(system, &system->memory, memory_limits_take);
}
