/*
 * api: the rest of the malloc family, over hak_malloc() and hak_free().
 *
 *   hak_realloc → in place where the slot or the pages behind it suffice
 *               → hak_large_move (mremap)          large to large
 *               → allocate, copy, free             else
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "front/harden/harden.h"
#include "front/layout.h"
#include "front/observe/guard.h"
#include "front/profile/prof.h"
#include "front/take.h"
#include "hakmem.h"
#include "segment/large.h"
#include "segment/os.h"

/* What lies at an address, for callers that hold a live block. */
enum block_kind { BLOCK_FOREIGN, BLOCK_SLOT, BLOCK_LARGE };

static enum block_kind block_look(const void *block, size_t *usable_bytes)
{
    size_t page_idx = hak_region_page_idx(block);
    *usable_bytes = 0;
    if (page_idx >= hak_region_pages()) {
        return BLOCK_FOREIGN;
    }
    uintptr_t tag = hak_region_tag(page_idx);
    if (tag >= HAK_TAG_BINS) {
        *usable_bytes = hak_classes[hak_tag_bin(tag)].geometry.slot_bytes - HAK_LAYOUT_BYTES;
        return BLOCK_SLOT;
    }
    if (tag == HAK_TAG_LARGE) {
        *usable_bytes = hak_large_bytes(block);
        return hak_prof_is_slot(block, usable_bytes) ? BLOCK_SLOT : BLOCK_LARGE;
    }
    return BLOCK_FOREIGN;
}

size_t hak_malloc_usable_size(const void *block)
{
    size_t usable_bytes;
    if (hak_harden_is_on()) {
        return hak_harden_usable_bytes(block, HAK_USE_SIZE);
    }
    if (block_look(block, &usable_bytes) == BLOCK_FOREIGN && block != NULL) {
        return hak_guard_size((void *)(uintptr_t)block);
    }
    return usable_bytes;
}

void *hak_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (HAK_UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) {
        return hak_take_nothing();
    }
    void *block = hak_malloc(bytes);
    if (HAK_UNLIKELY(block == NULL) || hak_harden_is_on()) {
        return block; /* every block of a hardened process reads as zero */
    }
    if (bytes <= HAK_MEDIUM_MAX - HAK_LAYOUT_BYTES) {
        return memset(block, 0, bytes);
    }
    hak_large_clear(block, bytes);
    return block;
}

static void *realloc_copy(void *block, size_t old_bytes, size_t size)
{
    void *new = hak_malloc(size);
    if (new != NULL) {
        memcpy(new, block, hak_min(old_bytes, size));
        hak_free(block);
    }
    return new;
}

void *hak_realloc(void *block, size_t size)
{
    size_t usable_bytes;
    if (block == NULL) {
        return hak_malloc(size);
    }
    if (hak_harden_is_on()) {
        return hak_harden_realloc(block, size);
    }
    enum block_kind kind = block_look(block, &usable_bytes);
    if (kind == BLOCK_FOREIGN) {
        return hak_guard_realloc(block, size);
    }
    if (size > PTRDIFF_MAX) {
        return hak_take_nothing();
    }
    if (kind == BLOCK_LARGE) {
        if (hak_large_resize(block, size)) {
            hak_prof_resized(block, usable_bytes, __builtin_frame_address(0));
            return block;
        }
        hak_prof_lift(block); /* before its pages may be another's */
        void *new = hak_large_move(block, size);
        if (new == NULL && hak_large_fits(size, 1) && hak_malloc_trim(0) != 0) { /* once more */
            new = hak_large_resize(block, size) ? block : hak_large_move(block, size);
        }
        hak_prof_renew(new != NULL ? new : block, __builtin_frame_address(0));
        return new != NULL ? new : hak_take_nothing();
    }
    return size <= usable_bytes ? block : realloc_copy(block, usable_bytes, size);
}

void *hak_reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return hak_take_nothing();
    }
    return hak_realloc(block, bytes);
}

void hak_free_sized(void *block, size_t size)
{
    hak_harden_check_size(block, 1, size);
    hak_free(block);
}

void hak_free_aligned_sized(void *block, size_t alignment, size_t size)
{
    hak_harden_check_size(block, alignment, size);
    hak_free(block);
}

void hak_cfree(void *block)
{
    hak_free(block);
}

/* `alignment` is a power of two. NULL and ENOMEM when there is no such block. */
static void *aligned_alloc_checked(size_t alignment, size_t size)
{
    if (alignment <= HAK_GRAIN) {
        return hak_malloc(size);
    }
    if (size > PTRDIFF_MAX || alignment > PTRDIFF_MAX / 2) {
        return hak_take_nothing();
    }
    if (hak_harden_is_on()) { /* or not started, and then the table is empty */
        return hak_harden_take(size, alignment);
    }
    size_t bin_idx = 0;
    if (alignment <= HAK_PAGE_BYTES && size <= HAK_MEDIUM_MAX - HAK_LAYOUT_BYTES) {
        bin_idx = hak_class_aligned_bin(size + HAK_LAYOUT_BYTES, alignment);
    }
    return bin_idx != 0 ? hak_take_bin(bin_idx)
                        : hak_take_large(size, hak_max(alignment, HAK_PAGE_BYTES));
}

void *hak_memalign(size_t alignment, size_t size)
{
    if (!hak_is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return aligned_alloc_checked(alignment, size);
}

void *hak_aligned_alloc(size_t alignment, size_t size)
{
    return hak_memalign(alignment, size);
}

int hak_posix_memalign(void **block, size_t alignment, size_t size)
{
    if (!hak_is_power_of_two(alignment) || alignment % sizeof(void *) != 0) {
        return EINVAL;
    }
    int saved = errno;
    void *new = aligned_alloc_checked(alignment, size);
    errno = saved;
    if (new == NULL) {
        return ENOMEM;
    }
    *block = new;
    return 0;
}

void *hak_valloc(size_t size)
{
    return aligned_alloc_checked(hak_os_page_bytes(), size);
}

void *hak_pvalloc(size_t size)
{
    size_t os_page = hak_os_page_bytes();
    if (size > PTRDIFF_MAX - os_page) {
        return hak_take_nothing();
    }
    return aligned_alloc_checked(os_page, hak_align_up(hak_max(size, 1), os_page));
}

int hak_malloc_trim(size_t pad_bytes)
{
    (void)pad_bytes;
    struct hak_heap *heap = hak_heap_enter();
    if (heap == NULL) {
        return hak_harden_trim();
    }
    hak_heap_release_all(heap);
    size_t released = hak_heap_trim();
    hak_heap_leave(heap);
    return released != 0;
}

int hak_mallopt(int parameter, int value)
{
    (void)parameter;
    (void)value;
    return 1;
}
