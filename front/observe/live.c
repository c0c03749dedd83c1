/*
 * live: the file that `hakmem top` reads.
 *
 *   hak_live_poll → hak_live_refresh → file_make      at the start, and in the child of a fork
 *                                    → figures_count  walks the page tags
 *                                    → figures_write
 *
 * A block in a magazine counts as in use: nobody else may look into those.
 */
#include "front/observe/live.h"

#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "front/harden/harden.h"
#include "front/options.h"
#include "front/tag.h"
#include "segment/huge.h"
#include "segment/os.h"

/* A refresh walks all pages, so large heaps wait longer: some 0.2 % of one CPU at most. */
#define REFRESH_MS 250
#define PAGES_A_MS 256

struct figures {
    uint64_t totals[HAK_LIVE_TOTAL_COUNT];
    uint64_t spans[HAK_LIVE_CLASSES];
    uint64_t free_slots[HAK_LIVE_CLASSES];
};

_Atomic(bool) hak_live_on;

static struct hak_live *live;                 /* [who refreshes] NULL: there is none yet */
static struct figures figures;                /* [who refreshes] */
static _Atomic(bool) refreshing;              /* [any, atomic] somebody is at it */
static _Atomic(uint64_t) due_ms;              /* [who refreshes, atomic] when the next one is */
static char path[sizeof(HAK_LIVE_PATH) + 24]; /* [who refreshes] */

/* ---- the file ---- */

static void classes_describe(struct hak_live *file)
{
    file->class_count = HAK_BINS;
    for (size_t i = 1; i < HAK_BINS; i++) {
        const struct hak_geometry *geometry = &hak_classes[i].geometry;
        file->classes[i] = (struct hak_live_class){.slot_bytes = geometry->slot_bytes,
                                                   .slots = geometry->slots,
                                                   .span_pages = geometry->span_pages,
                                                   .tier = geometry->pool};
    }
}

/* What stands under our process number was left by a process that is gone. */
static void file_make(void)
{
    (void)snprintf(path, sizeof path, HAK_LIVE_PATH, geteuid(), getpid());
    live = hak_os_share(path, sizeof *live);
    if (live == NULL) {
        return;
    }
    live->version = HAK_LIVE_VERSION;
    live->bytes = sizeof *live;
    live->process = getpid();
    live->program = getauxval(AT_RANDOM);
    live->page_bytes = hak_view.page_bytes; /* and so the view is part of every program */
    live->segment_pages = hak_view.segment_pages;
    classes_describe(live);
    memcpy(live->magic, HAK_LIVE_MAGIC, sizeof live->magic);
}

/* ---- the figures ---- */

static void page_count(size_t page_idx)
{
    uintptr_t tag = hak_region_tag(page_idx);
    size_t class_idx = hak_tag_bin(tag);
    const struct hak_page *page = hak_page_at(page_idx);
    figures.totals[HAK_LIVE_large_blocks] += tag == HAK_TAG_LARGE;
    if (tag < HAK_TAG_BINS) {
        return;
    }
    figures.totals[HAK_LIVE_large_bytes] -= HAK_PAGE_BYTES;
    /* relaxed: a figure. */
    if (atomic_load_explicit(&page->back, memory_order_relaxed) == 0) {
        figures.spans[class_idx]++;
        figures.free_slots[class_idx] +=
            hak_min(hak_page_free_count(page), hak_classes[class_idx].geometry.slots);
    }
}

static void heaps_count(void)
{
    for (const struct hak_heap *at = hak_heap_first(); at != NULL; at = at->next) {
        figures.totals[HAK_LIVE_heaps]++;
        figures.totals[HAK_LIVE_slow_paths] += hak_heap_entries(at);
    }
}

static void figures_count(uint64_t now_ms)
{
    uint64_t *totals = figures.totals;
    memset(&figures, 0, sizeof figures);
    totals[HAK_LIVE_at_ms] = now_ms;
    totals[HAK_LIVE_segments] = hak_arena_end();
    totals[HAK_LIVE_taken_bytes] = hak_taken_bytes();
    totals[HAK_LIVE_large_bytes] = totals[HAK_LIVE_taken_bytes];
    totals[HAK_LIVE_dirty_bytes] = hak_dirty_bytes();
    totals[HAK_LIVE_meta_bytes] = hak_meta_used_bytes();
    totals[HAK_LIVE_orphans] = hak_heap_orphans();
    totals[HAK_LIVE_hardened] = hak_options.harden != 0;
    for (size_t i = 0; i < totals[HAK_LIVE_segments]; i++) {
        enum hak_backing backing = hak_segment_backing(i);
        totals[HAK_LIVE_segments_thp] += backing == HAK_BACKED_THP;
        totals[HAK_LIVE_segments_hugetlb] += backing == HAK_BACKED_HUGETLB;
        totals[HAK_LIVE_segments_gigantic] += backing == HAK_BACKED_GIGANTIC;
    }
    size_t pages = hak_region_pages();
    for (size_t page_idx = 0; page_idx < pages; page_idx++) {
        page_count(page_idx);
    }
    if ((int64_t)totals[HAK_LIVE_large_bytes] < 0) {
        totals[HAK_LIVE_large_bytes] = 0; /* pages came while they were counted */
    }
    heaps_count();
}

static void numbers_write(_Atomic(uint64_t) *to, const uint64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        /* release: after the odd sequence, see hak_view.h. */
        atomic_store_explicit(&to[i], from[i], memory_order_release);
    }
}

static void figures_write(void)
{
    /* relaxed: one writer; what follows is released after it. */
    uint32_t sequence = atomic_load_explicit(&live->sequence, memory_order_relaxed) | 1;
    atomic_store_explicit(&live->sequence, sequence, memory_order_relaxed);
    numbers_write(live->totals, figures.totals, HAK_LIVE_TOTAL_COUNT);
    numbers_write(live->spans, figures.spans, HAK_LIVE_CLASSES);
    numbers_write(live->free_slots, figures.free_slots, HAK_LIVE_CLASSES);
    /* release: after all figures. */
    atomic_store_explicit(&live->sequence, sequence + 1, memory_order_release);
}

void hak_live_refresh(void)
{
    uint64_t now_ms = hak_os_now_ms();
    bool nobody = false;
    /* relaxed: a time that saves work. */
    if (now_ms < atomic_load_explicit(&due_ms, memory_order_relaxed) ||
        /* acquire: pairs with the release below; the last refresh is over. */
        !atomic_compare_exchange_strong_explicit(&refreshing, &nobody, true, memory_order_acquire,
                                                 memory_order_relaxed)) {
        return;
    }
    if (live == NULL) {
        file_make();
    }
    /* A child of vfork() shares this memory and is another process: the file is not its own. */
    if (live != NULL && live->process == getpid()) {
        figures_count(now_ms);
        figures_write();
    }
    /* relaxed: the same. */
    atomic_store_explicit(&due_ms, now_ms + REFRESH_MS + hak_region_pages() / PAGES_A_MS,
                          memory_order_relaxed);
    /* release: pairs with the acquire above. */
    atomic_store_explicit(&refreshing, false, memory_order_release);
}

/* ---- the process ---- */

void hak_live_start(void)
{
    if (hak_options.live == 0) {
        return;
    }
    hak_live_refresh();
    if (live == NULL) {
        hak_options_say("HAKMEM_LIVE", "1", "cannot be had: no file can be made in /dev/shm");
        return;
    }
    /* relaxed: a switch; who sees it late refreshes late. */
    atomic_store_explicit(&hak_live_on, true, memory_order_relaxed);
}

/* The mapping of the parent's file stays: somebody may have copied its address. */
void hak_live_fork_child(void)
{
    live = NULL;
    /* relaxed: the child has one thread. */
    atomic_store_explicit(&refreshing, false, memory_order_relaxed);
    atomic_store_explicit(&due_ms, 0, memory_order_relaxed);
}

/* Who refreshes at this moment may do so to the end: the mapping stays. */
__attribute__((destructor)) static void live_ends(void)
{
    /* relaxed: a switch. */
    if (atomic_exchange_explicit(&hak_live_on, false, memory_order_relaxed) && live != NULL &&
        live->process == getpid()) {
        (void)unlink(path);
    }
}
