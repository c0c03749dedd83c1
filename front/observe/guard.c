/*
 * guard: what becomes of foreign pointers, and the report of where they came from.
 *
 *   hak_guard_foreign ... → guard_note → pointer_note  for who reports: size, mapped, callers
 *                                      → report        at HAKMEM_GUARD_REPORT pointers; and at exit
 *                         → libc's function, if HAKMEM_GUARD=forward
 */
#include "front/observe/guard.h"

#include <dlfcn.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "front/classes.h"
#include "front/observe/callers.h"
#include "front/observe/out.h"
#include "front/options.h"
#include "front/start.h"
#include "front/take.h"
#include "segment/os.h"

#define CALLERS_MAX 6
#define SITES 64
#define REPORT_SITES 10

/* A place that foreign pointers come from. */
struct site {
    _Atomic(uint64_t) key;    /* [who claims it, atomic] 0: not in use */
    _Atomic(uint64_t) count;  /* [any, atomic] */
    _Atomic(uint64_t) mapped; /* [any, atomic] of those, addresses that are mapped */
    _Atomic(uint64_t) bands;  /* [any, atomic] bit i: sizes up to 2^i bytes; bit 0: not known */
    uintptr_t callers[CALLERS_MAX]; /* [who claims it] */
    _Atomic(size_t) depth;          /* [who claims it, atomic] of `callers`, written after them */
};

static struct site sites[SITES + 1]; /* the last one for what finds no place */
static _Atomic(uint64_t) noted;      /* [any, atomic] pointers in the table */

/* libc's own functions, if they are asked for; static programs have none. [const after load] */
static struct {
    void (*free)(void *);
    void *(*realloc)(void *, size_t);
    size_t (*usable)(void *);
} libc;
#pragma weak dlsym
#pragma weak dladdr

__attribute__((constructor)) static void guard_loaded(void)
{
    if (hak_start() && hak_options.guard == HAK_GUARD_FORWARD && dlsym != NULL) {
        *(void **)&libc.realloc = dlsym(RTLD_NEXT, "realloc");
        *(void **)&libc.usable = dlsym(RTLD_NEXT, "malloc_usable_size");
        *(void **)&libc.free = dlsym(RTLD_NEXT, "free");
    }
}

/* ---- text ---- */

/* By file and offset, for addr2line; by address where the dynamic linker knows nothing. */
static void callers_print(struct hak_out *out, const uintptr_t *callers, size_t count)
{
    hak_out(out, " from");
    for (size_t i = 0; i < count; i++) {
        Dl_info in;
        if (dladdr != NULL && dladdr((void *)callers[i], &in) != 0 && in.dli_fname != NULL) {
            const char *slash = strrchr(in.dli_fname, '/');
            hak_out(out, " %.100s+%#zx", slash == NULL ? in.dli_fname : slash + 1,
                    (size_t)(callers[i] - (uintptr_t)in.dli_fbase));
        } else {
            hak_out(out, " %#zx", (size_t)callers[i]);
        }
    }
    hak_out(out, "%s\n", count == 0 ? " other places" : "");
}

static void bands_print(struct hak_out *out, uint64_t bands)
{
    bands &= ~(uint64_t)1;
    if (bands == 0) {
        hak_out(out, ", of unknown size,");
    } else {
        size_t low = (size_t)1 << __builtin_ctzll(bands);
        hak_out(out, ", of %zu to %zu bytes,", low / 2 + 1,
                (size_t)1 << (63 - __builtin_clzll(bands)));
    }
}

/* Those places that most came from. */
static void report(void)
{
    struct hak_out out = {.write = hak_out_error};
    bool printed[SITES + 1] = {false};
    hak_out(&out,
            "hakmem: guard: foreign pointers: %" PRIu64 " free, %" PRIu64 " realloc, %" PRIu64
            " malloc_usable_size\n",
            hak_figure(&hak_counts[HAK_COUNT_FOREIGN_FREE]),
            hak_figure(&hak_counts[HAK_COUNT_FOREIGN_REALLOC]),
            hak_figure(&hak_counts[HAK_COUNT_FOREIGN_SIZE]));
    for (size_t rank = 0; rank < REPORT_SITES; rank++) {
        size_t most = 0;
        uint64_t count = 0;
        for (size_t i = 0; i <= SITES; i++) {
            uint64_t here = printed[i] ? 0 : hak_figure(&sites[i].count);
            most = here > count ? i : most;
            count = hak_max(here, count);
        }
        if (count == 0) {
            break;
        }
        const struct site *site = &sites[most];
        printed[most] = true;
        hak_out(&out, "hakmem: guard: %" PRIu64 ", %" PRIu64 " mapped", count,
                hak_figure(&site->mapped));
        bands_print(&out, hak_figure(&site->bands));
        /* acquire: pairs with the release in site_find(). */
        callers_print(&out, site->callers,
                      atomic_load_explicit(&site->depth, memory_order_acquire));
    }
    hak_out_end(&out);
}

__attribute__((destructor)) static void guard_ends(void)
{
    uint64_t count = hak_figure(&noted);
    if ((hak_options.guard_stats != 0 && count != 0) ||
        (hak_options.guard_report != 0 && count > hak_options.guard_report)) {
        report();
    }
}

/* ---- the table of places ---- */

/* The place of these return addresses, zero behind the last; the last place if all are taken. */
static struct site *site_find(const uintptr_t *callers, size_t depth)
{
    uint64_t key = XXH3_64bits(callers, sizeof sites[0].callers) | 1;
    for (size_t i = 0; i < SITES; i++) {
        struct site *site = &sites[(key / 2 + i) % SITES];
        uint64_t old = 0;
        /* relaxed: who finds its key there only counts; to read the callers, there is `depth`. */
        if (atomic_compare_exchange_strong_explicit(&site->key, &old, key, memory_order_relaxed,
                                                    memory_order_relaxed)) {
            memcpy(site->callers, callers, sizeof site->callers);
            /* release: pairs with the acquire in report(). */
            atomic_store_explicit(&site->depth, depth, memory_order_release);
            return site;
        }
        if (old == key) {
            return site;
        }
    }
    return &sites[SITES];
}

static const char *const names[] = {"free", "realloc", "malloc_usable_size"};

static void pointer_note(const void *block, size_t bytes, enum hak_guard_call call,
                         const void *frame)
{
    uintptr_t callers[CALLERS_MAX] = {0};
    size_t depth = hak_callers(frame, callers, CALLERS_MAX);
    bool mapped = hak_os_look(block) != HAK_OS_NOTHING;
    uint64_t band = bytes == 0 ? 1 : hak_power_of_two_up(hak_max(bytes, 2));
    struct site *site = site_find(callers, depth);
    hak_figure_add(&site->count, 1);
    hak_figure_add(&site->mapped, mapped);
    /* relaxed: a figure. */
    (void)atomic_fetch_or_explicit(&site->bands, band, memory_order_relaxed);
    if (hak_options.guard_log != 0) {
        struct hak_out out = {.write = hak_out_error};
        hak_out(&out, "hakmem: guard: %s(%#zx), %smapped", names[call], (size_t)block,
                mapped ? "" : "not ");
        bands_print(&out, band);
        callers_print(&out, callers, depth);
        hak_out_end(&out);
    }
}

/* ---- one pointer ---- */

/* Whether libc may have made it. */
static bool may_be_libcs(const void *block)
{
    return libc.free != NULL && libc.realloc != NULL && libc.usable != NULL &&
           (uintptr_t)block % HAK_GRAIN == 0 && !hak_arena_owns(block) &&
           hak_os_look((const char *)block - sizeof(size_t)) == HAK_OS_READABLE;
}

/* Counts, logs and reports. True if libc is to be asked. `frame` is the caller's. */
static bool guard_note(void *block, enum hak_guard_call call, const void *frame)
{
    bool forwards = may_be_libcs(block);
    hak_count(HAK_COUNT_FOREIGN_FREE + (enum hak_count)call);
    hak_count_add(HAK_COUNT_FORWARDED, forwards);
    if ((hak_options.guard_report | hak_options.guard_stats | hak_options.guard_log) != 0) {
        pointer_note(block, forwards ? libc.usable(block) : 0, call, frame);
        /* relaxed: a figure; one thread makes it the one that is waited for. */
        uint64_t before = atomic_fetch_add_explicit(&noted, 1, memory_order_relaxed);
        if (before + 1 == hak_options.guard_report) {
            report();
        }
    }
    HAK_CHECK(hak_options.guard != HAK_GUARD_ABORT, "hakmem: a foreign pointer (HAKMEM_GUARD)");
    return forwards;
}

HAK_NOINLINE void hak_guard_foreign(void *block)
{
    int saved = errno;
    if (guard_note(block, HAK_GUARD_FREE, __builtin_frame_address(0))) {
        libc.free(block);
    }
    errno = saved;
}

HAK_NOINLINE void *hak_guard_realloc(void *block, size_t size)
{
    return guard_note(block, HAK_GUARD_REALLOC, __builtin_frame_address(0))
               ? libc.realloc(block, size)
               : hak_take_nothing();
}

HAK_NOINLINE size_t hak_guard_size(void *block)
{
    return guard_note(block, HAK_GUARD_SIZE, __builtin_frame_address(0)) ? libc.usable(block) : 0;
}
