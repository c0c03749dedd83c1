/*
 * large: runs of page slots.
 */
#include "segment/large.h"

#include <string.h>

#include "segment/os.h"
#include "segment/page.h"
#include "segment/purge.h"

/* From this size on, moving page tables is cheaper than copying. */
#define MOVE_MIN_BYTES HAK_MIB
/* Segments with moved pages, at most: each may split mappings, and vm.max_map_count is 65530. */
#define MOVED_SEGMENTS_MAX 8192
/* A block that must move gets this share of its size on top, so that growing in steps rarely moves.
 * The pages are address space until they are touched. */
#define GROWTH_SHARE 4

static size_t pages_of(size_t bytes)
{
    return (hak_max(bytes, 1) + HAK_PAGE_BYTES - 1) >> HAK_PAGE_SHIFT;
}

void *hak_large_alloc(size_t bytes, size_t alignment)
{
    if (bytes > PTRDIFF_MAX || alignment > PTRDIFF_MAX / 2) {
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
    if (page_idx == HAK_NO_PAGE) {
        return NULL;
    }
    struct hak_page *page = hak_page_at(page_idx);
    page->span_pages = (uint32_t)count;
    page->back = 0;
    hak_region_set(page_idx, 1, HAK_TAG_LARGE);
    hak_purge_bound(count - hak_pages_dirty(page_idx, count));
    return hak_region_page_start(page_idx);
}

static struct hak_page *large_page(const void *block)
{
    return hak_page_at(hak_region_page_idx(block));
}

/* `block` is in the arena, but no block starts there: say what it is, as far as can be known. */
static _Noreturn void large_bad_free(const void *block)
{
    size_t page_idx = hak_region_page_idx(block);
    for (size_t at = page_idx + 1; at-- > 0;) {
        if (hak_region_tag(at) == HAK_TAG_LARGE) {
            if (page_idx - at < hak_page_at(at)->span_pages) {
                hak_fatal("hakmem: free of a pointer inside a block");
            }
            break;
        }
    }
    hak_fatal("hakmem: free of a block that is already free");
}

void hak_large_free(void *block)
{
    size_t page_idx = hak_region_page_idx(block);
    size_t count = hak_page_at(page_idx)->span_pages;
    if ((uintptr_t)block % HAK_PAGE_BYTES != 0 || !hak_region_clear_large(page_idx)) {
        large_bad_free(block);
    }
    hak_pages_release(page_idx, count, true);
    (void)hak_purge_poll();
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
        if (!hak_pages_claim_at(page_idx + old, new - old)) {
            return false;
        }
        page->span_pages = (uint32_t) new;
    } else if (new < old - old / GROWTH_SHARE) {
        page->span_pages = (uint32_t) new;
        hak_pages_release(page_idx + new, old - new, true);
    }
    return true;
}

/* Moves page tables from one held run to another. False: nothing has moved. */
static bool run_move(void *from, void *to, size_t bytes)
{
    size_t first = hak_region_page_idx(to) / HAK_SEGMENT_PAGES;
    size_t last = hak_region_page_idx((char *)to + bytes - 1) / HAK_SEGMENT_PAGES;
    if (bytes < MOVE_MIN_BYTES || hak_segments_moved() + (last - first + 1) > MOVED_SEGMENTS_MAX ||
        !hak_os_move(from, to, bytes)) {
        return false;
    }
    for (size_t i = first; i <= last; i++) {
        hak_segment_moved(i, true);
    }
    hak_pages_clean(hak_region_page_idx(from), bytes >> HAK_PAGE_SHIFT);
    return true;
}

void *hak_large_move(void *block, size_t bytes)
{
    size_t old = large_page(block)->span_pages;
    size_t old_bytes = old << HAK_PAGE_SHIFT;
    size_t more = bytes / GROWTH_SHARE;
    char *new = NULL;
    if (bytes <= PTRDIFF_MAX - more) {
        new = hak_large_alloc(bytes + more, HAK_PAGE_BYTES);
    }
    if (new == NULL && (new = hak_large_alloc(bytes, HAK_PAGE_BYTES)) == NULL) {
        return NULL;
    }
    bool moved = run_move(block, new, old_bytes);
    if (!moved) {
        memcpy(new, block, old_bytes);
    }
    size_t page_idx = hak_region_page_idx(block);
    HAK_CHECK(hak_region_clear_large(page_idx), "hakmem: free of a block that is already free");
    hak_pages_release(page_idx, old, !moved);
    return new;
}

void hak_large_clear(void *block, size_t bytes)
{
    size_t page_idx = hak_region_page_idx(block);
    for (size_t done = 0; done < bytes; done += HAK_PAGE_BYTES, page_idx++) {
        if (hak_pages_dirty(page_idx, 1) != 0) {
            memset((char *)block + done, 0, hak_min(bytes - done, HAK_PAGE_BYTES));
        }
    }
}
