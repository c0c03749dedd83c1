/*
 * target.c: /proc/PID/maps, the ELF headers that it names, their notes, the view.
 */
#include "target.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "heap.h"

/* Of an ELF file, more is not looked at. */
#define HEADERS_MAX 64
#define NOTE_BYTES_MAX ((size_t)64 * 1024)

bool target_read(const struct target *target, uint64_t address, void *bytes, size_t count)
{
    for (size_t done = 0; done < count;) {
        size_t part = count - done < 1 << 20 ? count - done : 1 << 20;
        struct iovec local = {(char *)bytes + done, part};
        struct iovec remote = {(void *)(uintptr_t)(address + done), part};
        ssize_t got = process_vm_readv(target->process, &local, 1, &remote, 1, 0);
        if (got <= 0) {
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

/* The word behind the last ')' of /proc/PID/stat: R, S, ..., Z; '\0': there is no such process. */
static char state_read(int process, char *name, size_t capacity)
{
    char path[64];
    char text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", process);
    FILE *file = fopen(path, "re");
    size_t bytes = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
    if (file != NULL) {
        fclose(file);
    }
    text[bytes] = '\0';
    char *open = strchr(text, '(');
    char *close = strrchr(text, ')');
    if (open == NULL || close == NULL || close < open || close[1] == '\0') {
        return '\0';
    }
    *close = '\0';
    if (name != NULL) {
        snprintf(name, capacity, "%s", open + 1);
    }
    return close[2];
}

bool target_lives(const struct target *target)
{
    char state = state_read(target->process, NULL, 0);
    return state != '\0' && state != 'Z' && state != 'X';
}

int target_find(struct target *target, int process)
{
    char number[16];
    snprintf(number, sizeof number, "%d", process);
    memset(target, 0, sizeof *target);
    target->process = process;
    char state = state_read(process, target->program, sizeof target->program);
    if (state == '\0') {
        return heap_complain(HEAP_NO_PROCESS, "there is no such process", number);
    }
    if (state == 'Z' || state == 'X') {
        return heap_complain(HEAP_NO_PROCESS, "this process has ended", number);
    }
    heap_clean(target->program);
    return 0;
}

/* ---- notes ---- */

/* The view's address by the note in these bytes, which were read at `address`; 0: there is none. */
static uint64_t note_find(const char *bytes, size_t count, uint64_t address)
{
    for (size_t at = 0; at + sizeof(Elf64_Nhdr) <= count;) {
        Elf64_Nhdr head;
        memcpy(&head, bytes + at, sizeof head);
        size_t name = at + sizeof head;
        size_t number = name + ((size_t)head.n_namesz + 3) / 4 * 4;
        size_t next = number + ((size_t)head.n_descsz + 3) / 4 * 4;
        if (next > count) {
            break;
        }
        if (head.n_type == HAK_VIEW_NOTE && head.n_namesz == sizeof HAK_VIEW_OWNER &&
            head.n_descsz == sizeof(uint64_t) &&
            memcmp(bytes + name, HAK_VIEW_OWNER, sizeof HAK_VIEW_OWNER) == 0) {
            uint64_t distance;
            memcpy(&distance, bytes + number, sizeof distance);
            return address + number + distance;
        }
        at = next;
    }
    return 0;
}

/* The view's address in the file that is mapped from its beginning at `start`; 0: none. */
static uint64_t view_find(const struct target *target, uint64_t start)
{
    Elf64_Ehdr file;
    Elf64_Phdr headers[HEADERS_MAX];
    if (!target_read(target, start, &file, sizeof file) ||
        memcmp(file.e_ident, ELFMAG, SELFMAG) != 0 || file.e_ident[EI_CLASS] != ELFCLASS64 ||
        file.e_phentsize != sizeof headers[0] || file.e_phnum > HEADERS_MAX ||
        !target_read(target, start + file.e_phoff, headers, file.e_phnum * sizeof headers[0])) {
        return 0;
    }
    uint64_t bias = start;
    for (size_t i = 0; i < file.e_phnum; i++) {
        if (headers[i].p_type == PT_LOAD && headers[i].p_offset == 0) {
            bias = start - headers[i].p_vaddr;
        }
    }
    static char notes[NOTE_BYTES_MAX];
    uint64_t found = 0;
    for (size_t i = 0; i < file.e_phnum && found == 0; i++) {
        uint64_t address = bias + headers[i].p_vaddr;
        if (headers[i].p_type == PT_NOTE && headers[i].p_memsz <= sizeof notes &&
            target_read(target, address, notes, headers[i].p_memsz)) {
            found = note_find(notes, headers[i].p_memsz, address);
        }
    }
    return found;
}

/* ---- the view ---- */

#define STRIDE_MAX 65536u

static bool field_fits(struct hak_view_field field, uint32_t stride)
{
    return field.bytes <= sizeof(uint64_t) && field.offset + field.bytes <= (int64_t)stride;
}

/* Who reads may be root, and the process anybody's: it must not choose what is written where. */
static bool view_is_sane(const struct hak_view *view)
{
    const uint32_t strides[] = {view->class_stride, view->page_stride, view->segment_stride,
                                view->bin_stride};
    for (size_t i = 0; i < sizeof strides / sizeof strides[0]; i++) {
        if (strides[i] == 0 || strides[i] > STRIDE_MAX) {
            return false;
        }
    }
    return view->page_bytes != 0 && view->segment_pages == 32 && view->class_count > 1 &&
           view->class_count <= HAK_LIVE_CLASSES && view->heap_align != 0 && view->tag_bins > 1 &&
           field_fits(view->class_slot_bytes, view->class_stride) &&
           field_fits(view->class_slots, view->class_stride) &&
           field_fits(view->class_span_pages, view->class_stride) &&
           field_fits(view->class_tier, view->class_stride) &&
           field_fits(view->page_back, view->page_stride) &&
           field_fits(view->page_span_pages, view->page_stride) &&
           field_fits(view->page_free_count, view->page_stride) &&
           field_fits(view->segment_word, view->segment_stride) &&
           field_fits(view->segment_dirty, view->segment_stride) &&
           field_fits(view->segment_backing, view->segment_stride) &&
           field_fits(view->heap_next, STRIDE_MAX) && field_fits(view->heap_state, STRIDE_MAX) &&
           field_fits(view->heap_entries, STRIDE_MAX) &&
           field_fits(view->bin_top, view->bin_stride) &&
           field_fits(view->bin_base, view->bin_stride);
}

/* Reads the view there. 0 and `set_up`: the heap exists; else it was not used yet. */
static int view_read(struct target *target, uint64_t address, bool *set_up)
{
    struct hak_view *view = &target->view;
    uint64_t base = 0;
    char text[96];
    memset(view, 0, sizeof *view);
    bool is_read = target_read(target, address, view, offsetof(struct hak_view, base));
    if (!is_read || memcmp(view->magic, HAK_VIEW_MAGIC, sizeof HAK_VIEW_MAGIC) != 0 ||
        view->version != HAK_VIEW_VERSION || view->bytes != sizeof *view ||
        !target_read(target, address, view, sizeof *view) || !view_is_sane(view)) {
        snprintf(text, sizeof text, "%" PRIu32 ", and this command reads version %d", view->version,
                 HAK_VIEW_VERSION);
        return heap_complain(HEAP_OTHER_VERSION,
                             "the process runs another version of the library: its layout is",
                             text);
    }
    *set_up = target_read(target, (uintptr_t)view->base, &base, sizeof base) && base != 0;
    return 0;
}

static int rights_complain(int process, int error)
{
    char text[128];
    snprintf(text, sizeof text, "%d: %s (be its user, or root; see kernel.yama.ptrace_scope)",
             process, strerror(error));
    return heap_complain(HEAP_NO_RIGHTS, "no right to read the memory of process", text);
}

/* The first file with the note whose heap is set up, or any with the note. */
static int maps_search(struct target *target, FILE *maps)
{
    char line[512];
    char number[16];
    uint64_t candidate = 0;
    bool readable = false;
    while (fgets(line, sizeof line, maps) != NULL) {
        uint64_t start, end, offset;
        char access[8];
        char probe;
        bool has_end = strchr(line, '\n') != NULL;
        while (!has_end && fgets(line + 256, sizeof line - 256, maps) != NULL) {
            has_end = strchr(line + 256, '\n') != NULL; /* a long path: nobody needs it */
        }
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64, &start, &end, access, &offset) !=
                4 ||
            access[0] != 'r') {
            continue;
        }
        if (!readable && !target_read(target, start, &probe, 1) && errno == EPERM) {
            return rights_complain(target->process, EPERM);
        }
        readable = true;
        uint64_t found = offset != 0 ? 0 : view_find(target, start);
        bool set_up = false;
        if (found != 0) {
            int status = view_read(target, found, &set_up);
            if (status != 0 || set_up) {
                return status;
            }
            candidate = found;
        }
    }
    snprintf(number, sizeof number, "%d", target->process);
    return candidate != 0 ? heap_complain(HEAP_NO_LIBRARY,
                                          "the library is there but not in use, process", number)
                          : heap_complain(HEAP_NO_LIBRARY, "the library is not in process", number);
}

int target_open(struct target *target)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", target->process);
    FILE *maps = fopen(path, "re");
    if (maps == NULL) {
        return errno == ENOENT ? target_find(target, target->process)
                               : rights_complain(target->process, errno);
    }
    int status = maps_search(target, maps);
    if (ferror(maps)) {
        status = rights_complain(target->process, errno);
    }
    fclose(maps);
    return status;
}
