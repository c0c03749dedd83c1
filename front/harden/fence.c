/*
 * fence: large blocks of a hardened process, and pages that cannot be touched.
 *
 *     pages of the run:   | lead: no access | canary | bytes asked for | canary | fence: no access
 * | start                      block             block + size
 *
 * The block ends where the fence begins, as nearly as its alignment lets it: what is written, or
 * read, behind it is stopped at once, and what is written in front of it is seen at the free. A
 * freed block is all fence until it has rested: HAK_REST_TAKES large allocations, or until too much
 * address space is at rest. A new block is zero, as the pages of a run are made to be.
 *
 * A block that had to move to grow has a quarter more behind it, closed until it grows there.
 * Pages of a run that are closed and have no memory do not count as taken.
 */
#include "front/harden/inside.h"
#include "segment/large.h"
#include "segment/purge.h"

/* A block starts in the first page of its run, so there is no lead before a larger alignment. */
#define LEAD_BYTES_MAX (HAK_PAGE_BYTES / 2)
/* Every fence may split a mapping in two, and vm.max_map_count is 65530. */
#define FENCES_MAX 16384
/* Share of the arena that freed blocks may keep. */
#define RESTING_SHARE 8

/* What is known about a large block; its page's descriptor leads here. */
struct fence {
    size_t asked_bytes;    /* [lock] */
    uint32_t lead_bytes;   /* [lock] of pages before the block that cannot be touched */
    uint32_t front_bytes;  /* [lock] of those and of canary before the block */
    uint64_t freed_at;     /* [lock] takes when it was freed */
    struct fence *next;    /* [lock] freed after it */
    struct hak_page *page; /* [lock] the first one */
    uint32_t idle_pages;   /* [lock] last ones of the run that do not count as taken */
    uint8_t fences;        /* [lock] ranges of the run that cannot be touched */
    bool freed;            /* [lock] or about to be, or resized */
};

static struct {
    HAK_CACHE_ALIGNED
    struct hak_lock lock;
    struct fence *oldest, *newest; /* [lock] freed blocks */
    size_t resting_bytes;          /* [lock] of those, whole runs */
    uint64_t takes;                /* [lock] blocks handed out */
    struct hak_meta_pool meta;     /* [lock] */
} yard;

static _Atomic(size_t) fences; /* [any, atomic] ranges that cannot be touched */

const struct hak_lock *hak_fence_lock_of(void)
{
    return &yard.lock;
}

static size_t fences_add(size_t count)
{
    /* relaxed: a bound that may be missed by a few; wrap-around subtracts. */
    return atomic_fetch_add_explicit(&fences, count, memory_order_relaxed);
}

bool hak_fence_close(void *start, size_t bytes)
{
    if (fences_add(1) < FENCES_MAX && hak_os_hide(start, bytes)) {
        return true;
    }
    (void)fences_add(SIZE_MAX);
    return false;
}

bool hak_fence_open(void *start, size_t bytes)
{
    if (!hak_os_commit(start, bytes)) {
        return false;
    }
    (void)fences_add(SIZE_MAX);
    return true;
}

static char *run_start(const struct fence *fence)
{
    return hak_page_start(fence->page);
}

static size_t run_bytes(const struct fence *fence)
{
    return fence->page->span_pages * HAK_PAGE_BYTES;
}

static char *block_start(const struct fence *fence)
{
    return run_start(fence) + fence->front_bytes;
}

/* Where the canary behind the block ends. */
static char *block_end(const struct fence *fence)
{
    uintptr_t end = (uintptr_t)block_start(fence) + fence->asked_bytes;
    return (char *)hak_align_up(end, hak_os_page_bytes());
}

static uint64_t canary_of(const struct fence *fence)
{
    return hak_canary_of(run_start(fence));
}

static char *run_end(const struct fence *fence)
{
    return run_start(fence) + run_bytes(fence);
}

/* Pages of the run behind that with the block's end. */
static size_t pages_behind(const struct fence *fence)
{
    return (size_t)(run_end(fence) - block_end(fence)) / HAK_PAGE_BYTES;
}

/* From now on so many of the last pages have no memory, if nobody can touch them. */
static void run_idle(struct fence *fence, size_t pages)
{
    pages = fence->fences != 0 ? pages : 0;
    hak_pages_uncount(pages - fence->idle_pages);
    fence->idle_pages = (uint32_t)pages;
}

/* ---- rest ---- */

/* The oldest freed block leaves. False: there is none, or the kernel refuses. */
static bool oldest_release(void)
{
    struct fence *fence = yard.oldest;
    if (fence == NULL ||
        (fence->fences != 0 && !hak_os_commit(run_start(fence), run_bytes(fence)))) {
        return false;
    }
    size_t page_idx = hak_page_idx(fence->page), count = fence->page->span_pages;
    bool dirty = fence->idle_pages != count;
    (void)fences_add((size_t)0 - fence->fences);
    run_idle(fence, 0);
    yard.oldest = fence->next;
    yard.resting_bytes -= run_bytes(fence);
    fence->page->notes = NULL;
    (void)hak_region_clear_large(page_idx);
    hak_pages_release(page_idx, count, dirty);
    hak_meta_give(&yard.meta, fence, sizeof *fence);
    return true;
}

static void yard_tidy(void)
{
    size_t bytes_max = hak_arena.max_segments * HAK_SEGMENT_BYTES / RESTING_SHARE;
    while (yard.oldest != NULL && (yard.takes - yard.oldest->freed_at > HAK_REST_TAKES ||
                                   yard.resting_bytes > bytes_max)) {
        if (!oldest_release()) {
            break;
        }
    }
}

void hak_fence_release_all(void)
{
    hak_lock_take(&yard.lock);
    while (oldest_release()) {
    }
    hak_lock_drop(&yard.lock);
}

/* ---- a block ---- */

/* With room behind if that can be had. */
static char *run_alloc(size_t bytes, size_t room, size_t alignment)
{
    char *start = room == 0 ? NULL : hak_large_alloc(bytes + room, alignment);
    if (start == NULL) {
        start = hak_large_alloc(bytes, alignment);
    }
    for (int pass = 0; start == NULL && pass < 2 && hak_large_fits(bytes, alignment); pass++) {
        (void)hak_harden_let_go(pass == 0 ? 0 : bytes);
        start = hak_large_alloc(bytes, alignment);
    }
    return start;
}

void *hak_fence_take(size_t size, size_t alignment, size_t room)
{
    size_t os_page = hak_os_page_bytes();
    if (size > PTRDIFF_MAX - 2 * os_page) {
        return NULL;
    }
    size_t lead_bytes = hak_max(alignment, os_page);
    lead_bytes = lead_bytes <= LEAD_BYTES_MAX ? lead_bytes : 0;
    char *start = run_alloc(lead_bytes + hak_align_up(size, os_page) + os_page, room,
                            hak_max(alignment, HAK_PAGE_BYTES));
    if (start == NULL) {
        return NULL;
    }
    hak_lock_take(&yard.lock);
    struct fence *fence = hak_meta_take(&yard.meta, sizeof *fence);
    if (fence == NULL) {
        hak_large_free(start);
        hak_lock_drop(&yard.lock);
        return NULL;
    }
    fence->page = hak_page_at(hak_region_page_idx(start));
    hak_harden_clear(hak_page_idx(fence->page), fence->page->span_pages);
    fence->asked_bytes = size;
    fence->lead_bytes = (uint32_t)lead_bytes;
    size_t spare_bytes = hak_align_up(size, os_page) - size;
    fence->front_bytes =
        (uint32_t)(lead_bytes + hak_align_down(spare_bytes, hak_max(alignment, HAK_GRAIN)));
    char *end = block_end(fence);
    fence->fences = hak_fence_close(end, (size_t)(run_end(fence) - end));
    fence->fences += lead_bytes != 0 && hak_fence_close(start, lead_bytes);
    size_t behind = pages_behind(fence);
    if (hak_pages_dirty(hak_region_page_idx(run_end(fence)) - behind, behind) == 0) {
        run_idle(fence, behind);
    }
    hak_canary_fill(start + lead_bytes, block_start(fence), canary_of(fence));
    hak_canary_fill(block_start(fence) + size, end, canary_of(fence));
    hak_lock_order();
    fence->page->notes = fence;
    yard.takes++;
    yard_tidy();
    hak_lock_drop(&yard.lock);
    return block_start(fence);
}

/* What an address is that no block starts at: inside of one, or of a freed one, or nothing. */
static _Noreturn void fence_refuse(const char *address, enum hak_use use)
{
    hak_harden_refuse(use, hak_large_holds(address) ? HAK_FAULT_INSIDE : HAK_FAULT_NO_BLOCK);
}

/* The live block at an address. The lock is held. */
static struct fence *fence_find(const char *block, enum hak_use use)
{
    size_t page_idx = hak_region_page_idx(block);
    struct fence *fence = NULL;
    if (hak_region_tag(page_idx) == HAK_TAG_LARGE) {
        fence = hak_page_at(page_idx)->notes;
    }
    if (fence == NULL || block != block_start(fence)) {
        fence_refuse(block, use);
    }
    if (fence->freed) {
        hak_harden_refuse(use, HAK_FAULT_FREED);
    }
    return fence;
}

/* Stops if somebody wrote behind a live block, or in front of it. */
static void fence_verify(const struct fence *fence)
{
    const char *behind = block_start(fence) + fence->asked_bytes;
    HAK_CHECK(hak_canary_holds(behind, block_end(fence), canary_of(fence)), HAK_MESSAGE_PAST_END);
    HAK_CHECK(hak_canary_holds(run_start(fence) + fence->lead_bytes, block_start(fence),
                               canary_of(fence)),
              HAK_MESSAGE_BEFORE);
}

/* The live block at an address, which nobody has until this is over: neither has a child that is
 * forked meanwhile. The lock is held. */
static struct fence *fence_claim(const char *block, enum hak_use use)
{
    struct fence *fence = fence_find(block, use);
    fence_verify(fence);
    fence->freed = true;
    hak_lock_order();
    return fence;
}

void hak_fence_give(char *block)
{
    hak_lock_take(&yard.lock);
    struct fence *fence = fence_claim(block, HAK_USE_FREE);
    char *start = run_start(fence);
    char *from = start + fence->lead_bytes;
    bool purged = hak_os_purge(from, (size_t)(run_end(fence) - from));
    if (!purged) {
        memset(from, 0, (size_t)(block_end(fence) - from));
    }
    if (fence->fences != 0) {
        (void)hak_os_hide(start, run_bytes(fence));
    } else {
        fence->fences = hak_fence_close(start, run_bytes(fence));
    }
    run_idle(fence, purged ? fence->page->span_pages : 0);
    fence->freed_at = yard.takes;
    fence->next = NULL;
    *(yard.oldest != NULL ? &yard.newest->next : &yard.oldest) = fence;
    yard.newest = fence;
    yard.resting_bytes += run_bytes(fence);
    yard_tidy();
    hak_lock_drop(&yard.lock);
    (void)hak_purge_poll();
}

/* Moves the canary behind a block, and the fence, as far as its run has room. False: it has none,
 * the limit is in the way, or the kernel. */
static bool fence_move(struct fence *fence, size_t size)
{
    char *old_end = block_end(fence);
    char *old_behind = block_start(fence) + fence->asked_bytes;
    size_t old_bytes = fence->asked_bytes, old_idle = fence->idle_pages;
    if (size > (size_t)(run_end(fence) - block_start(fence)) - hak_os_page_bytes()) {
        return false;
    }
    fence->asked_bytes = size;
    char *end = block_end(fence);
    char *behind = block_start(fence) + size;
    run_idle(fence, hak_min(old_idle, pages_behind(fence)));
    if (end > old_end && ((fence->idle_pages != old_idle && !hak_purge_to_limit()) ||
                          !hak_os_commit(old_end, (size_t)(end - old_end)))) {
        fence->asked_bytes = old_bytes;
        run_idle(fence, old_idle);
        return false;
    }
    if (end < old_end) {
        if (hak_os_purge(end, (size_t)(run_end(fence) - end))) {
            run_idle(fence, pages_behind(fence));
        } else {
            memset(end, 0, (size_t)(old_end - end));
        }
        (void)(fence->fences != 0 && hak_os_hide(end, (size_t)(old_end - end)));
    }
    if (behind > old_behind) {
        memset(old_behind, 0, hak_min((size_t)(old_end - old_behind), size - old_bytes));
    }
    hak_canary_fill(behind, end, canary_of(fence));
    return true;
}

bool hak_fence_resize(char *block, size_t size, size_t *old_bytes, bool must)
{
    hak_lock_take(&yard.lock);
    struct fence *fence = fence_claim(block, HAK_USE_REALLOC);
    *old_bytes = fence->asked_bytes;
    bool same_kind = (size == 0) == (*old_bytes == 0);
    bool worth = must || size >= hak_min(*old_bytes, run_bytes(fence) / 2);
    bool stays = same_kind && worth && fence_move(fence, size);
    hak_lock_order();
    fence->freed = false;
    hak_lock_drop(&yard.lock);
    return stays;
}

size_t hak_fence_size(const char *block, enum hak_use use)
{
    hak_lock_take(&yard.lock);
    size_t bytes = fence_find(block, use)->asked_bytes;
    hak_lock_drop(&yard.lock);
    return bytes;
}

size_t hak_fence_resting_bytes(const struct hak_page *page)
{
    hak_lock_take(&yard.lock);
    bool is_large = hak_region_tag(hak_page_idx(page)) == HAK_TAG_LARGE; /* still */
    const struct fence *fence = is_large ? page->notes : NULL;
    size_t bytes = fence != NULL && fence->freed ? run_bytes(fence) : 0;
    hak_lock_drop(&yard.lock);
    return bytes;
}

bool hak_fence_look(size_t page_idx, void **block, size_t *bytes, size_t *all_bytes)
{
    hak_lock_take(&yard.lock);
    const struct fence *fence = hak_page_at(page_idx)->notes;
    bool live = hak_region_tag(page_idx) == HAK_TAG_LARGE && fence != NULL && !fence->freed;
    if (live) {
        *block = block_start(fence);
        *bytes = fence->asked_bytes;
        *all_bytes = run_bytes(fence);
    }
    hak_lock_drop(&yard.lock);
    return live;
}

void hak_fence_check(size_t page_idx)
{
    hak_lock_take(&yard.lock); /* tags of large blocks are cleared under it */
    const struct fence *fence = hak_page_at(page_idx)->notes;
    if (hak_region_tag(page_idx) == HAK_TAG_LARGE && fence != NULL && !fence->freed) {
        fence_verify(fence);
    }
    hak_lock_drop(&yard.lock);
}

void hak_fence_settle(void)
{
    if (hak_lock_is_lost(&yard.lock)) {
        yard.oldest = NULL;
        yard.resting_bytes = 0;
        memset(&yard.meta, 0, sizeof yard.meta);
        hak_lock_order();
        hak_lock_recover(&yard.lock);
    }
}
