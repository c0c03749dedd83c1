/*
 * stats: counts what there is.
 *
 *   hak_stats_read → page_add        slots and free ones, by their pages' tags
 *                  → heaps_add       what went which way, by heap and bin
 *                  → own_add         what this thread has at hand; or, in a hardened process,
 *                    locks_add       how often its locks were taken
 *                  → class_finish    the difference of those is live, or on its way home
 */
#include "front/observe/stats.h"

#include "front/harden/pen.h"
#include "front/tag.h"
#include "segment/os.h"

/* Of a page's descriptor only what is atomic is read: the page may change meanwhile. */
static void page_add(struct hak_stats *stats, size_t page_idx, bool hardened)
{
    uintptr_t tag = hak_region_tag(page_idx);
    const struct hak_page *page = hak_page_at(page_idx);
    /* relaxed: a figure. */
    if (tag == HAK_TAG_NONE ||
        (tag >= HAK_TAG_BINS && atomic_load_explicit(&page->back, memory_order_relaxed) != 0)) {
        return;
    }
    size_t resting_bytes = hardened ? hak_harden_resting_bytes(page_idx) : 0;
    if (tag == HAK_TAG_LARGE) {
        stats->memory.large_blocks += resting_bytes == 0;
        stats->memory.retired_bytes += resting_bytes;
        return;
    }
    size_t bin_idx = hak_tag_bin(tag);
    const struct hak_geometry *geometry = &hak_classes[bin_idx].geometry;
    if (resting_bytes == geometry->span_pages * HAK_PAGE_BYTES) {
        stats->memory.retired_bytes += resting_bytes;
    } else {
        struct hak_class_stats *class = &stats->classes[bin_idx];
        size_t slots = geometry->slots - (size_t)hardened;
        class->pages++;
        class->slots += slots; /* slot 0 of a hardened page is never handed out */
        class->free += hak_min(hak_page_free_count(page), slots);
        class->resting += resting_bytes / geometry->slot_bytes;
        stats->memory.page_bytes += geometry->span_pages * HAK_PAGE_BYTES;
    }
}

static void heaps_add(struct hak_stats *stats)
{
    const struct hak_heap *self = hak_heap_self;
    for (const struct hak_heap *heap = hak_heap_first(); heap != NULL; heap = heap->next) {
        /* relaxed: a figure. */
        uint32_t state = atomic_load_explicit(&heap->state, memory_order_relaxed);
        stats->heaps[state]++;
        if (heap != self && state != HAK_HEAP_ORPHAN && state != HAK_HEAP_ORPHAN_HELD) {
            stats->memory.elsewhere_max_bytes += hak_figure(&heap->magazine_bytes);
        }
        for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
            const struct hak_tally *tally = &heap->shelves[bin_idx].tally;
            struct hak_class_stats *class = &stats->classes[bin_idx];
            class->refills += hak_figure(&tally->refills);
            class->flushes += hak_figure(&tally->flushes);
            class->taken += hak_figure(&tally->taken);
            class->given += hak_figure(&tally->given);
            class->remote += hak_figure(&tally->remote);
        }
    }
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        stats->classes[bin_idx].remote += hak_figure(&hak_remote_now[bin_idx]);
    }
}

/* The magazines of this thread's heap, and its table of other heaps' blocks. */
static void own_add(struct hak_stats *stats)
{
    const struct hak_heap *heap = hak_heap_self;
    if (!hak_heap_is_real(heap)) {
        return;
    }
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        stats->classes[bin_idx].cached = hak_heap_cached(heap, bin_idx);
    }
    for (size_t i = 0; i < HAK_REMOTE_ENTRIES; i++) {
        uintptr_t key = heap->remote[i].key;
        if (key != 0) {
            const struct hak_page *page = (const struct hak_page *)(key & ~(uintptr_t)63);
            stats->classes[page->bin_idx].returning += hak_popcount(heap->remote[i].bits);
        }
    }
}

static void lock_add(struct hak_stats *stats, const struct hak_lock *lock, enum hak_count takes)
{
    stats->counts[takes] += hak_figure(&lock->takes);
    stats->counts[takes + 1] += hak_figure(&lock->waits);
}

/* How often the locks of a hardened process were taken. */
static void locks_add(struct hak_stats *stats)
{
    lock_add(stats, hak_fence_lock_of(), HAK_COUNT_FENCE_TAKES);
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        lock_add(stats, &hak_pens[bin_idx].lock, HAK_COUNT_PEN_TAKES);
    }
}

/* Takes at most so much off a figure that was counted at another moment; returns what it took. */
static uint64_t take_off(uint64_t *figure, uint64_t count)
{
    count = hak_min(count, *figure);
    *figure -= count;
    return count;
}

static void class_finish(struct hak_stats *stats, size_t bin_idx, bool hardened)
{
    struct hak_class_stats *class = &stats->classes[bin_idx];
    size_t slot_bytes = hak_classes[bin_idx].geometry.slot_bytes;
    uint64_t left = class->slots - class->free;
    uint64_t held = class->taken - hak_min(class->taken, class->given + class->remote);
    class->live = hardened ? left : hak_min(left, held);
    left -= class->live; /* freed to a page that has not collected it */
    class->cached = take_off(&class->live, class->cached);
    class->returning = take_off(&class->live, class->returning) + left;
    class->resting = take_off(&class->live, class->resting);
    uint64_t free_slots = class->slots - class->live - class->resting;
    stats->memory.used_bytes += class->live * slot_bytes;
    stats->memory.free_slots += free_slots;
    stats->memory.free_bytes += free_slots * slot_bytes;
    stats->memory.resting_bytes += class->resting * slot_bytes;
}

static void segments_add(struct hak_stats *stats)
{
    size_t segments = hak_arena_end();
    for (size_t i = 0; i < segments; i++) {
        enum hak_pool pool;
        uint32_t taken = hak_segment_taken(i, &pool);
        stats->segments[pool]++;
        stats->taken_pages[pool] += hak_popcount(taken);
    }
    for (enum hak_backing backing = 0; backing < HAK_BACKINGS; backing++) {
        stats->backed_bytes[backing] = hak_huge_count(backing) * HAK_SEGMENT_BYTES;
    }
}

static void memory_add(struct hak_stats *stats)
{
    size_t taken_bytes = hak_taken_bytes();
    stats->memory.large_bytes = taken_bytes - hak_min(stats->memory.page_bytes, taken_bytes);
    stats->memory.used_bytes += stats->memory.large_bytes;
    stats->memory.dirty_bytes = hak_dirty_bytes();
    stats->memory.record_bytes = hak_meta_used_bytes();
    stats->memory.limit_bytes = hak_arena.config.limit_bytes;
    stats->memory.reserved_bytes = hak_arena.max_segments * HAK_SEGMENT_BYTES;
    stats->memory.committed_bytes = hak_arena_committed() * HAK_SEGMENT_BYTES;
    stats->memory.pinned_bytes = hak_huge_pinned_bytes();
    stats->memory.spilled_bytes = hak_huge_spilled() * HAK_SEGMENT_BYTES;
    if (stats->backed_bytes[HAK_BACKED_THP] != 0) { /* asking takes the kernel its time */
        stats->memory.thp_bytes = hak_os_huge_advised_bytes();
    }
}

void hak_stats_read(struct hak_stats *stats)
{
    /* acquire: pairs with hak_harden_init(). */
    bool hardened = atomic_load_explicit(&hak_hardened, memory_order_acquire);
    size_t pages = hak_region_pages();
    memset(stats, 0, sizeof *stats);
    for (size_t i = 0; i < HAK_COUNTS; i++) {
        stats->counts[i] = hak_figure(&hak_counts[i]);
    }
    for (size_t page_idx = 0; page_idx < pages; page_idx++) {
        page_add(stats, page_idx, hardened);
    }
    heaps_add(stats);
    if (hardened) {
        locks_add(stats);
    } else {
        own_add(stats);
    }
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        class_finish(stats, bin_idx, hardened);
    }
    segments_add(stats);
    memory_add(stats);
}
