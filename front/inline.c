/*
 * inline: what include/hakmem_inline.h takes for granted, checked.
 *
 * Purpose   the header's inline paths know the bins and the head of a heap. If anything below does
 *           not hold any more, the header changes with it, and the number in its names and here
 *           goes up by one: programs that were compiled before do not link then.
 * Threads   any.
 */
#include "hakmem_inline.h"

#include "front/layout.h"

#define SAME_PLACE(ours, theirs, field)                                                            \
    _Static_assert(offsetof(struct ours, field) == offsetof(struct theirs, field) &&               \
                       sizeof((struct ours){0}.field) == sizeof((struct theirs){0}.field),         \
                   "hakmem_inline.h knows another " #field)

SAME_PLACE(hak_bin, hak_inline_bin, first);
SAME_PLACE(hak_bin, hak_inline_bin, top);
SAME_PLACE(hak_bin, hak_inline_bin, limit);
SAME_PLACE(hak_bin, hak_inline_bin, base);
SAME_PLACE(hak_heap, hak_inline_heap, bins);
SAME_PLACE(hak_heap, hak_inline_heap, arena_base);
SAME_PLACE(hak_heap, hak_inline_heap, arena_pages);
SAME_PLACE(hak_heap, hak_inline_heap, tags);
_Static_assert(sizeof(struct hak_bin) == sizeof(struct hak_inline_bin), "the same bins");
_Static_assert(HAK_BINS == HAK_INLINE_BINS, "and as many");
enum { INLINE_MAX = HAK_INLINE_MAX };
_Static_assert(INLINE_MAX == HAK_SMALL_MAX, "small sizes are in line");
_Static_assert(HAK_GRAIN == 16, "one bin a 16-byte step");
_Static_assert(HAK_INLINE_PAGE_SHIFT == HAK_PAGE_SHIFT, "a tag a page");

void *hak_inline_abi_1_malloc(size_t size)
{
    return hak_malloc(size);
}

void hak_inline_abi_1_free(void *block)
{
    hak_free(block);
}

void hak_inline_abi_1_free_sized(void *block, size_t size)
{
    hak_free_sized(block, size);
}
