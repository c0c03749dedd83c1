/*
 * prof_stack: the stacks of samples, each kept once.
 *
 *   hak_prof_site → seen_find      the same stack as one of the last?
 *                 → frame_note     each frame, by the unwind tables (libgcc)
 *                 → hak_callers    by frame pointers
 *                 → site_find      the site of these callers, or a new one
 *
 * The unwinder of gcc 12 and later finds tables without a lock (_dl_find_object, glibc 2.35) and
 * allocates nothing. It costs some microseconds, so the stacks seen last are tried first.
 */
#include <string.h>
#include <unwind.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "front/observe/callers.h"
#include "front/options.h"
#include "front/profile/inside.h"
#include "segment/os.h"

#define BUCKETS 4096

static _Atomic(struct hak_prof_site *) buckets[BUCKETS]; /* [any, atomic] */
static struct hak_prof_site lost;                        /* where no site could be made */

struct walk {
    struct hak_prof_seen seen;
    bool begun, is_plain; /* past the allocator's frames; return addresses are at `places` */
    uintptr_t chain;      /* of frame pointers, in the last frame */
    size_t count;
    uintptr_t callers[HAK_PROF_CALLERS];
};

/* ---- stacks ---- */

static void caller_add(struct walk *walk, uintptr_t caller, const uintptr_t *place)
{
    if (walk->count < HAK_PROF_PLACES) {
        walk->seen.places[walk->count] = place;
        walk->is_plain = walk->is_plain && *place == caller;
    }
    walk->callers[walk->count++] = caller;
}

static _Unwind_Reason_Code frame_note(struct _Unwind_Context *context, void *argument)
{
    struct walk *walk = argument;
    uintptr_t caller = _Unwind_GetIP(context);
    uintptr_t stack = _Unwind_GetCFA(context); /* of the frame below, where it called */
    walk->begun = walk->begun || stack > (uintptr_t)walk->seen.frame;
    walk->chain = _Unwind_GetGR(context, HAK_FRAME_REGISTER);
    if (walk->begun && caller != 0) {
        caller_add(walk, caller, (const uintptr_t *)stack - 1);
    }
    return walk->count < HAK_PROF_CALLERS ? _URC_NO_REASON : _URC_END_OF_STACK;
}

/* By tables, and from code on that has none, as a compiler at run time makes it, by frame pointers;
 * or by those alone. */
static void stack_walk(struct walk *walk)
{
    const void *frame = walk->seen.frame;
    if (hak_options.prof_stacks == HAK_PROF_BY_TABLES) {
        (void)_Unwind_Backtrace(frame_note, walk);
        frame = (const void *)walk->chain;
        if (walk->count == 0 || walk->count == HAK_PROF_CALLERS || walk->chain == 0 ||
            _Unwind_FindEnclosingFunction((void *)walk->callers[walk->count - 1]) != NULL ||
            hak_os_look(frame) != HAK_OS_READABLE) {
            return;
        }
    }
    walk->is_plain = false;
    walk->count += hak_callers(frame, walk->callers + walk->count, HAK_PROF_CALLERS - walk->count);
}

/* The stack may have been left since, but what lies between two frames of one is of one: as long as
 * all is the same, so is the next frame's place. */
static struct hak_prof_site *seen_find(const struct hak_prof *prof, const void *frame)
{
    for (size_t i = 0; i < HAK_PROF_SEEN; i++) {
        const struct hak_prof_seen *seen = &prof->seen[i];
        if (seen->frame != frame) {
            continue;
        }
        size_t same = 0;
        while (same < seen->site->count && *seen->places[same] == seen->site->callers[same]) {
            same++;
        }
        if (same == seen->site->count) {
            return seen->site;
        }
    }
    return NULL;
}

/* ---- sites ---- */

static struct hak_prof_site *list_find(struct hak_prof_site *at, const struct hak_prof_site *end,
                                       const struct walk *walk, uint64_t hash)
{
    while (at != end && (at->hash != hash || at->count != walk->count ||
                         memcmp(at->callers, walk->callers, at->count * sizeof(uintptr_t)) != 0)) {
        at = at->next;
    }
    return at;
}

static struct hak_prof_site *site_find(struct hak_heap *heap, const struct walk *walk)
{
    size_t bytes = walk->count * sizeof(uintptr_t);
    uint64_t hash = XXH3_64bits(walk->callers, bytes);
    _Atomic(struct hak_prof_site *) *bucket = &buckets[hash % BUCKETS];
    /* acquire: pairs with the release below; the sites are readable. */
    struct hak_prof_site *head = atomic_load_explicit(bucket, memory_order_acquire);
    struct hak_prof_site *site = list_find(head, NULL, walk, hash);
    if (site != NULL) {
        return site;
    }
    struct hak_prof_site *new = hak_meta_take(&heap->meta, sizeof *new + bytes);
    if (new == NULL) {
        return &lost;
    }
    new->hash = hash;
    new->count = walk->count;
    memcpy(new->callers, walk->callers, bytes);
    do {
        site = list_find(head, new->next, walk, hash); /* what came meanwhile */
        if (site != new->next) {
            hak_meta_give(&heap->meta, new, sizeof *new + bytes);
            return site;
        }
        new->next = head;
        /* release: the site is filled; acquire: see above. */
    } while (!atomic_compare_exchange_weak_explicit(bucket, &head, new, memory_order_release,
                                                    memory_order_acquire));
    return new;
}

struct hak_prof_site *hak_prof_site(struct hak_heap *heap, const void *frame)
{
    struct hak_prof *prof = hak_prof_of(heap);
    struct hak_prof_site *site = seen_find(prof, frame);
    if (site != NULL) {
        return site;
    }
    struct walk walk = {.seen.frame = frame, .is_plain = true};
    stack_walk(&walk);
    site = site_find(heap, &walk);
    if (walk.is_plain && walk.count <= HAK_PROF_PLACES && site != &lost) {
        walk.seen.site = site;
        prof->seen[prof->next_seen++ % HAK_PROF_SEEN] = walk.seen;
    }
    return site;
}

const struct hak_prof_site *hak_prof_site_after(const struct hak_prof_site *site)
{
    size_t i = site == NULL ? 0 : site->hash % BUCKETS + 1;
    if (site == &lost) {
        return NULL;
    }
    if (site != NULL && site->next != NULL) {
        return site->next;
    }
    for (; i < BUCKETS; i++) {
        /* acquire: see site_find(). */
        struct hak_prof_site *head = atomic_load_explicit(&buckets[i], memory_order_acquire);
        if (head != NULL) {
            return head;
        }
    }
    return &lost;
}
