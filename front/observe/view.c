/*
 * view: where the tables lie, for readers outside of the process.
 */
#include "front/harden/harden.h"
#include "front/heap.h"
#include "front/layout.h"
#include "front/observe/live.h"

const struct hak_view hak_view = {
    .magic = HAK_VIEW_MAGIC,
    .version = HAK_VIEW_VERSION,
    .bytes = sizeof(struct hak_view),
    .base = &hak_arena.base,
    .tags = &hak_region.tags,
    .pages = &hak_arena.pages,
    .segments = &hak_arena.segments,
    .end = &hak_arena.end,
    .heaps = &hak_all_heaps,
    .hardened = &hak_hardened,
    .below = &hak_bins_below,
    .classes = hak_classes,
    .page_bytes = HAK_PAGE_BYTES,
    .segment_pages = HAK_SEGMENT_PAGES,
    .class_count = HAK_BINS,
    .block_less_bytes = HAK_LAYOUT_BYTES,
    .tag_bins = HAK_TAG_BINS,
    .heap_align = HAK_HEAP_ALIGN,
    .class_stride = sizeof(struct hak_class),
    .page_stride = sizeof(struct hak_page),
    .segment_stride = sizeof(struct hak_segment),
    .bin_stride = sizeof(struct hak_bin),
    .class_slot_bytes = HAK_VIEW_FIELD(hak_class, geometry.slot_bytes),
    .class_slots = HAK_VIEW_FIELD(hak_class, geometry.slots),
    .class_span_pages = HAK_VIEW_FIELD(hak_class, geometry.span_pages),
    .class_tier = HAK_VIEW_FIELD(hak_class, geometry.pool),
    .page_back = HAK_VIEW_FIELD(hak_page, back),
    .page_span_pages = HAK_VIEW_FIELD(hak_page, span_pages),
    .page_free_count = HAK_VIEW_FIELD(hak_page, free_count),
    .segment_word = HAK_VIEW_FIELD(hak_segment, word),
    .segment_dirty = HAK_VIEW_FIELD(hak_segment, dirty),
    .segment_backing = HAK_VIEW_FIELD(hak_segment, backing),
    .heap_next = {offsetof(struct hak_heap, next), sizeof(void *)},
    .heap_state = HAK_VIEW_FIELD(hak_heap, state),
    .heap_entries = HAK_VIEW_FIELD(hak_heap, entries),
    HAK_BIN_VIEW,
};

_Static_assert(offsetof(struct hak_heap, bins) == 0, "a reader finds the bins at a heap's start");
_Static_assert(HAK_BINS <= HAK_LIVE_CLASSES, "every class has a place in the live file");

/* The note: 4 B length of the owner's name, 4 B of the number, type, name, number. */
__asm__(".pushsection .note.hakmem, \"a\", @note\n"
        ".balign 4\n"
        ".long 7, 8, 1\n"
        ".asciz \"hakmem\"\n"
        ".balign 4\n"
        ".quad hak_view - .\n"
        ".popsection\n");

_Static_assert(sizeof HAK_VIEW_OWNER == 7 && HAK_VIEW_NOTE == 1, "the note says the same");
