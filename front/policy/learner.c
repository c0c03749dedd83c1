/*
 * learner: what pages tell, judgements, and publication.
 */
#include "front/policy/learner.h"

#include "front/options.h"
#include "front/policy/text.h"
#include "front/start.h"
#include "hakmem.h"
#include "segment/os.h"

/* A class with less than one refill in so many slow paths is rare: its route hardly matters for
 * time. With one in so many it is not rare any more, or busy, and a larger magazine pays. What lies
 * between keeps a class from going back and forth. */
#define RARE_SHARE 256
#define COMMON_SHARE 64
#define BUSY_SHARE 16
/* A class that was regular once is so until it has less than one in so many. */
#define FORGOTTEN_SHARE 1024
#define REGULAR_BLOCKS 7    /* a refill of a regular class, at least ... */
#define REGULAR_REFILLS 2   /* ... of which it has so many, before a page tells of them */
#define CLOSING_PAGES 16    /* from so many in HAK_LEARNER_ENTRIES on, pages in use are not asked */
#define IN_USE_WEIGHT 2     /* a page in use counts for so many that close: there are fewer */
#define PAGES_MIN 2         /* that a judgement needs */
#define LARGE_BLOCKS_MIN 16 /* of route LARGE, that one needs */
#define LARGE_REFILLS 2     /* in the life of a page, up to which LARGE is tried */
#define LARGE_RATE 3        /* blocks of route LARGE for each refill that there was before */
#define DOUBTS_MAX 8
#define PATIENCE_TO_ULTRA 1 /* times that a judgement is made before it counts */
#define PATIENCE_TO_GROW 2
#define PATIENCE_TO_SAVE 4
#define PATIENCE_TO_SETTLE 16

bool hak_learner_is_on;

static const struct hak_policy_class plain;

static _Atomic(uint64_t) told[HAK_BINS][HAK_TOLDS]; /* [any, atomic] since the last fold */
static _Atomic(uint64_t) told_pages;                /* [any, atomic] of all classes, ever */
static _Atomic(uint32_t) folding;                   /* [any, atomic] 1: somebody folds */

static struct {
    struct hak_learner_sample sample; /* [who folds] the last one */
    uint64_t since;                   /* [who folds] slow paths since then */
    struct hak_policy_class wish;     /* [who folds] the last judgement ... */
    unsigned repeats;                 /* [who folds] ... that was made so often in a row */
    struct hak_learner_sample left;   /* [who folds] by what the class left ULTRA last */
    unsigned doubts;                  /* [who folds] how often it came back */
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

/* Whether at least one of so many slow paths was a refill of the class. */
static bool has_share(const struct hak_learner_sample *sample, uint64_t share)
{
    uint64_t takes = sample->of[HAK_TOLD_TAKES];
    return takes != 0 && takes * share >= sample->entries;
}

/* Refills that bring half of what they can, which is half a magazine, or the slots of a page: the
 * class is busy and its blocks come in bursts, for which the magazine is too small. */
static bool is_in_bursts(size_t bin_idx, const struct hak_learner_sample *sample, size_t magazine)
{
    size_t most = hak_min(magazine / 2, hak_classes[bin_idx].geometry.slots);
    return has_share(sample, BUSY_SHARE) &&
           sample->of[HAK_TOLD_TAKEN] * 2 >= sample->of[HAK_TOLD_TAKES] * most;
}

/* Blocks that come and go at random, so its magazine, which grows by itself in bursts only, is
 * missed again and again; a refill brings half of what the magazine holds. */
static bool is_regular(size_t bin_idx, const struct hak_learner_sample *sample)
{
    const struct hak_class *class = &hak_classes[bin_idx];
    uint64_t takes = sample->of[HAK_TOLD_TAKES];
    return class->geometry.slot_bytes <= HAK_POLICY_LARGE_ABOVE && has_share(sample, RARE_SHARE) &&
           takes >= sample->of[HAK_TOLD_PAGES] * REGULAR_REFILLS &&
           sample->of[HAK_TOLD_TAKEN] >= takes * REGULAR_BLOCKS &&
           sample->of[HAK_TOLD_TAKEN] * 2 < takes * (class->max_capacity / 2);
}

/* A class whose blocks would take less if each had pages of its own; for all that is seen, which is
 * not how often the magazine was hit. */
static bool is_sparse(size_t bin_idx, const struct hak_learner_sample *sample)
{
    const struct hak_geometry *geometry = &hak_classes[bin_idx].geometry;
    uint64_t pages = sample->of[HAK_TOLD_PAGES];
    return geometry->slot_bytes > HAK_POLICY_LARGE_ABOVE && pages >= PAGES_MIN &&
           sample->of[HAK_TOLD_FILL] < pages * geometry->span_pages &&
           sample->of[HAK_TOLD_TAKES] <= pages * LARGE_REFILLS &&
           sample->of[HAK_TOLD_TAKES] * 2 <= sample->entries; /* there are others to compare with */
}

static bool is_rare(size_t bin_idx, const struct hak_learner_sample *sample)
{
    return hak_classes[bin_idx].geometry.slot_bytes > HAK_POLICY_LARGE_ABOVE &&
           sample->of[HAK_TOLD_PAGES] >= PAGES_MIN && !has_share(sample, RARE_SHARE);
}

/* Each block of route LARGE is told of, so only now it is known how many there are: too many, if
 * they are a multiple of the refills that there were, by the slow paths of all other classes. */
static bool is_large_too_often(const struct hak_learner_sample *sample,
                               const struct hak_learner_sample *left)
{
    uint64_t blocks = sample->of[HAK_TOLD_TAKES];
    uint64_t refills = left->of[HAK_TOLD_TAKES];
    return blocks * (left->entries - hak_min(refills, left->entries)) >
           LARGE_RATE * refills * (sample->entries - hak_min(blocks, sample->entries));
}

static uint16_t capacity_wish(size_t bin_idx, const struct hak_learner_sample *sample,
                              uint16_t capacity)
{
    uint16_t most = hak_classes[bin_idx].max_capacity; /* by itself */
    if (capacity == 0) {
        return is_regular(bin_idx, sample) ? most : 0;
    }
    return has_share(sample, capacity > most ? COMMON_SHARE : FORGOTTEN_SHARE) ? capacity : 0;
}

struct hak_policy_class hak_learner_judge(size_t bin_idx, const struct hak_learner_sample *sample,
                                          const struct hak_learner_sample *left,
                                          const struct hak_policy_class *now)
{
    struct hak_policy_class wish = *now;
    size_t magazine = now->capacity != 0 ? now->capacity : hak_classes[bin_idx].max_capacity;
    size_t larger = magazine * 2 + 1;
    if (now->route != HAK_ROUTE_ULTRA) {
        bool is_large = now->route == HAK_ROUTE_LARGE;
        if (is_large ? is_large_too_often(sample, left) : has_share(sample, COMMON_SHARE)) {
            wish.route = HAK_ROUTE_ULTRA;
            wish.capacity = 0;
        }
    } else if (now->capacity == 0 && is_sparse(bin_idx, sample)) {
        wish.route = HAK_ROUTE_LARGE;
    } else if (is_in_bursts(bin_idx, sample, magazine)) {
        bool fits = larger <= hak_policy_capacity_max(bin_idx);
        wish.capacity = fits ? (uint16_t)larger : now->capacity;
    } else if (now->capacity == 0 && is_rare(bin_idx, sample)) {
        wish.route = HAK_ROUTE_MID;
    } else {
        wish.capacity = capacity_wish(bin_idx, sample, now->capacity);
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
static bool class_is_due(size_t bin_idx, const struct hak_policy_class *now)
{
    uint64_t least = now->route == HAK_ROUTE_LARGE ? LARGE_BLOCKS_MIN : PAGES_MIN;
    /* relaxed: a figure. */
    return atomic_load_explicit(&told[bin_idx][HAK_TOLD_PAGES], memory_order_relaxed) >= least;
}

/* A class that leaves ULTRA is to wait the longer, the more often it came back; if it stays, that
 * is forgotten. */
static void class_move(size_t bin_idx, unsigned from, unsigned to)
{
    if (from == HAK_ROUTE_ULTRA) {
        classes[bin_idx].left = classes[bin_idx].sample;
    } else if (to != HAK_ROUTE_ULTRA) {
        classes[bin_idx].doubts = 0;
    } else if (classes[bin_idx].doubts < DOUBTS_MAX) {
        classes[bin_idx].doubts++;
    }
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
    sample->entries = classes[bin_idx].since;
    classes[bin_idx].since = 0;
    struct hak_policy_class judged =
        hak_learner_judge(bin_idx, sample, &classes[bin_idx].left, now);
    bool again = hak_policy_same(&judged, wish);
    bool is_change = !hak_policy_same(&judged, now);
    classes[bin_idx].repeats = again ? classes[bin_idx].repeats + 1 : 1;
    *wish = judged;
    unsigned doubts =
        judged.route == now->route || judged.route == HAK_ROUTE_ULTRA ? 0 : classes[bin_idx].doubts;
    unsigned patience = hak_learner_patience(now, &judged) << doubts;
    bool is_sure = classes[bin_idx].repeats >= (is_change ? patience : PATIENCE_TO_SETTLE);
    if (is_sure && (is_change ? judged.route != now->route : now->route != HAK_ROUTE_ULTRA)) {
        class_move(bin_idx, now->route, judged.route);
    }
    return is_change && is_sure;
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
        classes[i].since += entries;
        if (!now->is_given && class_is_due(i, now) && class_decide(i, now)) {
            draft.classes[i] = classes[i].wish;
            changed = true;
        }
    }
    if (changed && hak_options.learner == HAK_LEARNER_ON) {
        (void)hak_policy_publish(&draft, base); /* not if somebody else has meanwhile */
    }
}

/* ---- what is told ---- */

static void told_add(_Atomic(uint64_t) *to, uint64_t count)
{
    /* relaxed: a figure. */
    (void)atomic_fetch_add_explicit(to, count, memory_order_relaxed);
}

/* Nobody else folds until the end. False: somebody does. */
static bool fold_begin(void)
{
    uint32_t nobody = 0;
    /* acquire: pairs with the release below; the sums are those of the last fold. */
    return atomic_compare_exchange_strong_explicit(&folding, &nobody, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

static void fold_end(void)
{
    /* release: pairs with the acquire above. */
    atomic_store_explicit(&folding, 0, memory_order_release);
}

static void page_tell(size_t bin_idx, struct hak_learner_use use)
{
    _Atomic(uint64_t) *sums = told[bin_idx];
    told_add(&sums[HAK_TOLD_PAGES], 1);
    told_add(&sums[HAK_TOLD_TAKEN], use.taken);
    told_add(&sums[HAK_TOLD_TAKES], use.takes);
    told_add(&sums[HAK_TOLD_FILL], use.fill);
    if (use.remote != 0) {
        told_add(&sums[HAK_TOLD_REMOTE], use.remote);
    }
}

/* Folds if it is time to, now that so many more were told. */
static void pages_count(uint64_t pages)
{
    /* relaxed: a figure. */
    uint64_t count = atomic_fetch_add_explicit(&told_pages, pages, memory_order_relaxed);
    uint64_t interval = hak_options.learner_interval;
    if (count % interval + pages >= interval && fold_begin()) {
        fold();
        fold_end();
    }
}

void hak_learner_tell(size_t bin_idx, struct hak_learner_use use)
{
    if (HAK_UNLIKELY(hak_learner_is_on)) {
        page_tell(bin_idx, use);
        pages_count(1);
    }
}

/* Pages that close, if there are some, have told enough. */
static bool listening_pays(void)
{
    static _Atomic(uint64_t) seen; /* [any, atomic] */
    /* relaxed: figures that save work. */
    uint64_t count = atomic_load_explicit(&told_pages, memory_order_relaxed);
    uint64_t since = count - atomic_exchange_explicit(&seen, count, memory_order_relaxed);
    return since < CLOSING_PAGES;
}

void hak_learner_listen(struct hak_heap *heap)
{
    uint64_t pages = 0;
    if (!listening_pays()) {
        return;
    }
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        struct hak_page *page = heap->shelves[bin_idx].lists[HAK_LIST_PARTIAL].head;
        if (page != NULL && page->takes != 0) {
            page_tell(bin_idx, hak_learner_use(page));
            page->taken = page->takes = page->collected = 0;
            page->lowest = (uint16_t)hak_page_free_count(page);
            pages += IN_USE_WEIGHT;
        }
    }
    pages_count(pages);
    (void)listening_pays(); /* what was told just now does not count the next time */
}

struct hak_learner_sample hak_learner_told(size_t bin_idx)
{
    return classes[bin_idx].sample;
}

struct hak_policy_class hak_learner_wish(size_t bin_idx)
{
    return classes[bin_idx].wish;
}

/* What a class was judged by last, as a statement of a policy's text, or as nothing but a remark if
 * it should be as by default. */
static void class_print(struct hak_out *out, const char *before, size_t bin_idx)
{
    const struct hak_policy_class *wish = &classes[bin_idx].wish;
    const struct hak_learner_sample *sample = &classes[bin_idx].sample;
    hak_out(out, "%s%sclass %u route %s capacity %u # %u times; %" PRIu64 " pages %u %% full, ",
            before, hak_policy_same(wish, &plain) ? "# " : "",
            hak_classes[bin_idx].geometry.slot_bytes, hak_policy_route_name(wish->route),
            (unsigned)wish->capacity, classes[bin_idx].repeats, sample->of[HAK_TOLD_PAGES],
            hak_learner_fill_bps(bin_idx, sample) / 100);
    hak_out(out, "%u %% freed by their thread, ", hak_learner_hit_bps(sample) / 100);
    hak_out(out, "%" PRIu64 " blocks by %" PRIu64 " refills in %" PRIu64 " slow paths\n",
            sample->of[HAK_TOLD_TAKEN], sample->of[HAK_TOLD_TAKES], sample->entries);
}

bool hak_learner_say(struct hak_out *out, const char *before)
{
    if (!fold_begin()) {
        return false;
    }
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        if (classes[bin_idx].repeats != 0) {
            class_print(out, before, bin_idx);
        }
    }
    fold_end();
    return true;
}

size_t hak_policy_learnt(char *text, size_t bytes)
{
    struct hak_copy copy = {text, bytes, 0};
    struct hak_out out = {.write = hak_copy_write, .to = &copy};
    hak_copy_write(&copy, "", 0);
    while (hak_start() && hak_learner_is_on && !hak_learner_say(&out, "")) {
        hak_os_yield();
    }
    hak_out_end(&out);
    return copy.done;
}

void hak_learner_start(void)
{
    hak_learner_is_on = hak_options.learner != HAK_LEARNER_OFF && hak_options.harden == 0;
}

void hak_learner_fork_child(void)
{
    /* relaxed: the child has one thread. */
    atomic_store_explicit(&folding, 0, memory_order_relaxed);
}
