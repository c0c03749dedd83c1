/*
 * learner: what pages tell, judgements, and publication.
 */
#include "front/policy/learner.h"

#include "front/options.h"

/* A class with less than one refill in so many slow paths is rare: its route hardly matters for
 * time. With one in so many it is not rare any more, or busy, and a larger magazine pays. What lies
 * between keeps a class from going back and forth. */
#define RARE_SHARE 256
#define COMMON_SHARE 64
#define BUSY_SHARE 16
#define PAGES_MIN 2         /* that a judgement needs */
#define SPARSE_BPS 2500     /* up to this fill, LARGE saves more than MID */
#define PATIENCE_TO_ULTRA 1 /* times that a judgement is made before it counts */
#define PATIENCE_TO_GROW 2
#define PATIENCE_TO_SAVE 4

enum { LEARNER_OFF, LEARNER_OBSERVE, LEARNER_ON };

static bool is_on;                                  /* [const after start] or observes */
static _Atomic(uint64_t) told[HAK_BINS][HAK_TOLDS]; /* [any, atomic] since the last fold */
static _Atomic(uint64_t) told_pages;                /* [any, atomic] of all classes, ever */
static _Atomic(uint32_t) folding;                   /* [any, atomic] 1: somebody folds */

static struct {
    struct hak_learner_sample sample; /* [who folds] the last one; `entries` since then */
    struct hak_policy_class wish;     /* [who folds] the last judgement ... */
    unsigned repeats;                 /* [who folds] ... that was made so often in a row */
} classes[HAK_BINS];

/* ---- judgement ---- */

static unsigned share_bps(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (unsigned)(part * 10000 / whole);
}

unsigned hak_learner_hit_bps(const struct hak_learner_sample *sample)
{
    uint64_t taken = sample->of[HAK_TOLD_TAKEN];
    return share_bps(taken - hak_min(sample->of[HAK_TOLD_REMOTE], taken), taken);
}

unsigned hak_learner_fill_bps(size_t bin_idx, const struct hak_learner_sample *sample)
{
    uint64_t slots = sample->of[HAK_TOLD_PAGES] * hak_classes[bin_idx].geometry.slots;
    return share_bps(sample->of[HAK_TOLD_FILL], slots);
}

static bool class_is(const struct hak_policy_class *class, unsigned route, unsigned capacity)
{
    return class->route == route && class->capacity == capacity;
}

static size_t magazine_of(size_t bin_idx, const struct hak_policy_class *now)
{
    return now->capacity != 0 ? now->capacity : hak_classes[bin_idx].max_capacity;
}

/* Refills that bring half of what they can, which is half a magazine, or the slots of a page: the
 * class is busy and its blocks come in bursts, for which the magazine is too small. */
static bool is_in_bursts(size_t bin_idx, const struct hak_learner_sample *sample, size_t magazine)
{
    size_t most = hak_min(magazine / 2, hak_classes[bin_idx].geometry.slots);
    uint64_t takes = sample->of[HAK_TOLD_TAKES];
    return takes != 0 && takes * BUSY_SHARE >= sample->entries &&
           sample->of[HAK_TOLD_TAKEN] * 2 >= takes * most;
}

struct hak_policy_class hak_learner_judge(size_t bin_idx, const struct hak_learner_sample *sample,
                                          const struct hak_policy_class *now)
{
    struct hak_policy_class wish = *now;
    size_t larger = magazine_of(bin_idx, now) * 2 + 1;
    uint64_t takes = sample->of[HAK_TOLD_TAKES];
    bool is_common = takes * COMMON_SHARE >= sample->entries;
    if (now->route != HAK_ROUTE_ULTRA) {
        if (takes != 0 && is_common) {
            wish.route = HAK_ROUTE_ULTRA;
            wish.capacity = 0;
        }
    } else if (is_in_bursts(bin_idx, sample, larger / 2)) {
        bool fits = larger <= hak_policy_capacity_max(bin_idx);
        wish.capacity = fits ? (uint16_t)larger : now->capacity;
    } else if (now->capacity != 0 && !is_common) {
        wish.capacity = 0;
    } else if (hak_classes[bin_idx].geometry.slot_bytes > HAK_POLICY_LARGE_ABOVE &&
               sample->of[HAK_TOLD_PAGES] >= PAGES_MIN && takes * RARE_SHARE < sample->entries) {
        bool sparse = hak_learner_fill_bps(bin_idx, sample) <= SPARSE_BPS;
        wish.route = sparse ? HAK_ROUTE_LARGE : HAK_ROUTE_MID;
    }
    return wish;
}

unsigned hak_learner_patience(const struct hak_policy_class *now,
                              const struct hak_policy_class *wish)
{
    if (wish->route != now->route) {
        return wish->route == HAK_ROUTE_ULTRA ? PATIENCE_TO_ULTRA : PATIENCE_TO_SAVE;
    }
    return wish->capacity > now->capacity ? PATIENCE_TO_GROW : PATIENCE_TO_SAVE;
}

/* ---- fold ---- */

/* Whether enough was told of a class. */
static bool class_is_due(size_t bin_idx)
{
    /* relaxed: a figure. */
    return atomic_load_explicit(&told[bin_idx][HAK_TOLD_PAGES], memory_order_relaxed) >= PAGES_MIN;
}

/* Judges a class; true if what it should have was said often enough to be done. */
static bool class_decide(size_t bin_idx, const struct hak_policy_class *now)
{
    struct hak_policy_class *wish = &classes[bin_idx].wish;
    struct hak_learner_sample *sample = &classes[bin_idx].sample;
    for (size_t kind = 0; kind < HAK_TOLDS; kind++) {
        /* relaxed: figures; a page may be told between two of them. */
        sample->of[kind] = atomic_exchange_explicit(&told[bin_idx][kind], 0, memory_order_relaxed);
    }
    struct hak_policy_class judged = hak_learner_judge(bin_idx, sample, now);
    bool again = class_is(&judged, wish->route, wish->capacity);
    classes[bin_idx].repeats = again ? classes[bin_idx].repeats + 1 : 1;
    sample->entries = 0;
    *wish = judged;
    return !class_is(&judged, now->route, now->capacity) &&
           classes[bin_idx].repeats >= hak_learner_patience(now, &judged);
}

/* Slow paths of all heaps since the last fold; counts wrap, and so does their sum. */
static uint32_t entries_count(void)
{
    static uint32_t seen; /* [who folds] */
    uint32_t sum = 0;
    for (const struct hak_heap *at = hak_heap_first(); at != NULL; at = at->next) {
        sum += hak_heap_entries(at);
    }
    uint32_t count = sum - seen;
    seen = sum;
    return count;
}

static void fold(void)
{
    const struct hak_policy *base = hak_policy_now();
    struct hak_policy draft = *base;
    uint32_t entries = entries_count();
    bool changed = false;
    for (size_t i = 1; i < HAK_BINS; i++) {
        const struct hak_policy_class *now = &base->classes[i];
        classes[i].sample.entries += entries;
        if (!now->is_given && class_is_due(i) && class_decide(i, now)) {
            draft.classes[i] = classes[i].wish;
            changed = true;
        }
    }
    if (changed && hak_options.learner == LEARNER_ON) {
        (void)hak_policy_publish(&draft, base); /* not if somebody else has meanwhile */
    }
}

/* ---- what is told ---- */

static void told_add(_Atomic(uint64_t) *to, uint64_t count)
{
    /* relaxed: a figure. */
    (void)atomic_fetch_add_explicit(to, count, memory_order_relaxed);
}

void hak_learner_tell(size_t bin_idx, struct hak_learner_use use)
{
    uint32_t nobody = 0;
    if (HAK_LIKELY(!is_on)) {
        return;
    }
    _Atomic(uint64_t) *sums = told[bin_idx];
    told_add(&sums[HAK_TOLD_PAGES], 1);
    told_add(&sums[HAK_TOLD_TAKEN], use.taken);
    told_add(&sums[HAK_TOLD_TAKES], use.takes);
    told_add(&sums[HAK_TOLD_FILL], use.fill);
    if (use.remote != 0) {
        told_add(&sums[HAK_TOLD_REMOTE], use.remote);
    }
    /* relaxed: a figure. */
    uint64_t count = atomic_fetch_add_explicit(&told_pages, 1, memory_order_relaxed) + 1;
    /* acquire: pairs with the release below; the sums are those of the last fold. */
    if (count % hak_options.learner_interval == 0 &&
        atomic_compare_exchange_strong_explicit(&folding, &nobody, 1, memory_order_acquire,
                                                memory_order_relaxed)) {
        fold();
        /* release: pairs with the acquire above. */
        atomic_store_explicit(&folding, 0, memory_order_release);
    }
}

struct hak_learner_sample hak_learner_told(size_t bin_idx)
{
    return classes[bin_idx].sample;
}

struct hak_policy_class hak_learner_wish(size_t bin_idx)
{
    return classes[bin_idx].wish;
}

void hak_learner_start(void)
{
    is_on = hak_options.learner != LEARNER_OFF;
}

void hak_learner_fork_child(void)
{
    /* relaxed: the child has one thread. */
    atomic_store_explicit(&folding, 0, memory_order_relaxed);
}
