/*
 * thread: how a thread gets a heap, and what becomes of it.
 *
 *   first block   hak_heap_enter → heap_attach → heap_take_orphan or heap_make
 *   last block    heap_thread_exit → hak_heap_release_all, hak_shelf_abandon → ORPHAN
 *   after that    hak_heap_enter → heap_borrow ... hak_heap_leave → back to ORPHAN
 */
#include <pthread.h>

#include "front/heap.h"
#include "front/start.h"
#include "segment/purge.h"

/* Threads that have no heap see one of these: all zero, so every bin is empty and every address out
 * of bounds. They are never written. */
static _Alignas(4096) const char no_heaps[2][4096];
#define NOT_YET ((struct hak_heap *)(uintptr_t)no_heaps[0])
#define ENDED ((struct hak_heap *)(uintptr_t)no_heaps[1])

_Thread_local struct hak_heap *hak_heap_self = (struct hak_heap *)(uintptr_t)no_heaps[0];

static _Atomic(struct hak_heap *) all_heaps; /* [any, atomic] a list that only grows */
static _Atomic(uint32_t) orphans;            /* [any, atomic] about how many are nobody's */
static _Atomic(uint32_t) trims;              /* [any, atomic] calls of malloc_trim() */
static pthread_key_t exit_key;               /* [const after init] */

struct hak_heap *hak_heap_first(void)
{
    /* acquire: pairs with heap_make(); the heap behind the pointer is initialised. */
    return atomic_load_explicit(&all_heaps, memory_order_acquire);
}

static uint32_t trims_count(void)
{
    /* relaxed: a flag; whoever sees it late obeys late. */
    return atomic_load_explicit(&trims, memory_order_relaxed);
}

static bool state_change(struct hak_heap *heap, uint32_t from, uint32_t to)
{
    /* seq_cst: acquire and release hand the heap over; and a change to ORPHAN is before the look at
     * `pending` in hak_remote_help(), where a pusher writes `pending` and then reads the state. */
    return atomic_compare_exchange_strong_explicit(&heap->state, &from, to, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

bool hak_heap_hold(struct hak_heap *heap)
{
    return state_change(heap, HAK_HEAP_ORPHAN, HAK_HEAP_HELD);
}

void hak_heap_let_go(struct hak_heap *heap)
{
    /* Fails if a fork froze the heap meanwhile. */
    if (state_change(heap, HAK_HEAP_HELD, HAK_HEAP_ORPHAN)) {
        hak_remote_help(heap);
    }
}

/* A new heap in the given state, on the list of all; NULL when memory is out. */
static struct hak_heap *heap_make(uint32_t state)
{
    struct hak_heap *heap = hak_meta_new(sizeof *heap, HAK_HEAP_ALIGN);
    if (heap == NULL) {
        return NULL;
    }
    heap->tags = hak_region.tags;
    heap->arena_base = hak_region.base;
    /* relaxed: published with the heap below. */
    atomic_store_explicit(&heap->state, state, memory_order_relaxed);
    heap->next = hak_heap_first();
    /* release: pairs with hak_heap_first(). */
    while (!atomic_compare_exchange_weak_explicit(&all_heaps, &heap->next, heap,
                                                  memory_order_release, memory_order_relaxed)) {
    }
    return heap;
}

static void orphans_add(uint32_t count)
{
    /* relaxed: a hint that saves walks over all heaps. */
    (void)atomic_fetch_add_explicit(&orphans, count, memory_order_relaxed);
}

/* An orphan with all it holds, or NULL. */
static struct hak_heap *heap_take_orphan(uint32_t state)
{
    /* relaxed: a hint. */
    if (atomic_load_explicit(&orphans, memory_order_relaxed) == 0) {
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

static struct hak_heap *heap_attach(void)
{
    if (!hak_start()) {
        return NULL;
    }
    struct hak_heap *heap = heap_take_orphan(HAK_HEAP_LIVE);
    if (heap != NULL) {
        orphans_add(UINT32_MAX);
    } else if ((heap = heap_make(HAK_HEAP_LIVE)) == NULL) {
        return NULL;
    }
    heap->exit_rounds = 0;
    heap->seen_ticks = hak_purge_ticks();
    heap->seen_trims = trims_count();
    heap->arena_pages = hak_region_pages();
    hak_heap_self = heap;
    (void)pthread_setspecific(exit_key, heap);
    if (hak_start_prewarm()) {
        heap->busy = true;
        heap_prewarm(heap);
    }
    return heap;
}

/* For a thread whose heap is gone already: libc frees after the last key destructor. */
static struct hak_heap *heap_borrow(void)
{
    struct hak_heap *heap = heap_take_orphan(HAK_HEAP_HELD);
    if (heap == NULL) {
        heap = heap_make(HAK_HEAP_HELD);
        if (heap == NULL) {
            return NULL;
        }
        orphans_add(1);
    }
    heap->arena_pages = hak_region_pages();
    return heap;
}

/* How often a slow path reads the clock. */
#define ENTRIES_A_POLL 16

static void heap_look_around(struct hak_heap *heap)
{
    if (heap->mend) {
        hak_fork_mend(heap);
    }
    if (heap->seen_trims != trims_count()) {
        heap->seen_trims = trims_count();
        hak_heap_release_all(heap);
    }
    if (heap->entries % ENTRIES_A_POLL == 0) {
        (void)hak_purge_poll();
        if (heap->seen_ticks != hak_purge_ticks()) {
            heap->seen_ticks = hak_purge_ticks();
            hak_heap_tidy(heap);
        }
    }
}

struct hak_heap *hak_heap_enter(void)
{
    struct hak_heap *heap = hak_heap_self;
    if (HAK_UNLIKELY(!hak_heap_is_real(heap))) {
        heap = heap == ENDED ? heap_borrow() : heap_attach();
        if (heap != NULL) {
            heap->busy = true;
        }
        return heap;
    }
    heap->busy = true;
    heap->entries++;
    heap_look_around(heap);
    return heap;
}

/* Hands a heap without thread over to whoever wants it. */
static void heap_retire(struct hak_heap *heap, uint32_t state)
{
    hak_heap_release_all(heap);
    hak_shelf_abandon(heap);
    heap->busy = false;
    if (state_change(heap, state, HAK_HEAP_ORPHAN)) {
        hak_remote_help(heap);
    }
}

void hak_heap_leave(struct hak_heap *heap)
{
    if (HAK_UNLIKELY(heap != hak_heap_self)) {
        heap_retire(heap, HAK_HEAP_HELD);
        return;
    }
    heap->busy = false;
}

/* Other keys' destructors may still allocate: the heap goes in the last but one round of them. */
#define EXIT_ROUNDS 3

static void heap_thread_exit(void *value)
{
    struct hak_heap *heap = value;
    if (++heap->exit_rounds < EXIT_ROUNDS && pthread_setspecific(exit_key, heap) == 0) {
        return;
    }
    hak_heap_self = ENDED;
    orphans_add(1);
    heap_retire(heap, HAK_HEAP_LIVE);
}

bool hak_thread_init(void)
{
    return pthread_key_create(&exit_key, heap_thread_exit) == 0;
}

size_t hak_heap_trim(void)
{
    /* relaxed: the flag that other threads obey in their next slow path. */
    (void)atomic_fetch_add_explicit(&trims, 1, memory_order_relaxed);
    for (struct hak_heap *at = hak_heap_first(); at != NULL; at = at->next) {
        if (hak_heap_hold(at)) {
            hak_remote_drain(at, true);
            hak_shelf_sweep(at, SIZE_MAX);
            hak_heap_let_go(at);
        }
    }
    return hak_purge_all();
}
