/*
 * magazine: growth and shrinking.
 *
 * A small magazine doubles at every second miss (refill or flush). A larger one, by blocks or by
 * bytes, holds enough for blocks that come and go at random. It grows on in a burst only: when it
 * is missed again while the heap was in few other slow paths, in the same direction or repeatedly.
 */
#include "front/policy/magazine.h"

#include "front/policy/policy.h"

#define MISSES_TO_GROW 2
#define SMALL_CAPACITY 31
#define SMALL_CAPACITY_BYTES (16 * HAK_KIB)
#define NEAR_ENTRIES 4
#define NEAR_MISSES_TO_GROW 4
#define BURST_ENTRIES 8
/* What all magazines of a heap together can hold at most: its share of a sum for all threads. */
#define HEAP_MAGAZINE_BYTES (8 * HAK_MIB)
#define HEAP_MAGAZINE_BYTES_MIN (1 * HAK_MIB)
#define ALL_MAGAZINE_BYTES (64 * HAK_MIB)

static size_t slot_bytes_of(size_t bin_idx)
{
    return hak_classes[bin_idx].geometry.slot_bytes;
}

bool hak_magazine_replace(struct hak_heap *heap, size_t bin_idx, uint16_t capacity)
{
    struct hak_shelf *shelf = &heap->shelves[bin_idx];
    if (!hak_bin_resize(&heap->bins[bin_idx], &heap->meta, shelf->capacity, capacity)) {
        return false;
    }
    hak_figure_add_own(&heap->magazine_bytes,
                       (capacity - (size_t)shelf->capacity) * slot_bytes_of(bin_idx));
    shelf->capacity = capacity;
    return true;
}

/* Whether this miss speaks for a larger magazine. */
static bool miss_counts(struct hak_heap *heap, size_t bin_idx, bool refill)
{
    struct hak_shelf *shelf = &heap->shelves[bin_idx];
    uint32_t since = hak_heap_entries(heap) - shelf->last_miss;
    bool burst = shelf->last_was_refill == refill && since <= BURST_ENTRIES;
    shelf->last_was_refill = refill;
    shelf->last_miss = hak_heap_entries(heap);
    shelf->idle = false;
    if (shelf->capacity < SMALL_CAPACITY &&
        shelf->capacity * slot_bytes_of(bin_idx) < SMALL_CAPACITY_BYTES / 2) {
        return ++shelf->misses >= MISSES_TO_GROW;
    }
    bool near = since <= NEAR_ENTRIES && shelf->misses < NEAR_MISSES_TO_GROW;
    shelf->misses = near ? shelf->misses + 1 : 0;
    return burst || shelf->misses >= NEAR_MISSES_TO_GROW;
}

/* What a policy gives a class beyond what it may have by itself leaves a quarter for all others. */
bool hak_magazine_fits(const struct hak_heap *heap, size_t bin_idx, size_t capacity)
{
    size_t share = ALL_MAGAZINE_BYTES / hak_max(hak_heap_owned(), 1);
    size_t limit = hak_min(hak_max(share, HEAP_MAGAZINE_BYTES_MIN), HEAP_MAGAZINE_BYTES);
    limit -= capacity > hak_classes[bin_idx].max_capacity ? limit / 4 : 0;
    size_t more = (capacity - (size_t)heap->shelves[bin_idx].capacity) * slot_bytes_of(bin_idx);
    return hak_figure(&heap->magazine_bytes) + more <= (hak_prof_is_on() ? 2 * limit : limit);
}

static bool magazine_first(struct hak_heap *heap, size_t bin_idx, size_t capacity)
{
    while (capacity > 1 && !hak_magazine_fits(heap, bin_idx, capacity)) {
        capacity /= 2;
    }
    return hak_magazine_replace(heap, bin_idx, (uint16_t)capacity);
}

bool hak_magazine_grow(struct hak_heap *heap, size_t bin_idx, bool refill)
{
    const struct hak_class *class = &hak_classes[bin_idx];
    struct hak_shelf *shelf = &heap->shelves[bin_idx];
    size_t ruled = hak_policy_capacity(heap->policy, bin_idx);
    size_t most = ruled != 0 ? ruled : class->max_capacity;
    bool wanted = miss_counts(heap, bin_idx, refill);
    if (shelf->capacity == 0) {
        return magazine_first(heap, bin_idx, ruled != 0 ? ruled : class->first_capacity);
    }
    bool grows = hak_prof_is_on() && hak_prof_grows(heap, bin_idx);
    if (!grows && (!wanted || shelf->capacity >= most)) {
        return false;
    }
    shelf->misses = 0;
    size_t next = (size_t)shelf->capacity * 2 + 1, capacity = grows ? next : hak_min(next, most);
    return hak_magazine_fits(heap, bin_idx, capacity) &&
           hak_magazine_replace(heap, bin_idx, (uint16_t)capacity);
}

/* Without memory for a smaller one, it stays larger than the policy says. */
void hak_magazine_rule(struct hak_heap *heap, size_t bin_idx)
{
    const struct hak_shelf *shelf = &heap->shelves[bin_idx];
    size_t ruled = hak_policy_capacity(heap->policy, bin_idx);
    size_t most = ruled != 0 ? ruled : hak_classes[bin_idx].max_capacity;
    size_t count = hak_bin_count(&heap->bins[bin_idx]);
    if (shelf->capacity == 0 || shelf->capacity == most || (ruled == 0 && shelf->capacity < most)) {
        return; /* its first miss asks the policy */
    }
    if (count > most) { /* half of it at least: what stays is within HAK_MARKS_MAX */
        hak_heap_flush(heap, bin_idx, hak_max(count - most, (count + 1) / 2));
    }
    if (shelf->capacity > most || hak_magazine_fits(heap, bin_idx, most)) {
        (void)hak_magazine_replace(heap, bin_idx, (uint16_t)most);
    }
}
