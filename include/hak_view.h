/*
 * hak_view: what a process shows of its heap to the command `hakmem`.
 *
 * Purpose   two things, each with a version of its own.
 *           struct hak_view says where the allocator's tables lie and what they look like. It is
 *           found through a note of the library (owner HAK_VIEW_OWNER, type HAK_VIEW_NOTE), which
 *           is in memory wherever the library is; so a reader with the rights of a debugger needs
 *           nothing else, and the process does nothing for it.
 *           struct hak_live is a file in memory that a process started with HAKMEM_LIVE=1 writes
 *           its totals to, for readers without those rights.
 * Owner     the process.
 * Threads   the view is constant. Of the live file, one thread at a time writes; readers see
 * whether they read while it did:
 *
 *               writer                          reader
 *               sequence = odd                  read sequence; odd: again       (acquire)
 *               figures            (release)    read figures                    (acquire)
 *               sequence = even    (release)    read sequence; another: again
 *
 *           Each release is after the odd number, and each acquire before the second reading.
 */
#ifndef HAK_VIEW_H
#define HAK_VIEW_H

#include <stdatomic.h>

#include "hak_base.h"

/* ---- the view ---- */

#define HAK_VIEW_OWNER "hakmem"
#define HAK_VIEW_NOTE 1 /* the note is one 64-bit number: what to add to its address */
#define HAK_VIEW_MAGIC "hakview"
#define HAK_VIEW_VERSION 2

/* Where a field lies in its struct, and how many bytes it has. */
struct hak_view_field {
    uint16_t offset, bytes;
};

#define HAK_VIEW_FIELD(type, field)                                                                \
    {                                                                                              \
        offsetof(struct type, field), sizeof(((struct type *)0)->field)                            \
    }

struct hak_view {
    char magic[8];
    uint32_t version;
    uint32_t bytes; /* of this struct */
    /* Addresses of variables; their values are 0 before the process has set up its heap. */
    const void *base;     /* of the first segment */
    const void *tags;     /* table of 64-bit tags, one a page */
    const void *pages;    /* table of descriptors, one a page */
    const void *segments; /* table, one a segment */
    const void *end;      /* number of segments in use */
    const void *heaps;    /* the first heap of a list */
    const void *hardened; /* one byte */
    const void *below;    /* how many more bins lie right below each heap */
    const void *classes;  /* the table itself; its first entry is not used */
    uint32_t page_bytes, segment_pages;
    uint32_t class_count;
    uint32_t block_less_bytes; /* bytes of a slot that are not the user's */
    /* A tag below `tag_bins` is 0 for none or 1 for a large block's first page; another is the
     * address of a bin in the same `heap_align` bytes as the start of its heap: one of the heap's,
     * or, if there are any below it, one of those. */
    uint32_t tag_bins, heap_align;
    uint32_t class_stride, page_stride, segment_stride, bin_stride;
    struct hak_view_field class_slot_bytes, class_slots, class_span_pages, class_tier;
    struct hak_view_field page_back; /* pages from the first one of a span */
    struct hak_view_field page_span_pages, page_free_count;
    struct hak_view_field segment_word; /* bits 0-31 slots taken, 32-39 tier */
    struct hak_view_field segment_dirty, segment_backing;
    struct hak_view_field heap_next, heap_state, heap_entries;
    /* Blocks in a bin: two addresses and bytes a block; or, if these are 0, one number. */
    struct hak_view_field bin_top, bin_base;
    uint32_t bin_block_bytes;
};

/* ---- the live file ---- */

#define HAK_LIVE_PATH "/dev/shm/hakmem.%u.%d" /* user, process */
#define HAK_LIVE_MAGIC "haklive"
#define HAK_LIVE_VERSION 1
#define HAK_LIVE_CLASSES 128

#define HAK_LIVE_TOTALS(X)                                                                         \
    X(at_ms, "when, by the clock CLOCK_MONOTONIC_COARSE")                                          \
    X(segments, "segments in use or used before")                                                  \
    X(segments_thp, "of them with transparent huge pages asked for")                               \
    X(segments_hugetlb, "of them with pages of 2 MiB of the pool")                                 \
    X(segments_gigantic, "of them in pages of 1 GiB of the pool")                                  \
    X(taken_bytes, "pages in use")                                                                 \
    X(dirty_bytes, "free pages that still have memory")                                            \
    X(meta_bytes, "records of the allocator")                                                      \
    X(large_blocks, "large blocks")                                                                \
    X(large_bytes, "and their pages")                                                              \
    X(heaps, "heaps")                                                                              \
    X(orphans, "of them without a thread, about")                                                  \
    X(slow_paths, "slow paths entered so far, of all heaps")                                       \
    X(hardened, "1: the process is hardened")

enum hak_live_total {
#define HAK_LIVE_NUMBER(name, ...) HAK_LIVE_##name,
    HAK_LIVE_TOTALS(HAK_LIVE_NUMBER)
#undef HAK_LIVE_NUMBER
        HAK_LIVE_TOTAL_COUNT
};

struct hak_live_class {
    uint32_t slot_bytes;
    uint16_t slots; /* of a page or span */
    uint8_t span_pages;
    uint8_t tier; /* enum hak_tier */
};

struct hak_live {
    char magic[8];
    uint32_t version;
    uint32_t bytes; /* of this struct */
    int32_t process;
    uint32_t class_count;
    uint64_t program; /* AT_RANDOM of the auxiliary vector: another program has another address */
    uint32_t page_bytes, segment_pages;
    struct hak_live_class classes[HAK_LIVE_CLASSES]; /* [const once it can be opened] */
    HAK_CACHE_ALIGNED
    _Atomic(uint32_t) sequence;                     /* [writer, atomic] odd while it writes */
    _Atomic(uint64_t) totals[HAK_LIVE_TOTAL_COUNT]; /* [writer, atomic] */
    _Atomic(uint64_t) spans[HAK_LIVE_CLASSES];      /* [writer, atomic] pages or spans of a class */
    _Atomic(uint64_t) free_slots[HAK_LIVE_CLASSES]; /* [writer, atomic] slots of them not in use */
};

#endif
