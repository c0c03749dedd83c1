/*
 * prof: which blocks are sampled, and what they stand for.
 */
#include "front/profile/inside.h"

#include <string.h>
#include <sys/auxv.h>

#include "front/harden/inside.h"
#include "front/layout.h"
#include "front/options.h"
#include "front/policy/magazine.h"
#include "front/policy/policy.h"
#include "front/profile/chance.h"
#include "segment/large.h"

/* How often malloc's slow path reads the clock. */
#define TAKES_A_POLL 16

size_t hak_bins_below;

static double mean_bytes;                /* [const after start] */
static uint64_t seed;                    /* [const after start] */
static struct hak_prof_site to_be_noted; /* of a sampled block that is not yet handed out */

/* How many blocks come before one that is sampled: of geometric distribution. */
static uint64_t draw(struct hak_prof *prof, size_t bin_idx)
{
    double slot_bytes = hak_classes[bin_idx].geometry.slot_bytes;
    return (uint64_t)(hak_chance_wait(&prof->random) * mean_bytes / slot_bytes);
}

/* ---- the heap ---- */

void hak_prof_start(void)
{
    uint64_t bytes[2] = {0, 0};
    if (hak_options.prof == 0) {
        return;
    }
    if (!HAK_LAYOUT_PROFILES || hak_options.harden != 0) {
        hak_options_say("HAKMEM_PROF", "1",
                        HAK_LAYOUT_PROFILES ? "is ignored in a hardened process"
                                            : "is ignored in the header mode");
        return;
    }
    uintptr_t at = getauxval(AT_RANDOM);
    if (at != 0) {
        memcpy(bytes, (const void *)at, sizeof bytes);
    }
    seed = hak_harden_random(&bytes[0]) + hak_harden_random(&bytes[1]);
    mean_bytes = (double)hak_options.prof_bytes;
    hak_prof_dump_start();
    hak_bins_below = HAK_BINS;
}

struct hak_heap *hak_prof_heap_on(void)
{
    char *record = hak_meta_new(HAK_PROF_HEAP_OFFSET + sizeof(struct hak_heap), HAK_HEAP_ALIGN);
    if (record == NULL) {
        return NULL;
    }
    struct hak_prof *prof = (struct hak_prof *)(void *)record;
    prof->random = seed + (uintptr_t)record;
    for (size_t i = 1; i < HAK_BINS; i++) {
        prof->left[i] = draw(prof, i);
    }
    return (struct hak_heap *)(void *)(record + HAK_PROF_HEAP_OFFSET);
}

void hak_prof_join_bin(struct hak_heap *heap, size_t bin_idx)
{
    struct hak_bin *bin = &heap->bins[bin_idx];
    hak_prof_of(heap)->left[bin_idx] -= hak_bin_join(bin, bin - HAK_BINS);
}

void hak_prof_split_bin(struct hak_heap *heap, size_t bin_idx)
{
    struct hak_bin *bin = &heap->bins[bin_idx];
    uint64_t left = hak_prof_of(heap)->left[bin_idx];
    hak_bin_split(bin, bin - HAK_BINS, hak_min(left, hak_bin_count(bin)));
}

/* ---- magazines ---- */

/* Where the policy leaves it open. */
#define PROFILED_CAPACITY 511
#define PROFILED_BYTES (256 * HAK_KIB)

bool hak_prof_grows(const struct hak_heap *heap, size_t bin_idx)
{
    size_t next = heap->shelves[bin_idx].capacity * (size_t)2 + 1;
    return hak_policy_capacity(heap->policy, bin_idx) == 0 && next <= PROFILED_CAPACITY &&
           next * hak_classes[bin_idx].geometry.slot_bytes <= PROFILED_BYTES &&
           hak_magazine_fits(heap, bin_idx, next);
}

bool hak_prof_is_low(const struct hak_heap *heap, size_t bin_idx)
{
    return hak_bin_count(&heap->bins[bin_idx]) < heap->shelves[bin_idx].capacity / 4u ||
           hak_prof_grows(heap, bin_idx);
}

bool hak_prof_is_high(const struct hak_heap *heap, size_t bin_idx)
{
    return hak_bin_count(&heap->bins[bin_idx]) > heap->shelves[bin_idx].capacity / 2u;
}

static size_t magazine_goal(const struct hak_heap *heap, size_t bin_idx)
{
    return hak_max(heap->shelves[bin_idx].capacity * (size_t)3 / 8, 1);
}

size_t hak_prof_wants(const struct hak_heap *heap, size_t bin_idx)
{
    size_t goal = magazine_goal(heap, bin_idx);
    return goal - hak_min(hak_bin_count(&heap->bins[bin_idx]), goal);
}

size_t hak_prof_spares(const struct hak_heap *heap, size_t bin_idx)
{
    size_t count = hak_bin_count(&heap->bins[bin_idx]);
    return count - hak_min(magazine_goal(heap, bin_idx), hak_max(count, 1) - 1);
}

/* ---- samples ---- */

/* What a sampled block is known by, in the descriptor of its first page, which a large block does
 * not use otherwise: blocks of bins have the bin's number there, others 0 and their pages. */
static void sample_mark(const void *block, struct hak_prof_site *site, size_t bin_idx)
{
    struct hak_page *page = hak_page_at(hak_region_page_idx(block));
    page->notes = site;
    page->bin_idx = (uint8_t)bin_idx;
    page->limit = page->span_pages;
}

static size_t sample_bytes(const struct hak_page *page)
{
    return page->bin_idx != 0 ? hak_classes[page->bin_idx].geometry.slot_bytes
                              : (size_t)page->limit << HAK_PAGE_SHIFT;
}

static void figures_add(_Atomic(uint64_t) *bytes, _Atomic(uint64_t) *objects, size_t block_bytes)
{
    double weight = 1 / hak_chance_of((double)block_bytes / mean_bytes);
    /* relaxed: figures. */
    (void)atomic_fetch_add_explicit(bytes, (uint64_t)((double)block_bytes * weight + 0.5),
                                    memory_order_relaxed);
    (void)atomic_fetch_add_explicit(objects, (uint64_t)(HAK_PROF_OBJECT * weight + 0.5),
                                    memory_order_relaxed);
}

static void sample_note(struct hak_heap *heap, const void *block, size_t bin_idx, const void *frame)
{
    struct hak_prof_site *site = hak_prof_site(heap, frame);
    sample_mark(block, site, bin_idx);
    figures_add(&site->taken_bytes, &site->taken_objects,
                sample_bytes(hak_page_at(hak_region_page_idx(block))));
}

void *hak_prof_take_on(struct hak_heap *heap, size_t bin_idx)
{
    struct hak_prof *prof = hak_prof_of(heap);
    hak_prof_join_bin(heap, bin_idx);
    if (prof->takes++ % TAKES_A_POLL == 0) {
        hak_prof_poll();
    }
    if (prof->left[bin_idx] != 0) {
        prof->left[bin_idx]--;
        return NULL;
    }
    prof->left[bin_idx] = draw(prof, bin_idx);
    void *block = hak_large_alloc(hak_classes[bin_idx].geometry.slot_bytes, HAK_PAGE_BYTES);
    if (block != NULL) {
        sample_mark(block, &to_be_noted, bin_idx);
        hak_prof_split_bin(heap, bin_idx);
    }
    return block;
}

void *hak_prof_retake_on(size_t bin_idx)
{
    struct hak_heap *heap = hak_heap_self;
    struct hak_bin *bin = &heap->bins[bin_idx];
    if (!hak_heap_is_real(heap) || heap->depth != 0) {
        return NULL;
    }
    hak_prof_join_bin(heap, bin_idx);
    uint64_t *left = &hak_prof_of(heap)->left[bin_idx];
    void *block = *left != 0 && !hak_magazine_is_low(heap, bin_idx) ? bin->first : NULL;
    if (block != NULL) {
        hak_bin_pop(bin);
        --*left;
    }
    hak_prof_split_bin(heap, bin_idx);
    return block;
}

/* The site of a block's descriptor; NULL: it is not sampled. */
static struct hak_prof_site *sample_site(const void *block)
{
    size_t page_idx = hak_region_page_idx(block);
    return (uintptr_t)block % HAK_PAGE_BYTES == 0 && hak_region_tag(page_idx) == HAK_TAG_LARGE
               ? hak_page_at(page_idx)->notes
               : NULL;
}

bool hak_prof_is_slot_on(const void *block, size_t *usable_bytes)
{
    const struct hak_page *page = hak_page_at(hak_region_page_idx(block));
    bool is_slot = sample_site(block) != NULL && page->bin_idx != 0;
    *usable_bytes = is_slot ? sample_bytes(page) : *usable_bytes;
    return is_slot;
}

void hak_prof_note_on(struct hak_heap *heap, const void *block, const void *frame)
{
    if (sample_site(block) == &to_be_noted) {
        sample_note(heap, block, hak_page_at(hak_region_page_idx(block))->bin_idx, frame);
    }
}

void hak_prof_note_large_on(struct hak_heap *heap, const void *block, const void *frame)
{
    if (hak_chance_wait(&hak_prof_of(heap)->random) * mean_bytes < (double)hak_large_bytes(block)) {
        sample_note(heap, block, 0, frame);
    }
}

void hak_prof_renew_on(const void *block, const void *frame)
{
    struct hak_heap *heap = hak_heap_enter();
    if (heap != NULL) {
        hak_prof_note_large(heap, block, frame);
        hak_heap_leave(heap);
    }
}

void hak_prof_lift_on(const void *block)
{
    struct hak_prof_site *site = sample_site(block);
    if (site != NULL) {
        struct hak_page *page = hak_page_at(hak_region_page_idx(block));
        figures_add(&site->freed_bytes, &site->freed_objects, sample_bytes(page));
        page->notes = NULL;
    }
}
