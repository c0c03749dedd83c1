/*
 * policy: which way the blocks of a class go, and how many a magazine holds (Policy Box).
 *
 * Purpose   a policy is data: a route and a capacity a class. It is published as a snapshot that
 *           nobody changes after that; a heap looks for a newer one in its slow paths and brings
 *           its magazines in line with it. The fast paths know nothing of it: what a route changes
 *           is how often a bin leaves them, and where its slow path then gets a block.
 *
 *               ULTRA   through a magazine; its capacity is the policy's, or automatic
 *               MID     straight from the bitmap of the current page: a magazine of one block
 *               LARGE   each block has pages of its own
 *
 *           A block goes back by its page's tag, so it does not matter which policy it came under.
 * Owner     snapshots are records for ever: a heap may stand in the middle of one for any time, and
 *           a policy that comes back is found again, so there are no more than there are different
 *           ones, HAK_POLICIES at most.
 * Threads   anybody publishes and reads. Of two that publish at once, the later one stays.
 */
#ifndef HAK_POLICY_H
#define HAK_POLICY_H

#include "front/heap.h"

#define HAK_POLICIES 4096
/* What the magazine of one class may hold, by a policy. */
#define HAK_POLICY_CAPACITY_MAX ((size_t)1023)
#define HAK_POLICY_MAGAZINE_BYTES HAK_MIB
/* The route LARGE takes 64 KiB a block at least: it is for slots above this. */
#define HAK_POLICY_LARGE_ABOVE ((size_t)4096)

enum hak_route { HAK_ROUTE_ULTRA, HAK_ROUTE_MID, HAK_ROUTE_LARGE, HAK_ROUTES };

struct hak_policy_class {
    uint8_t route;     /* enum hak_route */
    bool is_given;     /* by a text: the learner leaves the class alone */
    uint16_t capacity; /* blocks that a magazine of route ULTRA holds; 0: automatic */
};

static inline bool hak_policy_same(const struct hak_policy_class *one,
                                   const struct hak_policy_class *other)
{
    return one->route == other->route && one->capacity == other->capacity;
}

/* [const after it was published], but the link. */
struct hak_policy {
    struct hak_policy_class classes[HAK_BINS];
    uint16_t tiny_max_class; /* 5 or 7; 0: not said */
    uint16_t smallmid;       /* 1: off, 2: on; 0: not said */
    struct hak_policy *next; /* an older one */
};

_Static_assert(offsetof(struct hak_policy, next) ==
                   (HAK_BINS + 1) * sizeof(struct hak_policy_class),
               "no padding: policies are compared by their bytes");

extern HAK_HIDDEN _Atomic(const struct hak_policy *) hak_policy_current; /* [any, atomic] */

static inline const struct hak_policy *hak_policy_now(void)
{
    /* acquire: pairs with the release in hak_policy_publish(); the whole snapshot is readable. */
    return atomic_load_explicit(&hak_policy_current, memory_order_acquire);
}

/* Blocks that a magazine is to hold by the policy; 0: automatic. */
static inline size_t hak_policy_capacity(const struct hak_policy *policy, size_t bin_idx)
{
    const struct hak_policy_class *ruled = &policy->classes[bin_idx];
    return ruled->route == HAK_ROUTE_ULTRA ? ruled->capacity : 1;
}

/* The most that a policy may say of a class. */
static inline size_t hak_policy_capacity_max(size_t bin_idx)
{
    return hak_min(HAK_POLICY_CAPACITY_MAX,
                   HAK_POLICY_MAGAZINE_BYTES / hak_classes[bin_idx].geometry.slot_bytes);
}

/* Makes a copy of `draft` the policy of all heaps. If `base` is not NULL, only as long as that is
 * the policy. False: it is not, memory is out, or there were HAK_POLICIES already. */
bool hak_policy_publish(const struct hak_policy *draft, const struct hak_policy *base);

/* Brings the heap's magazines in line with the policy of now. [owner] */
void hak_policy_apply(struct hak_heap *heap);

/* In slow paths of a heap, before it looks at a magazine. [owner] */
static inline void hak_policy_look(struct hak_heap *heap)
{
    if (HAK_UNLIKELY(heap->policy != hak_policy_now())) {
        hak_policy_apply(heap);
    }
}

/* Reads HAKMEM_POLICY and fills the tables of classes; called within the start. A policy that
 * cannot be read is said on standard error, and all of it is left out. */
void hak_policy_start(void);

#endif
