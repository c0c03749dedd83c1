/*
 * prof_read: reads a profile as front/profile/prof_dump.c writes it.
 *
 *     heap profile: OBJECTS: BYTES [OBJECTS: BYTES] @ heapprofile
 *     # hakmem: PROGRAM, process NUMBER, a sample each BYTES bytes
 *     OBJECTS: BYTES [OBJECTS: BYTES] @ 0xADDRESS ...
 *
 *     MAPPED_LIBRARIES:
 *     (as /proc/PID/maps)
 *
 * In brackets is all that was allocated, before them what of that lives.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "prof.h"

struct reader {
    struct prof *prof;
    size_t stacks_room, mappings_room, places_room;
};

/* Room for one more item of a table that grows by doubling. */
static void *room_make(void *table, size_t count, size_t *room, size_t item_bytes)
{
    if (count < *room) {
        return table;
    }
    size_t more = *room * 2 + 64;
    void *grown = heap_table(more, item_bytes);
    if (count != 0) {
        memcpy(grown, table, count * item_bytes);
    }
    free(table);
    *room = more;
    return grown;
}

static char *text_copy(const char *text)
{
    size_t bytes = strlen(text) + 1;
    return memcpy(heap_table(bytes, 1), text, bytes);
}

static bool stack_read(struct reader *reader, const char *line)
{
    struct prof *prof = reader->prof;
    struct prof_stack stack = {.count = 0};
    int bytes = 0;
    if (sscanf(line, "%" SCNu64 ": %" SCNu64 " [%" SCNu64 ": %" SCNu64 "] @%n", &stack.values[0],
               &stack.values[1], &stack.values[2], &stack.values[3], &bytes) != 4 ||
        bytes == 0) {
        return false;
    }
    size_t room = 0;
    for (const char *at = line + bytes; *at == ' ';) {
        char *end;
        struct prof_place *place = heap_table(1, sizeof *place);
        place->address = strtoull(at, &end, 16);
        if (end == at + 1) {
            return false;
        }
        at = end;
        stack.places = room_make(stack.places, stack.count, &room, sizeof *stack.places);
        stack.places[stack.count++] = place;
        prof->places =
            room_make(prof->places, prof->place_count, &reader->places_room, sizeof *prof->places);
        prof->places[prof->place_count++] = place;
    }
    prof->stacks =
        room_make(prof->stacks, prof->stack_count, &reader->stacks_room, sizeof *prof->stacks);
    prof->stacks[prof->stack_count++] = stack;
    return true;
}

static bool mapping_read(struct reader *reader, char *line)
{
    struct prof *prof = reader->prof;
    struct prof_mapping mapping = {.path = ""};
    char rights[5];
    int bytes = 0;
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &mapping.start,
               &mapping.end, rights, &mapping.offset, &bytes) != 4 ||
        bytes == 0) {
        return false;
    }
    mapping.runs = rights[2] == 'x';
    if (line[bytes] == '/' || line[bytes] == '[') {
        mapping.path = text_copy(line + bytes);
    }
    prof->mappings = room_make(prof->mappings, prof->mapping_count, &reader->mappings_room,
                               sizeof *prof->mappings);
    prof->mappings[prof->mapping_count++] = mapping;
    return true;
}

static void comment_read(struct prof *prof, const char *line)
{
    (void)sscanf(line, "# hakmem: %63[^,], process %d, a sample each %" SCNu64, prof->program,
                 &prof->process, &prof->mean_bytes);
    heap_clean(prof->program);
}

static int place_compare(const void *a, const void *b)
{
    const struct prof_place *left = *(struct prof_place *const *)a;
    const struct prof_place *right = *(struct prof_place *const *)b;
    return left->address < right->address ? -1 : left->address > right->address;
}

/* Each address is left once, and knows its mapping: that of the call before it. */
static void places_join(struct prof *prof)
{
    size_t count = 0;
    qsort(prof->places, prof->place_count, sizeof *prof->places, place_compare);
    for (size_t i = 0; i < prof->place_count; i++) {
        if (count == 0 || prof->places[count - 1]->address != prof->places[i]->address) {
            prof->places[count++] = prof->places[i];
        }
    }
    prof->place_count = count;
    for (size_t i = 0; i < prof->stack_count; i++) {
        for (size_t j = 0; j < prof->stacks[i].count; j++) {
            prof->stacks[i].places[j] =
                *(struct prof_place **)bsearch(&prof->stacks[i].places[j], prof->places, count,
                                               sizeof *prof->places, place_compare);
        }
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t address = prof->places[i]->address - 1;
        for (size_t j = 0; j < prof->mapping_count; j++) {
            if (address >= prof->mappings[j].start && address < prof->mappings[j].end) {
                prof->places[i]->mapping = &prof->mappings[j];
            }
        }
    }
}

static bool is_allocator(const struct prof_place *place)
{
    const char *slash = place->mapping == NULL ? NULL : strrchr(place->mapping->path, '/');
    return slash != NULL && strncmp(slash, "/libhakmem", 10) == 0;
}

/* calloc and realloc call malloc: who called those is where a stack begins. */
static void stacks_trim(struct prof *prof)
{
    for (size_t i = 0; i < prof->stack_count; i++) {
        struct prof_stack *stack = &prof->stacks[i];
        while (stack->count > 1 && is_allocator(stack->places[0])) {
            stack->places++;
            stack->count--;
        }
    }
}

/* False: the line is none of a profile. */
static bool line_read(struct reader *reader, char *line, size_t number, bool *mapped)
{
    line[strcspn(line, "\n")] = '\0';
    if (number == 1) {
        return strncmp(line, "heap profile: ", 14) == 0 && strstr(line, "@ heapprofile") != NULL;
    }
    if (*mapped) {
        return mapping_read(reader, line);
    }
    *mapped = strcmp(line, "MAPPED_LIBRARIES:") == 0;
    if (line[0] == '#') {
        comment_read(reader->prof, line);
    }
    return *mapped || line[0] == '\0' || line[0] == '#' || stack_read(reader, line);
}

int prof_read(const char *path, struct prof *prof)
{
    struct reader reader = {.prof = prof};
    char *line = NULL;
    size_t line_room = 0, number = 0;
    bool mapped = false, sound = true;
    FILE *file = fopen(path, "re");
    *prof = (struct prof){.program = "a program", .mean_bytes = 0};
    if (file == NULL) {
        return heap_complain(HEAP_FAILED, path, strerror(errno));
    }
    while (sound && getline(&line, &line_room, file) > 0) {
        sound = line_read(&reader, line, ++number, &mapped);
    }
    bool failed = ferror(file) != 0;
    free(line);
    (void)fclose(file);
    if (failed) {
        return heap_complain(HEAP_FAILED, path, "cannot be read");
    }
    if (!sound || number == 0) {
        return heap_complain(HEAP_FAILED, path, "this is no profile of hakmem's");
    }
    places_join(prof);
    stacks_trim(prof);
    return 0;
}

/* ---- names ---- */

const char *prof_text_copy(const char *text)
{
    size_t bytes = strlen(text) + 1;
    return memcpy(heap_table(bytes, 1), text, bytes);
}

const char *prof_place_name(const struct prof_place *place)
{
    char text[300];
    const struct prof_mapping *mapping = place->mapping;
    if (mapping == NULL || mapping->path[0] == '\0') {
        snprintf(text, sizeof text, "0x%" PRIx64, place->address);
        return prof_text_copy(text);
    }
    const char *slash = strrchr(mapping->path, '/');
    snprintf(text, sizeof text, "%.200s+0x%" PRIx64, slash != NULL ? slash + 1 : mapping->path,
             place->address - mapping->start + mapping->offset);
    return prof_text_copy(text);
}
