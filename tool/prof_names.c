/*
 * prof_names: the functions behind addresses, by elfutils (libdw).
 *
 * Of each file that was mapped, the functions come from its debugging information, that of packages
 * and of a debuginfod server included; without that, from its symbols.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <string.h>

#include "prof.h"

#define FRAMES_MAX 32 /* inlined into each other */

/* Of libstdc++. */
char *__cxa_demangle(const char *name, char *buffer, size_t *length, int *status);

/* A name as a program's author wrote it; lives to the end. */
static const char *name_of(const char *symbol)
{
    int status = -1;
    char *name = strncmp(symbol, "_Z", 2) == 0 ? __cxa_demangle(symbol, NULL, NULL, &status) : NULL;
    return name != NULL && status == 0 ? name : prof_text_copy(symbol);
}

static const char *die_name(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    const char *linkage =
        dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute));
    const char *name = linkage != NULL ? linkage : dwarf_diename(die);
    return name != NULL ? name_of(name) : "?";
}

/* The line on which an inlined function was called. */
static void call_site(Dwarf_Die *die, struct prof_frame *frame)
{
    Dwarf_Attribute attribute;
    Dwarf_Word line = 0, file_idx = 0;
    Dwarf_Files *files;
    Dwarf_Die unit;
    (void)dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attribute), &line);
    (void)dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attribute), &file_idx);
    const char *file =
        dwarf_diecu(die, &unit, NULL, NULL) != NULL && dwarf_getsrcfiles(&unit, &files, NULL) == 0
            ? dwarf_filesrc(files, file_idx, NULL, NULL)
            : NULL;
    frame->line = (int)line;
    frame->file = file != NULL ? prof_text_copy(file) : "";
}

/* The functions around an address, innermost first; 0: there is no debugging information. */
static size_t frames_find(Dwfl_Module *module, Dwarf_Addr address, struct prof_frame *frames)
{
    Dwarf_Addr bias;
    Dwarf_Die *scopes = NULL;
    Dwarf_Die *unit = dwfl_module_addrdie(module, address, &bias);
    int count = unit == NULL ? 0 : dwarf_getscopes(unit, address - bias, &scopes);
    size_t found = 0;
    for (int i = 0; i < count && found < FRAMES_MAX; i++) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram) {
            continue;
        }
        frames[found].name = die_name(&scopes[i]);
        if (tag == DW_TAG_subprogram) {
            found++;
            break;
        }
        if (++found < FRAMES_MAX) {
            call_site(&scopes[i], &frames[found]); /* is where the next one stands */
        }
    }
    free(scopes);
    Dwfl_Line *line = found == 0 ? NULL : dwfl_module_getsrc(module, address);
    const char *file =
        line == NULL ? NULL : dwfl_lineinfo(line, NULL, &frames[0].line, NULL, NULL, NULL);
    if (found != 0) {
        frames[0].file = file != NULL ? prof_text_copy(file) : "";
    }
    return found;
}

static void place_find(Dwfl *dwfl, struct prof_place *place)
{
    struct prof_frame frames[FRAMES_MAX + 1] = {{.file = ""}};
    Dwarf_Addr address = place->address - 1; /* in the call, not behind it */
    Dwfl_Module *module = dwfl == NULL ? NULL : dwfl_addrmodule(dwfl, address);
    size_t count = module == NULL ? 0 : frames_find(module, address, frames);
    if (count == 0) {
        const char *symbol = module == NULL ? NULL : dwfl_module_addrname(module, address);
        frames[0] = (struct prof_frame){
            .name = symbol != NULL ? name_of(symbol) : prof_place_name(place), .file = ""};
        count = 1;
    }
    place->frames = heap_table(count, sizeof *place->frames);
    memcpy(place->frames, frames, count * sizeof *place->frames);
    place->frame_count = count;
}

/* Tells of each mapped file where it lay. */
static void modules_report(Dwfl *dwfl, const struct prof *prof)
{
    dwfl_report_begin(dwfl);
    for (size_t i = 0; i < prof->mapping_count; i++) {
        const struct prof_mapping *mapping = &prof->mappings[i];
        if (mapping->path[0] == '/' && mapping->offset == 0 &&
            (i == 0 || strcmp(mapping->path, mapping[-1].path) != 0)) {
            (void)dwfl_report_elf(dwfl, mapping->path, mapping->path, -1, mapping->start, false);
        }
    }
    (void)dwfl_report_end(dwfl, NULL, NULL);
}

void prof_names(struct prof *prof)
{
    static const Dwfl_Callbacks callbacks = {
        .find_elf = dwfl_build_id_find_elf,
        .find_debuginfo = dwfl_standard_find_debuginfo,
        .section_address = dwfl_offline_section_address,
    };
    Dwfl *dwfl = dwfl_begin(&callbacks);
    if (dwfl != NULL) {
        modules_report(dwfl, prof);
    }
    for (size_t i = 0; i < prof->place_count; i++) {
        place_find(dwfl, prof->places[i]);
    }
    dwfl_end(dwfl);
}
