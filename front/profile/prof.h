/*
 * prof: the heap profiler of a process that was started with HAKMEM_PROF=1.
 *
 * Purpose   a sample of all allocations, each with its stack, from which what every place in the
 *           program has allocated, and has not freed, is estimated without bias. A block of b bytes
 *           is sampled with the probability 1 - exp(-b / mean), and stands for the inverse of that.
 *           Bytes are those of the slot, or of the pages of a large block.
 *
 *               malloc  how many a bin may hand out before the sampled one is drawn beforehand, and
 *                       it is given no more; so each sampled one comes to the slow path
 *                                                                        prof.c  hak_prof_take
 *               free    a sampled block has pages of its own, so its free comes to the slow path
 *                                                                        prof.c  hak_prof_lift
 *               stack   by the unwind tables of the program, or by frame pointers
 *                                                                  prof_stack.c  hak_prof_site
 *               dump    at exit, at a signal, when a file appears   prof_dump.c  hak_prof_poll
 *
 *           Frees do not change how often malloc has taken from a bin, for they go to another one:
 *           the second set of bins right below the heap, that pages of such a process are tagged
 *           with. A heap lies so that hak_find_by_tag(), as it is, finds both sets:
 *
 *               4 KiB boundary + 992    bins 0 to 96 for frees; bin 0 is not used
 *               4 KiB boundary + 4064   the heap: bin 0, which is empty, then, on the next
 *                                       boundary, bin 1
 *
 *           The exclusive or of both addresses is below the size of 97 bins just for bins 1 to 96
 *           of the first set. So the fast paths are those of every process, to the instruction.
 * Owner     the process; what is drawn and the last stacks are a heap's.
 * Threads   any. Sites are added by one CAS and stay; their figures are atomic.
 * Errors    without memory for it, a sample is left out. In the header mode and in a hardened
 *           process there is no profile, and that is said.
 */
#ifndef HAK_PROF_H
#define HAK_PROF_H

#include "front/tag.h"
#include "segment/large.h"

static inline bool hak_prof_is_on(void)
{
    return HAK_UNLIKELY(hak_bins_below != 0);
}

/* Called within the start, before there is a heap. */
void hak_prof_start(void);

/* Around all that looks into a bin of a heap: has all its blocks in heap->bins, if that is not
 * so already; and, of a bin that is joined or empty, has it as malloc and free want it. [owner] */
void hak_prof_join_bin(struct hak_heap *heap, size_t bin_idx);
void hak_prof_split_bin(struct hak_heap *heap, size_t bin_idx);

static inline void hak_prof_join(struct hak_heap *heap, size_t bin_idx)
{
    if (hak_prof_is_on()) {
        hak_prof_join_bin(heap, bin_idx);
    }
}

static inline void hak_prof_split(struct hak_heap *heap, size_t bin_idx)
{
    if (hak_prof_is_on()) {
        hak_prof_split_bin(heap, bin_idx);
    }
}

/* What a magazine of a profiled process is to be; see front/policy/magazine.h. [owner] */
bool hak_prof_grows(const struct hak_heap *heap, size_t bin_idx);
bool hak_prof_is_low(const struct hak_heap *heap, size_t bin_idx);
bool hak_prof_is_high(const struct hak_heap *heap, size_t bin_idx);
size_t hak_prof_wants(const struct hak_heap *heap, size_t bin_idx);
size_t hak_prof_spares(const struct hak_heap *heap, size_t bin_idx);

/* What these do in a profiled process; else they do nothing. */
struct hak_heap *hak_prof_heap_on(void);
bool hak_prof_is_slot_on(const void *block, size_t *usable_bytes);
void *hak_prof_take_on(struct hak_heap *heap, size_t bin_idx);
void *hak_prof_retake_on(size_t bin_idx);
void hak_prof_note_on(struct hak_heap *heap, const void *block, const void *frame);
void hak_prof_note_large_on(struct hak_heap *heap, const void *block, const void *frame);
void hak_prof_lift_on(const void *block);
void hak_prof_renew_on(const void *block, const void *frame);

/* A new heap, all zero but for what it has drawn; NULL when memory is out. */
static inline struct hak_heap *hak_prof_heap(void)
{
    return hak_prof_is_on() ? hak_prof_heap_on()
                            : hak_meta_new(sizeof(struct hak_heap), HAK_HEAP_ALIGN);
}

/* Whether a block of pages of its own stands for one of a slot, and has the slot's bytes. */
static inline bool hak_prof_is_slot(const void *block, size_t *usable_bytes)
{
    return hak_prof_is_on() && hak_prof_is_slot_on(block, usable_bytes);
}

/* A bin is to hand out a block, and is joined. If it is to be sampled, and there is memory for it:
 * that block, and the bin is split again; else NULL. [owner] */
static inline void *hak_prof_take(struct hak_heap *heap, size_t bin_idx)
{
    return hak_prof_is_on() ? hak_prof_take_on(heap, bin_idx) : NULL;
}

/* A block of what was freed to a bin since it was split, if that is much and none is to be sampled:
 * no page is looked at, so the heap need not be entered. Else NULL. */
static inline void *hak_prof_retake(size_t bin_idx)
{
    return hak_prof_is_on() ? hak_prof_retake_on(bin_idx) : NULL;
}

/* A block is handed out by a function of that frame, which the program has called: any, but only
 * those of hak_prof_take() matter; or a large one or NULL, which is sampled or not. */
static inline void hak_prof_note(struct hak_heap *heap, const void *block, const void *frame)
{
    if (hak_prof_is_on()) {
        hak_prof_note_on(heap, block, frame);
    }
}

static inline void hak_prof_note_large(struct hak_heap *heap, const void *block, const void *frame)
{
    if (hak_prof_is_on() && block != NULL) {
        hak_prof_note_large_on(heap, block, frame);
    }
}

/* A block of pages of its own is freed. */
static inline void hak_prof_lift(const void *block)
{
    if (hak_prof_is_on()) {
        hak_prof_lift_on(block);
    }
}

/* One that was lifted has other pages now: it counts as freed and allocated. */
static inline void hak_prof_renew(const void *block, const void *frame)
{
    if (hak_prof_is_on()) {
        hak_prof_renew_on(block, frame);
    }
}

/* A large block had so many bytes, and has others now where it stands. */
static inline void hak_prof_resized(const void *block, size_t old_bytes, const void *frame)
{
    if (hak_prof_is_on() && hak_large_bytes(block) != old_bytes) {
        hak_prof_lift_on(block);
        hak_prof_renew_on(block, frame);
    }
}

#endif
