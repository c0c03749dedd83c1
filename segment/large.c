/*
 * large: runs of page slots.
 */
#include "segment/large.h"

#include <string.h>

#include "hak_probe.h"
#include "segment/huge.h"
#include "segment/os.h"
#include "segment/page.h"
#include "segment/purge.h"

/* From this size on, moving page tables is cheaper than copying. */
#define MOVE_MIN_BYTES HAK_MIB
/* Segments with moved pages, at most: each may split mappings, and vm.max_map_count is 65530. */
#define MOVED_SEGMENTS_MAX 8192
/* From this size on, giving memory back and taking faults for what is used beats clearing it. */
#define CLEAR_PURGE_BYTES (4 * HAK_MIB)
/* A block that must move gets this share of its size on top, so that growing in steps rarely moves.
 * The pages are address space until they are touched. */
#define GROWTH_SHARE 4

static size_t pages_of(size_t bytes)
{
    return (hak_max(bytes, 1) + HAK_PAGE_BYTES - 1) >> HAK_PAGE_SHIFT;
}

void *hak_large_alloc(size_t bytes, size_t alignment)
{
    if (!hak_large_fits(bytes, alignment)) {
        return NULL;
    }
    size_t count = pages_of(bytes);
    size_t page_idx;
    if (count <= HAK_SEGMENT_PAGES && alignment <= HAK_SEGMENT_BYTES) {
        page_idx = hak_pages_claim(HAK_POOL_LARGE, count, alignment >> HAK_PAGE_SHIFT);
    } else {
        size_t align_segments = hak_max(alignment >> HAK_SEGMENT_SHIFT, 1);
        page_idx = hak_pages_claim_long(count, align_segments);
    }
    if (page_idx == HAK_NO_PAGE || !hak_purge_keeps_limit(page_idx, count)) {
        return NULL;
    }
    struct hak_page *page = hak_page_at(page_idx);
    page->span_pages = (uint32_t)count;
    page->pieces = 0;
    page->one_mapping = hak_pages_moved(page_idx, count) == 0 && hak_pages_alike(page_idx, count);
    hak_region_set(page_idx, 1, HAK_TAG_LARGE);
    hak_purge_bound(count - hak_pages_dirty(page_idx, count));
    HAK_PROBE2(large_alloc, hak_region_page_start(page_idx), count * HAK_PAGE_BYTES);
    return hak_region_page_start(page_idx);
}

static struct hak_page *large_page(const void *block)
{
    return hak_page_at(hak_region_page_idx(block));
}

bool hak_large_holds(const void *address)
{
    size_t page_idx = hak_region_page_idx(address), at = page_idx;
    while (at > 0 && hak_region_tag(at) != HAK_TAG_LARGE) {
        at--;
    }
    return hak_region_tag(at) == HAK_TAG_LARGE && page_idx - at < hak_page_at(at)->span_pages;
}

void hak_large_free(void *block)
{
    size_t page_idx = hak_region_page_idx(block);
    size_t count = hak_page_at(page_idx)->span_pages;
    if ((uintptr_t)block % HAK_PAGE_BYTES != 0 || !hak_region_clear_large(page_idx)) {
        hak_fatal(hak_large_holds(block) ? "hakmem: free of a pointer inside a block"
                                         : "hakmem: free of a block that is already free");
    }
    HAK_PROBE2(large_free, block, count * HAK_PAGE_BYTES);
    hak_pages_release(page_idx, count, true);
}

size_t hak_large_bytes(const void *block)
{
    return (size_t)large_page(block)->span_pages << HAK_PAGE_SHIFT;
}

bool hak_large_resize(void *block, size_t bytes)
{
    struct hak_page *page = large_page(block);
    size_t page_idx = hak_page_idx(page);
    size_t old = page->span_pages;
    size_t new = pages_of(bytes);
    if (new > old) {
        if (!hak_pages_claim_at(page_idx + old, new - old) ||
            !hak_purge_keeps_limit(page_idx + old, new - old)) {
            return false;
        }
        page->span_pages = (uint32_t) new;
        page->one_mapping = page->one_mapping && hak_pages_moved(page_idx + old, new - old) == 0 &&
                            hak_pages_alike(page_idx, new);
    } else if (new < old - old / GROWTH_SHARE) {
        page->span_pages = (uint32_t) new;
        for (size_t i = 0; i < page->pieces; i++) {
            page->piece_ends[i] = (uint32_t)hak_min(page->piece_ends[i], new);
        }
        hak_pages_release(page_idx + new, old - new, true);
    }
    return true;
}

enum transfer { ALL_MOVED, COPIED, PLACE_LOST };

static void pages_mark_moved(size_t page_idx, size_t count)
{
    size_t last = (page_idx + count - 1) / HAK_SEGMENT_PAGES;
    for (size_t i = page_idx / HAK_SEGMENT_PAGES; i <= last; i++) {
        hak_segment_moved(i, true);
    }
}

/*
 * Moves a block's pages piece by piece, each one mapping, and notes the pieces at the new place.
 * `moved` receives how many of `count` pages have moved: all, or those before a piece that could
 * not be. False: that piece's place is a hole now.
 */
static bool pieces_move(struct hak_page *from, struct hak_page *to, size_t count, size_t *moved)
{
    *moved = 0;
    for (size_t i = 0; i <= from->pieces && *moved < count; i++) {
        size_t end = i < from->pieces ? hak_min(from->piece_ends[i], count) : count;
        if (end <= *moved) {
            continue;
        }
        size_t skip_bytes = *moved << HAK_PAGE_SHIFT;
        enum hak_os_moved result =
            hak_os_move(hak_page_start(from) + skip_bytes, hak_page_start(to) + skip_bytes,
                        (end - *moved) << HAK_PAGE_SHIFT);
        if (result != HAK_OS_MOVED) {
            return result == HAK_OS_KEPT;
        }
        *moved = end;
        to->piece_ends[to->pieces++] = (uint32_t)end;
    }
    return true;
}

/* Brings the contents of a block to its new place: by page tables if it is large and its mappings
 * are known, else by copying. */
static enum transfer block_transfer(struct hak_page *from, struct hak_page *to, size_t count)
{
    size_t moved = 0;
    if (count << HAK_PAGE_SHIFT >= MOVE_MIN_BYTES && from->one_mapping &&
        from->pieces < HAK_PIECES && !hak_pages_pooled(hak_page_idx(to), count) &&
        hak_segments_moved() + count / HAK_SEGMENT_PAGES + 2 <= MOVED_SEGMENTS_MAX) {
        bool sound = pieces_move(from, to, count, &moved);
        if (moved != 0) {
            pages_mark_moved(hak_page_idx(to), moved);
        }
        if (!sound) {
            memcpy(hak_page_start(from), hak_page_start(to), moved << HAK_PAGE_SHIFT); /* back */
            return PLACE_LOST;
        }
    }
    if (moved == count) {
        hak_pages_clean(hak_page_idx(from), count);
        return ALL_MOVED;
    }
    size_t skip_bytes = moved << HAK_PAGE_SHIFT;
    memcpy(hak_page_start(to) + skip_bytes, hak_page_start(from) + skip_bytes,
           (count - moved) << HAK_PAGE_SHIFT);
    return COPIED;
}

void *hak_large_move(void *block, size_t bytes)
{
    struct hak_page *from = large_page(block);
    size_t old = from->span_pages;
    size_t more = bytes / GROWTH_SHARE;
    char *new = bytes <= PTRDIFF_MAX - more ? hak_large_alloc(bytes + more, HAK_PAGE_BYTES) : NULL;
    if (new == NULL && (new = hak_large_alloc(bytes, HAK_PAGE_BYTES)) == NULL) {
        return NULL;
    }
    enum transfer transfer = block_transfer(from, large_page(new), old);
    if (transfer == PLACE_LOST) {
        return NULL; /* the new pages may be unmapped: nobody gets them any more */
    }
    size_t page_idx = hak_region_page_idx(block);
    HAK_CHECK(hak_region_clear_large(page_idx), "hakmem: free of a block that is already free");
    hak_pages_release(page_idx, old, transfer == COPIED);
    return new;
}

bool hak_large_fits(size_t bytes, size_t alignment)
{
    size_t arena_bytes = hak_arena.max_segments * HAK_SEGMENT_BYTES;
    return bytes <= arena_bytes && alignment <= arena_bytes;
}

void hak_large_clear(void *block, size_t bytes)
{
    size_t page_idx = hak_region_page_idx(block);
    size_t count = pages_of(bytes);
    if (bytes >= CLEAR_PURGE_BYTES && !hak_pages_pooled(page_idx, count) &&
        hak_os_purge(block, count << HAK_PAGE_SHIFT)) {
        hak_pages_clean(page_idx, count);
        return;
    }
    for (size_t done = 0; done < bytes; done += HAK_PAGE_BYTES, page_idx++) {
        if (hak_pages_dirty(page_idx, 1) != 0) {
            memset((char *)block + done, 0, hak_min(bytes - done, HAK_PAGE_BYTES));
        }
    }
}
