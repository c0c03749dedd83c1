/*
 * twice: free bits of blocks in a magazine, for the time of a flush.
 */
#include "front/harden/twice.h"

#include "front/give.h"

static HAK_INLINED struct hak_mark *blocks_mark(uintptr_t tag, size_t bin_idx, void *const *blocks,
                                                void *const *end, struct hak_mark *mark, bool runs)
{
    struct hak_cut cut = hak_bin_cut(bin_idx);
    struct hak_page *page = HAK_NOWHERE;
    for (size_t length; blocks != end; blocks += length) {
        uint64_t unit = hak_cut_unit(page, *blocks);
        length = 1;
        if (unit >= cut.limit) {
            page = hak_page_of(*blocks);
            if (HAK_UNLIKELY(!hak_tag_has(tag, *blocks))) {
                HAK_CHECK(hak_page_is_open(page, bin_idx), HAK_LAYOUT_MISPLACED);
                page = HAK_NOWHERE;
                continue;
            }
            unit = hak_cut_unit(page, *blocks);
            HAK_CHECK(unit < cut.limit, HAK_MESSAGE_INSIDE);
        }
        size_t slot = hak_cut_slot(cut, unit);
        if (runs && hak_run_begins(cut, blocks, end)) {
            struct hak_run run = hak_run_of(page, slot, blocks, end);
            mark = hak_run_set(page, run, mark);
            length = run.count;
        } else {
            mark = hak_bits_set(page, slot / 64, (uint64_t)1 << slot % 64, mark);
        }
    }
    return mark;
}

size_t hak_twice_mark(struct hak_heap *heap, size_t bin_idx, size_t count)
{
    uintptr_t tag = hak_heap_tag(heap, bin_idx);
    void *const *blocks;
    size_t left = hak_bin_newest(&heap->bins[bin_idx], count, &blocks);
    HAK_ASSERT(left <= HAK_MARKS_MAX);
    if (left == 0) {
        return 0;
    }
    const struct hak_mark *mark =
        left < HAK_RUNS_FROM ? blocks_mark(tag, bin_idx, blocks, blocks + left, heap->marks, false)
                             : blocks_mark(tag, bin_idx, blocks, blocks + left, heap->marks, true);
    return (size_t)(mark - heap->marks);
}

void hak_twice_unmark(struct hak_heap *heap, size_t marks)
{
    for (const struct hak_mark *mark = heap->marks; mark != heap->marks + marks; mark++) {
        *mark->word &= ~mark->bits;
    }
}
