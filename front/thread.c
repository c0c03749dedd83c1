/*
 * thread: how a thread gets a heap, and what becomes of it.
 *
 *   first block   hak_heap_enter → heap_attach → heap_take_orphan or heap_make
 *   last block    heap_thread_exit → hak_heap_release_all, hak_shelf_rest → ORPHAN
 *   after that    hak_heap_enter → heap_borrow ... hak_heap_leave → back to ORPHAN
 *   while idle    hak_heap_poll of another thread → heaps_tend_all
 *   fork          hak_heap_fork_child
 */
#include <pthread.h>

#include "front/harden/harden.h"
#include "front/observe/live.h"
#include "front/options.h"
#include "front/policy/learner.h"
#include "front/profile/prof.h"
#include "front/start.h"
#include "segment/count.h"
#include "segment/os.h"
#include "segment/purge.h"

/* Threads that have no heap see one of these: all zero, so every bin is empty and every address out
 * of bounds. They are never written. */
static _Alignas(4096) const char no_heaps[2][4096];
#define ENDED ((struct hak_heap *)(uintptr_t)no_heaps[1])
#define NOT_YET ((struct hak_heap *)(uintptr_t)no_heaps[0])

_Thread_local struct hak_heap *hak_heap_self = (struct hak_heap *)(uintptr_t)no_heaps[0];

_Atomic(struct hak_heap *) hak_all_heaps;
static _Atomic(uint32_t) heaps_usable; /* [any, atomic] how many are not frozen */
static _Atomic(uint32_t) orphans;      /* [any, atomic] about how many are nobody's */
static _Atomic(uint32_t) trims;        /* [any, atomic] calls of malloc_trim() */
static uint32_t forks;                 /* [const while there are threads] of ancestors */
static pthread_key_t exit_key;         /* [const after init] */
static bool exit_key_made;             /* [const after init] */

struct hak_heap *hak_heap_first(void)
{
    /* acquire: pairs with heap_make(); the heap behind the pointer is initialised. */
    return atomic_load_explicit(&hak_all_heaps, memory_order_acquire);
}

uint32_t hak_heap_orphans(void)
{
    /* relaxed: a hint that saves walks over all heaps. */
    return atomic_load_explicit(&orphans, memory_order_relaxed);
}

uint32_t hak_heap_owned(void)
{
    /* relaxed: a figure. */
    uint32_t made = atomic_load_explicit(&heaps_usable, memory_order_relaxed);
    return made - (uint32_t)hak_min(hak_heap_orphans(), made);
}

static void orphans_add(uint32_t count)
{
    /* relaxed: see above; wrap-around subtracts. */
    (void)atomic_fetch_add_explicit(&orphans, count, memory_order_relaxed);
}

static uint32_t trims_count(void)
{
    /* relaxed: a flag; whoever sees it late obeys late. */
    return atomic_load_explicit(&trims, memory_order_relaxed);
}

/* ---- states ---- */

static uint32_t state_of(const struct hak_heap *heap)
{
    /* relaxed: a hint; state_change() decides. */
    return atomic_load_explicit(&heap->state, memory_order_relaxed);
}

static bool state_change(struct hak_heap *heap, uint32_t from, uint32_t to)
{
    if (state_of(heap) != from) {
        return false;
    }
    /* seq_cst: acquire and release hand the heap over; and a change to ORPHAN is before the look at
     * `pending` in hak_heap_help(), where a pusher writes `pending` and then reads the state. */
    return atomic_compare_exchange_strong_explicit(&heap->state, &from, to, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

/* In the child of a fork, once a heap: finds what vanished threads left half announced. */
static bool heap_mend(struct hak_heap *heap)
{
    if (HAK_LIKELY(heap->seen_forks == forks)) {
        return false;
    }
    heap->seen_forks = forks;
    hak_shelf_mend(heap);
    return true;
}

bool hak_heap_hold_orphan(struct hak_heap *heap)
{
    bool held = state_change(heap, HAK_HEAP_ORPHAN, HAK_HEAP_ORPHAN_HELD);
    if (held && heap_mend(heap)) {
        hak_shelf_rest(heap);
    }
    return held;
}

void hak_heap_let_go_orphan(struct hak_heap *heap)
{
    if (state_change(heap, HAK_HEAP_ORPHAN_HELD, HAK_HEAP_ORPHAN)) {
        hak_heap_help(heap);
    }
}

/* The holder's store, without its barrier. */
static bool idle_reserve(struct hak_heap *heap)
{
    uint32_t nobody = 0;
    /* acquire: what an earlier holder did. */
    return state_of(heap) == HAK_HEAP_IDLE &&
           atomic_compare_exchange_strong_explicit(&heap->holder, &nobody, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

void hak_heap_let_go_idle(struct hak_heap *heap)
{
    /* release: pairs with the owner's load in heap_try_enter(). */
    atomic_store_explicit(&heap->holder, 0, memory_order_release);
}

/* For a reserved heap, after the barrier: it is held now, or not reserved any more. */
static bool idle_confirm(struct hak_heap *heap)
{
    /* acquire: pairs with the owner's last hak_heap_leave(). */
    if (atomic_load_explicit(&heap->state, memory_order_acquire) == HAK_HEAP_IDLE) {
        return true;
    }
    hak_heap_let_go_idle(heap);
    return false;
}

/* A barrier on all CPUs. Once refused, it is tried again after the next tick only. */
static bool barrier_all(void)
{
    static _Atomic(uint32_t) refused_at; /* [any, atomic] ticks + 1, or 0 */
    uint32_t now = hak_purge_ticks() + 1;
    /* relaxed: a note that saves system calls. */
    if (atomic_load_explicit(&refused_at, memory_order_relaxed) == now) {
        return false;
    }
    if (hak_os_barrier_all()) {
        return true;
    }
    /* relaxed: the same. */
    atomic_store_explicit(&refused_at, now, memory_order_relaxed);
    return false;
}

bool hak_heap_hold_idle(struct hak_heap *heap)
{
    if (idle_reserve(heap)) {
        if (barrier_all()) {
            return idle_confirm(heap);
        }
        hak_heap_let_go_idle(heap);
    }
    return false;
}

void hak_heap_help(struct hak_heap *heap)
{
    /* seq_cst: after the push or the change to ORPHAN that the caller has made. */
    while (atomic_load_explicit(&heap->pending, memory_order_seq_cst) != NULL &&
           state_change(heap, HAK_HEAP_ORPHAN, HAK_HEAP_ORPHAN_HELD)) {
        hak_shelf_drain(heap, true);
        (void)state_change(heap, HAK_HEAP_ORPHAN_HELD, HAK_HEAP_ORPHAN);
    }
}

/* ---- a heap for a thread ---- */

/* A new heap in the given state, on the list of all; NULL when memory is out. */
static struct hak_heap *heap_make(uint32_t state)
{
    struct hak_heap *heap = hak_prof_heap();
    if (heap == NULL) {
        return NULL;
    }
    heap->tags = hak_region.tags;
    heap->arena_base = hak_region.base;
    heap->seen_forks = forks;
    heap->policy = hak_policy_now();
    /* relaxed: published with the heap below. */
    atomic_store_explicit(&heap->state, state, memory_order_relaxed);
    heap->next = hak_heap_first();
    /* acq_rel: pairs with hak_heap_first(); and a heap that came in between is `next` now, and is
     * read by way of ours. */
    while (!atomic_compare_exchange_weak_explicit(&hak_all_heaps, &heap->next, heap,
                                                  memory_order_acq_rel, memory_order_acquire)) {
    }
    /* relaxed: a figure. */
    (void)atomic_fetch_add_explicit(&heaps_usable, 1, memory_order_relaxed);
    return heap;
}

/* An orphan with all it holds, or NULL. */
static struct hak_heap *heap_take_orphan(uint32_t state)
{
    if (hak_heap_orphans() == 0) {
        return NULL;
    }
    for (struct hak_heap *at = hak_heap_first(); at != NULL; at = at->next) {
        if (state_change(at, HAK_HEAP_ORPHAN, state)) {
            return at;
        }
    }
    return NULL;
}

/* Sizes and counts of hakmem's PoolTLS pre-warm: 1.6 MB a thread. */
static void heap_prewarm(struct hak_heap *heap)
{
    static const struct {
        uint8_t kib, blocks;
    } rows[] = {{8, 16}, {16, 16}, {24, 12}, {32, 8}, {40, 8}, {48, 4}, {52, 4}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hak_heap_warm(heap, hak_class_bin(rows[i].kib * HAK_KIB), rows[i].blocks);
    }
}

/* A fork by a signal handler may have come while the heap was the thread's, and did not look so. */
static void heap_thaw(struct hak_heap *heap)
{
    if (HAK_UNLIKELY(state_of(heap) == HAK_HEAP_FROZEN)) {
        /* relaxed: such a child has one thread. */
        atomic_store_explicit(&heap->holder, 0, memory_order_relaxed);
        atomic_store_explicit(&heap->state, HAK_HEAP_BUSY, memory_order_relaxed);
    }
}

/* The thread's first slow path: returns inside of it. */
static struct hak_heap *heap_attach(void)
{
    if (hak_harden_decide()) {
        return NULL;
    }
    struct hak_heap *heap = heap_take_orphan(HAK_HEAP_BUSY);
    if (heap != NULL) {
        orphans_add(UINT32_MAX);
    } else if ((heap = heap_make(HAK_HEAP_BUSY)) == NULL) {
        return NULL;
    }
    heap->depth = 1;
    heap->seen_ticks = hak_purge_ticks();
    heap->seen_trims = trims_count();
    heap->arena_pages = hak_region_pages();
    hak_heap_self = heap;
    heap_thaw(heap);
    if (exit_key_made) {
        (void)pthread_setspecific(exit_key, heap); /* may allocate: that enters once more */
        heap->null_looks = HAK_NULL_LOOKS;
    }
    if (hak_options.prewarm != 0) {
        heap_prewarm(heap);
    }
    return heap;
}

/* For a thread whose heap is gone already: libc frees after the last key destructor. */
static struct hak_heap *heap_borrow(void)
{
    struct hak_heap *heap = heap_take_orphan(HAK_HEAP_ORPHAN_HELD);
    if (heap == NULL && (heap = heap_make(HAK_HEAP_ORPHAN_HELD)) != NULL) {
        orphans_add(1);
    }
    if (heap != NULL) {
        heap->arena_pages = hak_region_pages();
    }
    return heap;
}

/* ---- slow paths ---- */

/* How often a slow path reads the clock. */
#define ENTRIES_A_POLL 16

static void heap_look_around(struct hak_heap *heap)
{
    if (heap->seen_trims != trims_count()) {
        heap->seen_trims = trims_count();
        hak_heap_release_all(heap);
    }
    if (hak_heap_entries(heap) % ENTRIES_A_POLL == 0) {
        hak_heap_poll();
        hak_learner_look(heap);
        if (heap->seen_ticks != hak_purge_ticks()) {
            heap->seen_ticks = hak_purge_ticks();
            hak_heap_tidy(heap);
        }
    }
}

static void entries_count(struct hak_heap *heap)
{
    /* relaxed: one writer. */
    atomic_store_explicit(&heap->entries, hak_heap_entries(heap) + 1, memory_order_relaxed);
}

/* From IDLE to BUSY, unless another thread holds the heap. */
static bool heap_try_enter(struct hak_heap *heap)
{
    /* relaxed, and no fence: the order of this store and the next load is the holder's to see to,
     * by its barrier; the compiler alone must keep it. */
    atomic_store_explicit(&heap->state, HAK_HEAP_BUSY, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    /* acquire: pairs with hak_heap_let_go_idle(). */
    if (HAK_LIKELY(atomic_load_explicit(&heap->holder, memory_order_acquire) == 0)) {
        return true;
    }
    /* release: pairs with the load in hak_heap_hold_idle(). */
    atomic_store_explicit(&heap->state, HAK_HEAP_IDLE, memory_order_release);
    return false;
}

struct hak_heap *hak_heap_enter(void)
{
    struct hak_heap *heap;
    for (;; hak_os_yield()) { /* somebody sweeps it for us */
        heap = hak_heap_self; /* another one in the child of a fork, by a signal handler */
        if (HAK_UNLIKELY(!hak_heap_is_real(heap))) {
            return heap == ENDED ? heap_borrow() : heap_attach();
        }
        if (HAK_UNLIKELY(heap->depth != 0)) {
            heap->depth++;
            return heap; /* from within: setting the key's value may allocate */
        }
        if (HAK_LIKELY(heap_try_enter(heap))) {
            break;
        }
        entries_count(heap); /* who waits is seen to be awake */
        hak_count(HAK_COUNT_HEAP_WAITS);
    }
    heap->depth = 1;
    entries_count(heap);
    heap_look_around(heap);
    return heap;
}

bool hak_heap_has_ended(void)
{
    return hak_heap_self == ENDED;
}

void hak_heap_leave(struct hak_heap *heap)
{
    if (HAK_UNLIKELY(heap != hak_heap_self)) { /* borrowed */
        hak_heap_flush_all(heap); /* its pages may be adopted: no magazine must hold of them */
        hak_shelf_rest(heap);
        hak_heap_let_go_orphan(heap);
        return;
    }
    if (HAK_UNLIKELY(heap->depth != 1)) {
        heap->depth--;
        return;
    }
    (void)heap_mend(heap);
    heap->depth = 0;
    /* release: whoever holds the heap next sees what this slow path did. */
    atomic_store_explicit(&heap->state, HAK_HEAP_IDLE, memory_order_release);
}

/* ---- the end of a thread ---- */

/* Destructors of other keys may still allocate after this one: they borrow. */
static void heap_thread_exit(void *value)
{
    struct hak_heap *heap = hak_heap_self != value ? NULL : hak_heap_enter();
    if (heap == NULL) {
        return; /* the child of a fork that left this heap behind */
    }
    hak_heap_release_all(heap); /* in such a child, entering may just have found another one */
    hak_shelf_rest(heap);
    heap->depth = 0;
    hak_heap_self = ENDED;
    orphans_add(1);
    if (state_change(heap, HAK_HEAP_BUSY, HAK_HEAP_ORPHAN)) {
        hak_heap_help(heap);
    }
}

/* glibc frees NULL after a thread's last destructors. A heap whose first block came in the last
 * round of those is under the key no more. It is young: later on, nobody looks. */
void hak_heap_freed_null(void)
{
    struct hak_heap *heap = hak_heap_self;
    if (heap->null_looks != 0 && heap->null_looks-- != 0 && pthread_getspecific(exit_key) == NULL) {
        heap_thread_exit(heap);
    }
}

void hak_thread_init(void)
{
    /* Without a key, heaps of ended threads stay with their blocks: all keys are in use. */
    exit_key_made = exit_key_made || pthread_key_create(&exit_key, heap_thread_exit) == 0;
}

/* ---- heaps of other threads ---- */

/* Whether all pages of a heap have been at rest since it was last tended. */
static bool heap_is_tended(struct hak_heap *heap)
{
    /* relaxed: a note from one tending to the next, and a hint. */
    return atomic_load_explicit(&heap->tended_entries, memory_order_relaxed) ==
               hak_heap_entries(heap) + 1 &&
           atomic_load_explicit(&heap->pending, memory_order_relaxed) == NULL;
}

/* Heaps that one barrier serves. */
#define TEND_HEAPS 64

/* Gives back what heaps hold whose threads are in no slow path; not their magazines, which the
 * threads use without synchronisation. From here on their pages say so when blocks come back. */
static void heaps_tend(struct hak_heap *const *heaps, size_t count)
{
    bool sure = count != 0 && barrier_all();
    for (size_t i = 0; i < count; i++) {
        struct hak_heap *heap = heaps[i];
        if (sure && idle_confirm(heap)) {
            hak_shelf_drain(heap, true);
            hak_shelf_rest(heap);
            /* relaxed: a note; one more than `entries`, which may be 0. */
            atomic_store_explicit(&heap->tended_entries, hak_heap_entries(heap) + 1,
                                  memory_order_relaxed);
            hak_heap_let_go_idle(heap);
        } else if (!sure) {
            hak_heap_let_go_idle(heap);
        }
    }
}

/* Whether its thread was in no slow path since the last tick. */
static bool was_idle(struct hak_heap *heap)
{
    uint32_t entries = hak_heap_entries(heap);
    /* relaxed: a note from tick to tick. */
    return atomic_exchange_explicit(&heap->tick_entries, entries, memory_order_relaxed) == entries;
}

/* At a tick those that were idle since the last one; else all. */
static void heaps_tend_all(bool at_tick)
{
    struct hak_heap *reserved[TEND_HEAPS];
    size_t count = 0;
    for (struct hak_heap *at = hak_heap_first(); at != NULL; at = at->next) {
        if ((!at_tick || was_idle(at)) && !heap_is_tended(at) && idle_reserve(at)) {
            reserved[count++] = at;
        }
        if (count == TEND_HEAPS) {
            heaps_tend(reserved, count);
            count = 0;
        }
    }
    heaps_tend(reserved, count);
}

void hak_heap_poll(void)
{
    if (hak_purge_poll()) {
        heaps_tend_all(true);
    }
    hak_live_poll();
}

size_t hak_heap_trim(void)
{
    /* relaxed: the flag that other threads obey in their next slow path. */
    (void)atomic_fetch_add_explicit(&trims, 1, memory_order_relaxed);
    for (struct hak_heap *at = hak_heap_first(); at != NULL; at = at->next) {
        if (hak_heap_hold_orphan(at)) {
            hak_heap_release_all(at);
            hak_shelf_rest(at);
            hak_heap_let_go_orphan(at);
        }
    }
    heaps_tend_all(false);
    return hak_purge_all();
}

static bool is_held(const struct hak_heap *heap)
{
    /* relaxed: the child has one thread. */
    return atomic_load_explicit(&heap->holder, memory_order_relaxed) != 0;
}

/*
 * There is no lock that a vanished thread could hold: everything shared changes by single CAS
 * steps, so it is consistent at any instant of the fork. What remains is to be mended:
 *   - Heaps of other threads are frozen, and so is this thread's if somebody was holding it: who
 *     worked on them may have stood in the middle of an operation. Blocks in them stay valid; frees
 *     of them go to remote bits that nobody collects.
 *   - A vanished thread may have freed a block of ours without getting to notify us, or have set
 *     PENDING without getting to push the page: every page is looked at once, when somebody next
 *     works on its heap.
 */
void hak_heap_fork_child(void)
{
    struct hak_heap *self = hak_heap_self;
    uint32_t orphan_count = 0;
    uint32_t own_count = 0;
    forks++;
    hak_page_forked();
    for (struct hak_heap *at = hak_heap_first(); at != NULL; at = at->next) {
        bool is_orphan = state_of(at) == HAK_HEAP_ORPHAN;
        /* In a slow path, nobody but its owner works on a heap. */
        bool is_ours = at == self && (at->depth != 0 || !is_held(at));
        orphan_count += is_orphan;
        own_count += is_ours;
        if (!is_orphan && !is_ours) {
            /* relaxed: the child has one thread. */
            atomic_store_explicit(&at->state, HAK_HEAP_FROZEN, memory_order_relaxed);
        } else if (is_held(at)) {
            /* relaxed: the same. Who set it is gone. */
            atomic_store_explicit(&at->holder, 0, memory_order_relaxed);
        }
    }
    /* relaxed: the same, and figures. */
    atomic_store_explicit(&orphans, orphan_count, memory_order_relaxed);
    atomic_store_explicit(&heaps_usable, orphan_count + own_count, memory_order_relaxed);
    if (hak_heap_is_real(self) && state_of(self) == HAK_HEAP_FROZEN) {
        hak_heap_self = NOT_YET;
    }
}
