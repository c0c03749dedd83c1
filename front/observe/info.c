/*
 * info: totals of the process, in glibc's forms.
 *
 * They are read while other threads run: each number is true of some moment, not all of one.
 * Blocks in magazines count as used until they are flushed, those at rest (hardened) apart.
 */
#include <errno.h>
#include <limits.h>

#include "front/harden/guard.h"
#include "front/harden/harden.h"
#include "front/heap.h"
#include "hakmem.h"
#include "segment/huge.h"
#include "segment/os.h"

struct totals {
    size_t page_bytes;  /* pages and spans in use */
    size_t slot_bytes;  /* slots of them that are not free */
    size_t free_slots;  /* slots of them that are free ... */
    size_t free_bytes;  /* ... and their bytes */
    size_t rest_bytes;  /* freed slots and blocks that are not free yet, and their addresses */
    size_t large_count; /* large blocks ... */
    size_t large_bytes; /* ... and their bytes */
    size_t dirty_bytes; /* free pages that still have memory */
};

/* Of a page's descriptor only what is atomic is read: the page may change meanwhile. */
static void totals_add_page(struct totals *totals, size_t page_idx)
{
    uintptr_t tag = hak_region_tag(page_idx);
    const struct hak_page *page = hak_page_at(page_idx);
    /* relaxed: a figure. */
    if (tag == HAK_TAG_NONE ||
        (tag >= HAK_TAG_BINS && atomic_load_explicit(&page->back, memory_order_relaxed) != 0)) {
        return;
    }
    size_t rest_bytes = hak_harden_resting_bytes(page_idx);
    totals->rest_bytes += rest_bytes;
    if (tag == HAK_TAG_LARGE) {
        totals->large_count += rest_bytes == 0;
        return;
    }
    const struct hak_geometry *geometry =
        &hak_classes[tag % HAK_HEAP_ALIGN / sizeof(struct hak_bin)].geometry;
    if (rest_bytes < geometry->span_pages * HAK_PAGE_BYTES) { /* else there is no memory */
        size_t free_slots = hak_min(hak_page_free_count(page), geometry->slots);
        size_t used_bytes = (geometry->slots - free_slots) * geometry->slot_bytes;
        totals->page_bytes += geometry->span_pages * HAK_PAGE_BYTES;
        totals->free_slots += free_slots;
        totals->free_bytes += free_slots * geometry->slot_bytes;
        totals->slot_bytes += used_bytes - hak_min(rest_bytes, used_bytes);
    }
}

static struct totals totals_read(void)
{
    struct totals totals = {0};
    size_t pages = hak_region_pages();
    for (size_t page_idx = 0; page_idx < pages; page_idx++) {
        totals_add_page(&totals, page_idx);
    }
    size_t taken_bytes = hak_taken_bytes();
    totals.large_bytes = taken_bytes - hak_min(totals.page_bytes, taken_bytes);
    totals.dirty_bytes = hak_dirty_bytes();
    return totals;
}

struct mallinfo2 hak_mallinfo2(void)
{
    struct totals totals = totals_read();
    return (struct mallinfo2){
        .arena = totals.page_bytes + totals.dirty_bytes,
        .ordblks = totals.free_slots,
        .fsmblks = totals.rest_bytes,
        .hblks = totals.large_count,
        .hblkhd = totals.large_bytes,
        .uordblks = totals.slot_bytes + totals.large_bytes,
        .fordblks = totals.free_bytes + totals.dirty_bytes,
        .keepcost = totals.dirty_bytes,
    };
}

static int clamp_int(size_t value)
{
    return value > INT_MAX ? INT_MAX : (int)value;
}

struct mallinfo hak_mallinfo(void)
{
    struct mallinfo2 wide = hak_mallinfo2();
    return (struct mallinfo){
        .arena = clamp_int(wide.arena),
        .ordblks = clamp_int(wide.ordblks),
        .fsmblks = clamp_int(wide.fsmblks),
        .hblks = clamp_int(wide.hblks),
        .hblkhd = clamp_int(wide.hblkhd),
        .uordblks = clamp_int(wide.uordblks),
        .fordblks = clamp_int(wide.fordblks),
        .keepcost = clamp_int(wide.keepcost),
    };
}

static size_t backed_bytes(enum hak_backing backing)
{
    return hak_huge_count(backing) * HAK_SEGMENT_BYTES;
}

/* A line about huge pages, if there are any. */
static void backing_stats(void)
{
    char text[512];
    if (hak_huge_count(HAK_BACKED_SMALL) == hak_arena_committed()) {
        return;
    }
    int bytes = snprintf(
        text, sizeof text,
        "hakmem: backed by %zu B of pages of 1 GiB, %zu B of 2 MiB (%zu B of them "
        "free but kept, %zu B on another node), %zu B with THP asked for (%zu B of "
        "the process have it), %zu B of ordinary pages at most\n",
        backed_bytes(HAK_BACKED_GIGANTIC), backed_bytes(HAK_BACKED_HUGETLB),
        hak_huge_pinned_bytes(), hak_huge_spilled() * HAK_SEGMENT_BYTES,
        backed_bytes(HAK_BACKED_THP), hak_os_huge_advised_bytes(), backed_bytes(HAK_BACKED_SMALL));
    if (bytes > 0) {
        hak_os_write_error(text, hak_min((size_t)bytes, sizeof text - 1));
    }
}

void hak_malloc_stats(void)
{
    struct totals totals = totals_read();
    char text[512];
    int bytes = snprintf(text, sizeof text,
                         "hakmem: in use %zu B in slots, %zu B in %zu large blocks\n"
                         "hakmem: free %zu B in pages, %zu B in pages not given back yet, "
                         "%zu B at rest\n"
                         "hakmem: %zu segments of 2 MiB, %zu B of records, %llu foreign frees\n",
                         totals.slot_bytes, totals.large_bytes, totals.large_count,
                         totals.free_bytes, totals.dirty_bytes, totals.rest_bytes, hak_arena_end(),
                         hak_meta_used_bytes(), (unsigned long long)hak_guard_count());
    if (bytes > 0) {
        hak_os_write_error(text, hak_min((size_t)bytes, sizeof text - 1));
    }
    backing_stats();
}

int hak_malloc_info(int options, FILE *stream)
{
    if (options != 0) {
        return EINVAL; /* as glibc has it */
    }
    struct totals totals = totals_read();
    int written =
        fprintf(stream,
                "<malloc version=\"1\">\n"
                "<heap nr=\"0\">\n"
                "<total type=\"fast\" count=\"%zu\" size=\"%zu\"/>\n"
                "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n"
                "<system type=\"current\" size=\"%zu\"/>\n"
                "</heap>\n"
                "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n"
                "<aspace type=\"1g\" size=\"%zu\"/>\n"
                "<aspace type=\"2m\" size=\"%zu\"/>\n"
                "<aspace type=\"thp\" size=\"%zu\"/>\n"
                "<aspace type=\"ordinary\" size=\"%zu\"/>\n"
                "<aspace type=\"resting\" size=\"%zu\"/>\n"
                "</malloc>\n",
                totals.free_slots, totals.free_bytes, totals.large_count, totals.large_bytes,
                totals.page_bytes + totals.large_bytes + totals.dirty_bytes,
                totals.dirty_bytes / HAK_PAGE_BYTES, totals.dirty_bytes,
                backed_bytes(HAK_BACKED_GIGANTIC), backed_bytes(HAK_BACKED_HUGETLB),
                backed_bytes(HAK_BACKED_THP), backed_bytes(HAK_BACKED_SMALL), totals.rest_bytes);
    return written < 0 ? -1 : 0;
}
