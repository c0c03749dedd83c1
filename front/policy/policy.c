/*
 * policy: snapshots, and where they come from.
 */
#include "front/policy/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front/options.h"
#include "front/policy/magazine.h"
#include "front/policy/text.h"
#include "front/start.h"
#include "hak_probe.h"
#include "hakmem.h"
#include "segment/os.h"

/* What is there before any other is published: every class as by default. */
static const struct hak_policy plain;

_Atomic(const struct hak_policy *) hak_policy_current = &plain;
static _Atomic(struct hak_policy *) kept; /* [any, atomic] all that were published, newest first */
static _Atomic(uint32_t) kept_count;      /* [any, atomic] */

/* ---- snapshots ---- */

static bool policy_is_same(const struct hak_policy *one, const struct hak_policy *other)
{
    return memcmp(one, other, offsetof(struct hak_policy, next)) == 0;
}

/* A snapshot with that content: one that was published before, or a new one. */
static const struct hak_policy *snapshot_of(const struct hak_policy *draft)
{
    if (policy_is_same(draft, &plain)) {
        return &plain;
    }
    /* acquire: pairs with the release below; the snapshots behind the pointer are readable. */
    struct hak_policy *newest = atomic_load_explicit(&kept, memory_order_acquire);
    for (struct hak_policy *at = newest; at != NULL; at = at->next) {
        if (policy_is_same(draft, at)) {
            return at;
        }
    }
    /* relaxed: a bound. */
    if (atomic_fetch_add_explicit(&kept_count, 1, memory_order_relaxed) >= HAK_POLICIES) {
        /* relaxed: the same; this one was not made. */
        (void)atomic_fetch_sub_explicit(&kept_count, 1, memory_order_relaxed);
        return NULL;
    }
    struct hak_policy *made = hak_meta_new(sizeof *made, HAK_CACHE_LINE);
    if (made == NULL) {
        return NULL;
    }
    *made = *draft;
    made->next = newest;
    /* acq_rel: whoever finds it on the list sees all of it; and `next` may be another's now. */
    while (!atomic_compare_exchange_weak_explicit(&kept, &made->next, made, memory_order_acq_rel,
                                                  memory_order_acquire)) {
    }
    return made;
}

/* Tells tracers of each class for which the policy is another one now. */
static void change_tell(const struct hak_policy *before, const struct hak_policy *after)
{
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        const struct hak_policy_class *old = &before->classes[bin_idx];
        const struct hak_policy_class *new = &after->classes[bin_idx];
        if (!hak_policy_same(old, new)) {
            HAK_PROBE3(policy_change, bin_idx, new->route, new->capacity);
        }
    }
}

bool hak_policy_publish(const struct hak_policy *draft, const struct hak_policy *base)
{
    const struct hak_policy *snapshot = snapshot_of(draft);
    if (snapshot == NULL) {
        return false;
    }
    if (base == NULL) {
        /* acq_rel: pairs with hak_policy_now(): the snapshot is whole before a heap finds it; and
         * the one before is readable. */
        base = atomic_exchange_explicit(&hak_policy_current, snapshot, memory_order_acq_rel);
    } else if (!atomic_compare_exchange_strong_explicit(
                   /* release: the same; `base` was read before. */
                   &hak_policy_current, &base, snapshot, memory_order_release,
                   memory_order_relaxed)) {
        return false;
    }
    change_tell(base, snapshot);
    return true;
}

/* ---- heaps ---- */

void hak_policy_apply(struct hak_heap *heap)
{
    heap->policy = hak_policy_now();
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        hak_prof_join(heap, bin_idx);
        hak_magazine_rule(heap, bin_idx);
        hak_prof_split(heap, bin_idx);
    }
}

/* ---- sources ---- */

#define FILE_BYTES ((size_t)16384)

/* A text, or the name of a shipped one. */
static bool policy_read(const char *text, struct hak_policy *policy, char fault[HAK_FAULT_BYTES])
{
    const char *shipped = hak_policy_profile(text, strlen(text));
    return hak_policy_parse(shipped != NULL ? shipped : text, policy, fault);
}

static const char *file_read(const char *path, char fault[HAK_FAULT_BYTES])
{
    static char text[FILE_BYTES]; /* [who starts the process] */
    size_t bytes = hak_os_file_read(path, text, sizeof text);
    if (bytes < sizeof text && strlen(text) == bytes) {
        return text;
    }
    (void)snprintf(fault, HAK_FAULT_BYTES, "the file %s",
                   bytes == SIZE_MAX ? "cannot be read" : "is no text of at most 16383 bytes");
    return NULL;
}

/* The tiers are fixed when the first page is cut. */
static void tiers_init(const struct hak_policy *policy)
{
    if (policy->tiny_max_class != 0) {
        hak_options.tiny_max_class = policy->tiny_max_class;
    }
    if (policy->smallmid != 0) {
        hak_options.smallmid_enable = policy->smallmid == 2;
    }
    hak_classes_init(hak_options.tiny_max_class == 5 ? 256 : HAK_SMALL_MAX,
                     hak_options.smallmid_enable != 0);
}

void hak_policy_start(void)
{
    char fault[HAK_FAULT_BYTES];
    struct hak_policy policy;
    const char *text = getenv("HAKMEM_POLICY");
    tiers_init(&plain);
    if (text != NULL && strchr(text, '/') != NULL) {
        if (secure_getenv("HAKMEM_POLICY") == NULL) {
            return; /* a privileged program reads no file at its caller's wish */
        }
        text = file_read(text, fault);
    } else if (text == NULL) {
        return;
    }
    if (text == NULL || !policy_read(text, &policy, fault)) {
        hak_options_say_fault("HAKMEM_POLICY", fault, "balanced");
        return;
    }
    tiers_init(&policy);
    (void)hak_policy_publish(&policy, NULL);
}

static bool tiers_agree(const struct hak_policy *policy)
{
    return (policy->tiny_max_class == 0 || policy->tiny_max_class == hak_options.tiny_max_class) &&
           (policy->smallmid == 0 || (policy->smallmid == 2) == (hak_options.smallmid_enable != 0));
}

int hak_policy_set(const char *text, char *fault, size_t fault_bytes)
{
    char wrong[HAK_FAULT_BYTES] = "out of memory, or of policies";
    struct hak_policy policy;
    int error = EINVAL;
    if (!hak_start()) {
        error = ENOMEM;
    } else if (policy_read(text, &policy, wrong)) {
        if (!tiers_agree(&policy)) {
            (void)snprintf(wrong, sizeof wrong, "tiers are fixed at start");
        } else {
            error = hak_policy_publish(&policy, NULL) ? 0 : ENOMEM;
        }
    }
    if (fault_bytes != 0) {
        (void)snprintf(fault, fault_bytes, "%s", error == 0 ? "" : wrong);
    }
    return error;
}

size_t hak_policy_get(char *text, size_t bytes)
{
    if (!hak_start()) {
        return 0;
    }
    int head =
        snprintf(text, bytes, "tiny_max_class %u\nsmallmid %u\n",
                 (unsigned)hak_options.tiny_max_class, (unsigned)hak_options.smallmid_enable);
    size_t done = head > 0 ? (size_t)head : 0;
    size_t at = hak_min(done, bytes);
    done += hak_policy_print(hak_policy_now(), bytes == 0 ? NULL : text + at, bytes - at);
    return done;
}
