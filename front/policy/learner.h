/*
 * learner: finds a better policy from what pages tell when they retire (Learner v2).
 *
 * Purpose   a page that closes says how it was used, and so does the current page of each class
 *           every HAK_LEARNER_ENTRIES slow paths of a heap, for a steady program's pages do not
 *           close. Every HAKMEM_LEARNER_INTERVAL pages that were told of, one thread folds what was
 *           said since the last time, judges each class, and publishes a policy if a judgement
 *           stood for long enough (HAKMEM_LEARNER=on), or only notes it (observe). Classes that a
 *           policy's text names are not touched. hak_policy_learnt() tells what was noted. See
 *           design/0022-policies-and-learner.md for the judgements.
 * Owner     the process.
 * Threads   any tells, in slow paths; one folds at a time, and who comes meanwhile goes on.
 */
#ifndef HAK_LEARNER_H
#define HAK_LEARNER_H

#include "front/observe/out.h"
#include "front/policy/policy.h"

#define HAK_LEARNER_ENTRIES 512

/* Values of HAKMEM_LEARNER. */
enum { HAK_LEARNER_OFF, HAK_LEARNER_OBSERVE, HAK_LEARNER_ON };

/* What a page tells. */
struct hak_learner_use {
    uint32_t taken;  /* blocks that were handed out ... */
    uint32_t takes;  /* ... by so many refills ... */
    uint32_t remote; /* ... and came back by way of other threads */
    uint32_t fill;   /* blocks that were out when most were */
};

/* The same of a class, summed over pages. A block of route LARGE counts as a page. */
enum hak_told {
    HAK_TOLD_PAGES,
    HAK_TOLD_TAKEN,
    HAK_TOLD_TAKES,
    HAK_TOLD_REMOTE,
    HAK_TOLD_FILL,
    HAK_TOLDS,
};

struct hak_learner_sample {
    uint64_t of[HAK_TOLDS];
    uint64_t entries; /* slow paths of all heaps meanwhile */
};

/* What the class should have, by one sample, and by that for which it left the route ULTRA last. A
 * pure function. */
struct hak_policy_class hak_learner_judge(size_t bin_idx, const struct hak_learner_sample *sample,
                                          const struct hak_learner_sample *left,
                                          const struct hak_policy_class *now);

/* How often a judgement must be repeated before it counts. */
unsigned hak_learner_patience(const struct hak_policy_class *now,
                              const struct hak_policy_class *wish);

/* In basis points: frees that came by the owner itself, not by other threads; slots in use. */
unsigned hak_learner_hit_bps(const struct hak_learner_sample *sample);
unsigned hak_learner_fill_bps(size_t bin_idx, const struct hak_learner_sample *sample);

/* What a page has to tell. [owner] */
static inline struct hak_learner_use hak_learner_use(const struct hak_page *page)
{
    uint32_t fill = page->slots - (uint32_t)page->lowest;
    return (struct hak_learner_use){page->taken, page->takes, page->collected, fill};
}

extern HAK_HIDDEN bool hak_learner_is_on; /* [const after start] or observes; not hardened */

/* A page of the class has retired that had this to tell. Nothing happens while the learner is off.
 */
void hak_learner_tell(size_t bin_idx, struct hak_learner_use use);

/* The heap's current pages tell what is new of them. [owner] */
void hak_learner_listen(struct hak_heap *heap);

/* In slow paths of a heap, now and then. [owner] */
static inline void hak_learner_look(struct hak_heap *heap)
{
    if (HAK_UNLIKELY(hak_learner_is_on) && hak_heap_entries(heap) % HAK_LEARNER_ENTRIES == 0) {
        hak_learner_listen(heap);
    }
}

/* What a class was judged by last, and that judgement. They change while others fold. */
struct hak_learner_sample hak_learner_told(size_t bin_idx);
struct hak_policy_class hak_learner_wish(size_t bin_idx);

/* Writes the lines of hak_policy_learnt(), each with `before` before it. False: somebody folds, and
 * nothing was written. */
bool hak_learner_say(struct hak_out *out, const char *before);

/* Called within the start; in the child of a fork, where whoever folded is gone. */
void hak_learner_start(void);
void hak_learner_fork_child(void);

#endif
