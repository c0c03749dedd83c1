/*
 * top_figures.c: totals of a process, from its live file or from its memory.
 */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "top.h"

/* A writer holds the live file for microseconds. */
#define READ_TRIES 1000
#define NO_FILE (-1)

double top_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double top_rate(const struct top *top, uint64_t now, uint64_t before)
{
    double seconds = top->now.seconds - top->before.seconds;
    return top->has_before && seconds > 0 ? ((double)now - (double)before) / seconds : 0;
}

/* ---- the live file ---- */

/* AT_RANDOM of the process; 0 if that is not known. */
static uint64_t program_read(int process)
{
    char path[64];
    Elf64_auxv_t entry;
    uint64_t found = 0;
    snprintf(path, sizeof path, "/proc/%d/auxv", process);
    FILE *file = fopen(path, "re");
    while (file != NULL && found == 0 && fread(&entry, sizeof entry, 1, file) == 1) {
        found = entry.a_type == AT_RANDOM ? entry.a_un.a_val : 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

/* Opens a file of the user's; NO_FILE: there is none, or it is something else. */
static int live_open(const char *path, uid_t user)
{
    struct stat state;
    int file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file >= 0 &&
        (fstat(file, &state) != 0 || !S_ISREG(state.st_mode) || state.st_uid != user)) {
        close(file);
        file = NO_FILE;
    }
    return file;
}

static uint32_t sequence_read(int file)
{
    uint32_t sequence = 1;
    if (pread(file, &sequence, sizeof sequence, offsetof(struct hak_live, sequence)) !=
        sizeof sequence) {
        sequence = 1;
    }
    return sequence;
}

/* One set of figures that belong together: see hak_view.h. */
static bool live_copy(int file, struct hak_live *live)
{
    for (unsigned i = 0; i < READ_TRIES; i++) {
        uint32_t sequence = sequence_read(file);
        if (sequence % 2 == 0 && pread(file, live, sizeof *live, 0) == sizeof *live &&
            sequence == sequence_read(file)) {
            return sequence != 0;
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
    }
    return false;
}

static int version_complain(uint32_t version)
{
    char text[96];
    snprintf(text, sizeof text, "%" PRIu32 ", and this command reads version %d", version,
             HAK_LIVE_VERSION);
    return heap_complain(HEAP_OTHER_VERSION, "the process publishes version", text);
}

/* The live file of a process, if this program of the process wrote it. What another one left, which
 * had the same number or executed this program, is removed if that may be done. */
static int live_find(struct top *top)
{
    char path[64];
    struct stat state;
    int process = top->target.process;
    top->file = NO_FILE;
    snprintf(path, sizeof path, "/proc/%d", process);
    if (stat(path, &state) != 0) {
        return target_find(&top->target, process);
    }
    snprintf(path, sizeof path, HAK_LIVE_PATH, (unsigned)state.st_uid, process);
    int file = live_open(path, state.st_uid);
    char head[offsetof(struct hak_live, process)];
    if (file < 0 || pread(file, head, sizeof head, 0) != sizeof head ||
        memcmp(head, HAK_LIVE_MAGIC, sizeof HAK_LIVE_MAGIC) != 0) {
        return 0; /* none, or not ready yet */
    }
    memcpy(&top->live, head, sizeof head);
    if (top->live.version != HAK_LIVE_VERSION || top->live.bytes != sizeof top->live) {
        return version_complain(top->live.version);
    }
    uint64_t program = program_read(process);
    if (!live_copy(file, &top->live) || top->live.class_count > HAK_LIVE_CLASSES) {
        close(file);
    } else if (program != 0 && program != top->live.program) {
        (void)unlink(path);
        close(file);
    } else {
        top->file = file;
    }
    return 0;
}

/* The command has this copy for itself: any order will do. */
static uint64_t number(const _Atomic(uint64_t) *at)
{
    return atomic_load_explicit(at, memory_order_relaxed);
}

static void class_finish(struct top_class *class, uint64_t slots)
{
    class->slots = class->spans * slots;
    class->free = class->free < class->slots ? class->free : class->slots;
    uint64_t used = class->slots - class->free;
    class->cached = class->cached < used ? class->cached : used;
    class->used = used - class->cached;
}

static int live_read(struct top *top)
{
    struct top_figures *now = &top->now;
    struct hak_live *live = &top->live;
    uint64_t program = program_read(top->target.process);
    if (program != 0 && program != live->program) {
        return heap_complain(HEAP_FAILED, "the process executes another program now", NULL);
    }
    if (!live_copy(top->file, live)) {
        return heap_complain(HEAP_FAILED, "the figures cannot be read", NULL);
    }
#define TOTAL(name) number(&live->totals[HAK_LIVE_##name])
    now->seconds = (double)TOTAL(at_ms) / 1000;
    now->segments = TOTAL(segments);
    now->segments_thp = TOTAL(segments_thp);
    now->segments_huge = TOTAL(segments_hugetlb) + TOTAL(segments_gigantic);
    now->taken_bytes = TOTAL(taken_bytes);
    now->dirty_bytes = TOTAL(dirty_bytes);
    now->meta_bytes = TOTAL(meta_bytes);
    now->large_blocks = TOTAL(large_blocks);
    now->large_bytes = TOTAL(large_bytes);
    now->heaps = TOTAL(heaps);
    now->orphans = TOTAL(orphans);
    now->slow_paths = TOTAL(slow_paths);
    now->hardened = TOTAL(hardened) != 0;
#undef TOTAL
    now->class_count = live->class_count;
    for (size_t i = 1; i < now->class_count; i++) {
        const struct hak_live_class *class = &live->classes[i];
        now->classes[i] = (struct top_class){.slot_bytes = class->slot_bytes,
                                             .tier = class->tier,
                                             .span_pages = class->span_pages,
                                             .spans = number(&live->spans[i]),
                                             .free = number(&live->free_slots[i])};
        class_finish(&now->classes[i], class->slots);
    }
    return 0;
}

/* ---- its memory ---- */

static void map_add(struct top_figures *now, const struct heap_map *map)
{
    now->segments = map->segment_count;
    now->heaps = map->owner_count;
    now->hardened = map->hardened;
    now->class_count = map->class_count;
    for (size_t i = 1; i < map->class_count; i++) {
        const struct heap_class *class = &map->classes[i];
        now->classes[i] = (struct top_class){.slot_bytes = class->slot_bytes,
                                             .tier = class->tier,
                                             .span_pages = class->span_pages,
                                             .cached = class->cached};
    }
    for (size_t i = 0; i < map->segment_count; i++) {
        const struct heap_segment *segment = &map->segments[i];
        uint32_t dirty = segment->dirty & ~segment->taken;
        now->taken_bytes += (uint64_t)__builtin_popcount(segment->taken) * map->page_bytes;
        now->dirty_bytes += (uint64_t)__builtin_popcount(dirty) * map->page_bytes;
        now->segments_thp += segment->backing == BACKED_THP;
        now->segments_huge += segment->backing >= BACKED_HUGETLB;
    }
    for (size_t i = 0; i < heap_page_count(map); i++) {
        const struct heap_page *page = &map->pages[i];
        if (page->kind == PAGE_LARGE) {
            now->large_blocks++;
            now->large_bytes += (uint64_t)page->span_pages * map->page_bytes;
        } else if (page->kind == PAGE_SLOTS) {
            now->classes[page->class_idx].spans++;
            now->classes[page->class_idx].free += map->classes[page->class_idx].slots - page->used;
        }
    }
    for (size_t i = 0; i < map->owner_count; i++) {
        now->slow_paths += map->owners[i].slow_paths;
        now->orphans += map->owners[i].state == HEAP_ORPHAN;
    }
    for (size_t i = 1; i < map->class_count; i++) {
        class_finish(&now->classes[i], map->classes[i].slots);
    }
}

static int memory_read(struct top *top)
{
    struct heap_map map;
    int status = heap_read(&top->target, &map);
    if (status == 0) {
        top->now.seconds = top_clock();
        map_add(&top->now, &map);
        heap_map_free(&map);
    }
    return status;
}

/* ---- the system ---- */

/* The kilobytes behind a word in a file of the process, in bytes; 0: it is not there. */
static uint64_t proc_read(int process, const char *name, const char *word)
{
    char path[64];
    char line[256];
    uint64_t kib = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", process, name);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, word, strlen(word)) == 0) {
            kib = strtoull(line + strlen(word), NULL, 10);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib * 1024;
}

static void system_read(struct top *top)
{
    int process = top->target.process;
    top->now.resident_bytes = proc_read(process, "status", "VmRSS:");
    top->now.hugetlb_bytes = proc_read(process, "status", "HugetlbPages:");
    top->now.thp_bytes = proc_read(process, "smaps_rollup", "AnonHugePages:");
}

/* ---- both ---- */

int top_open(struct top *top, int process, bool published)
{
    memset(top, 0, sizeof *top);
    int status = target_find(&top->target, process);
    if (status != 0) {
        return status;
    }
    heap_silence(true);
    status = published ? HEAP_NO_RIGHTS : target_open(&top->target);
    heap_silence(false);
    if (status == 0) {
        return 0;
    }
    if (status == HEAP_NO_RIGHTS) {
        status = live_find(top);
        top->published = status == 0 && top->file != NO_FILE;
        if (status != 0 || top->published) {
            return status;
        }
    }
    return published
               ? heap_complain(HEAP_NO_LIBRARY,
                               "the process publishes nothing (HAKMEM_LIVE=1 at its start)", NULL)
               : target_open(&top->target); /* which says why not */
}

void top_sweep(void)
{
    DIR *directory = opendir("/dev/shm");
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        unsigned user;
        int process;
        char end;
        if (sscanf(entry->d_name, "hakmem.%u.%d%c", &user, &process, &end) == 2 &&
            user == geteuid() && kill(process, 0) != 0 && errno == ESRCH) {
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
}

int top_read(struct top *top)
{
    top->before = top->now;
    bool had = top->now.class_count != 0;
    memset(&top->now, 0, sizeof top->now);
    int status = top->published ? live_read(top) : memory_read(top);
    system_read(top);
    top->has_before = had;
    return status;
}
