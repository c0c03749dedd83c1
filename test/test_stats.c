/*
 * The statistics say just what was done: after known operations each figure is known.
 *
 * ctest: labels=quick timeout=60
 */
#include "front/layout.h"
#include "front/observe/stats.h"
#include "segment/os.h"

#include "support.h"

#include <stdatomic.h>
#include <sys/mman.h>

#define BLOCKS 600 /* of a class, at most */
#define THREADS 4

static struct hak_stats now(void)
{
    struct hak_stats stats;
    hak_stats_read(&stats);
    return stats;
}

static size_t bin_of(size_t size)
{
    return hak_class_bin(size + HAK_LAYOUT_BYTES);
}

/* What holds of every set of figures when no other thread runs. */
static void figures_agree(const struct hak_stats *stats)
{
    uint64_t used_bytes = 0, page_bytes = 0, taken_pages = 0, heaps = 0, segments = 0;
    for (size_t bin = 1; bin < HAK_BINS; bin++) {
        const struct hak_class_stats *of = &stats->classes[bin];
        SUPPORT_REQUIRE(of->slots ==
                        of->live + of->free + of->cached + of->returning + of->resting);
        used_bytes += of->live * hak_classes[bin].geometry.slot_bytes;
        page_bytes += of->pages * hak_classes[bin].geometry.span_pages * HAK_PAGE_BYTES;
    }
    for (size_t i = 0; i < HAK_POOL_COUNT; i++) {
        taken_pages += stats->taken_pages[i];
        segments += stats->segments[i];
    }
    for (size_t i = 0; i <= HAK_HEAP_FROZEN; i++)
        heaps += stats->heaps[i];
    size_t known = 0;
    for (const struct hak_heap *heap = hak_heap_first(); heap != NULL; heap = heap->next)
        known++;
    SUPPORT_REQUIRE(stats->memory.used_bytes == used_bytes + stats->memory.large_bytes);
    SUPPORT_REQUIRE(stats->memory.page_bytes == page_bytes);
    SUPPORT_REQUIRE(taken_pages * HAK_PAGE_BYTES == page_bytes + stats->memory.large_bytes);
    SUPPORT_REQUIRE(segments == hak_arena_end() && heaps == known);
}

static char text[256 * 1024];
static size_t text_bytes;

static void text_add(void *to, const char *piece, size_t bytes)
{
    hak_free(hak_malloc(bytes)); /* whoever writes may allocate */
    SUPPORT_REQUIRE(to == text && bytes != 0 && text_bytes + bytes < sizeof text);
    memcpy(text + text_bytes, piece, bytes);
    text_bytes += bytes;
    text[text_bytes] = '\0';
}

/* ---- one thread ---- */

static void *blocks[BLOCKS];

static void hold(size_t size, size_t count)
{
    for (size_t i = 0; i < count; i++)
        SUPPORT_REQUIRE((blocks[i] = hak_malloc(size)) != NULL);
}

static void let_go(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        hak_free(blocks[i]);
}

/* Every class: so many live, and so many at hand as were freed, or back in their page. */
static void stats__known_operations_of_each_class__live_is_what_is_held(void **state)
{
    (void)state;
    for (size_t bin = 1; bin < HAK_BINS; bin++) {
        size_t slot_bytes = hak_classes[bin].geometry.slot_bytes;
        size_t size = slot_bytes - HAK_LAYOUT_BYTES, count = 40 + bin % 7;
        struct hak_stats before = now();
        hold(size, count);
        struct hak_stats held = now();
        figures_agree(&held);
        assert_int_equal(held.classes[bin].live, before.classes[bin].live + count);
        assert_int_equal(held.memory.used_bytes, before.memory.used_bytes + count * slot_bytes);
        assert_true(held.classes[bin].refills > before.classes[bin].refills);
        let_go(0, count / 2);
        assert_int_equal(now().classes[bin].live, before.classes[bin].live + count - count / 2);
        let_go(count / 2, count);
        struct hak_stats after = now();
        figures_agree(&after);
        assert_int_equal(after.memory.used_bytes, before.memory.used_bytes);
        assert_int_equal(after.classes[bin].live, before.classes[bin].live);
    }
}

/* What refills took is what is at hand, live, or was given back. */
static void stats__blocks_taken_and_given__balance(void **state)
{
    (void)state;
    size_t bin = bin_of(100);
    hak_malloc_trim(0);
    struct hak_class_stats before = now().classes[bin];
    assert_int_equal(before.cached, 0);
    hold(100, BLOCKS);
    struct hak_class_stats held = now().classes[bin];
    assert_int_equal(held.taken - before.taken, BLOCKS + held.cached);
    assert_int_equal(held.given, before.given);
    let_go(0, BLOCKS);
    struct hak_class_stats freed = now().classes[bin];
    assert_int_equal(freed.taken - freed.given, before.taken - before.given + freed.cached);
    assert_true(freed.flushes > before.flushes);
    hak_malloc_trim(0);
    struct hak_class_stats after = now().classes[bin];
    assert_int_equal(after.given - before.given, after.taken - before.taken);
    assert_int_equal(after.pages, 0);
    assert_int_equal(after.remote, before.remote);
}

static void stats__large_blocks__counted_whole(void **state)
{
    struct hak_stats before = now();
    (void)state;
    hold(MIB, 5);
    struct hak_stats held = now();
    figures_agree(&held);
    assert_int_equal(held.memory.large_blocks, before.memory.large_blocks + 5);
    assert_int_equal(held.memory.large_bytes, before.memory.large_bytes + 5 * MIB);
    let_go(0, 5);
    struct hak_stats after = now();
    assert_int_equal(after.memory.large_blocks, before.memory.large_blocks);
    assert_int_equal(after.memory.large_bytes, before.memory.large_bytes);
    assert_true(after.memory.dirty_bytes >= before.memory.dirty_bytes + 5 * MIB);
    hak_malloc_trim(0);
    struct hak_stats trimmed = now();
    assert_int_equal(trimmed.memory.dirty_bytes, 0);
    assert_true(trimmed.counts[HAK_COUNT_PURGED_BYTES] >=
                before.counts[HAK_COUNT_PURGED_BYTES] + 5 * MIB);
    assert_true(trimmed.counts[HAK_COUNT_PURGES] > before.counts[HAK_COUNT_PURGES]);
    assert_true(trimmed.counts[HAK_COUNT_MADVISE] > before.counts[HAK_COUNT_MADVISE]);
}

static void stats__requests_refused_and_foreign_pointers__counted_one_by_one(void **state)
{
    char here[64];
    struct hak_stats before = now();
    (void)state;
    assert_null(hak_malloc(support_hide_size(SIZE_MAX)));
    assert_null(hak_calloc(support_hide_size(SIZE_MAX), 2));
    assert_null(hak_aligned_alloc(64, support_hide_size(SIZE_MAX)));
    hak_free(support_hide(here));
    hak_free(support_hide(here + 16));
    assert_null(hak_realloc(support_hide(here), 100));
    assert_int_equal(hak_malloc_usable_size(support_hide(here)), 0);
    struct hak_stats after = now();
    const enum hak_count counters[] = {HAK_COUNT_REFUSED, HAK_COUNT_FOREIGN_FREE,
                                       HAK_COUNT_FOREIGN_REALLOC, HAK_COUNT_FOREIGN_SIZE,
                                       HAK_COUNT_FORWARDED};
    const uint64_t more[] = {4, 2, 1, 1, 0}; /* realloc refuses, too */
    for (size_t i = 0; i < SUPPORT_COUNT(counters); i++)
        assert_int_equal(after.counts[counters[i]], before.counts[counters[i]] + more[i]);
}

/* The first move asks the kernel something once. */
static void move_first(void)
{
    char *start = hak_os_reserve(4 * MIB, 2 * MIB);
    assert_true(start != NULL && hak_os_commit(start, 4 * MIB));
    assert_int_equal(hak_os_move(start, start + 2 * MIB, MIB), HAK_OS_MOVED);
    hak_os_unreserve(start, 4 * MIB);
}

static void stats__system_calls__counted_one_by_one(void **state)
{
    (void)state;
    move_first();
    struct hak_stats before = now();
    char *start = hak_os_reserve(4 * MIB, 2 * MIB); /* a mmap, and a munmap on each side at most */
    assert_non_null(start);
    uint64_t munmaps = now().counts[HAK_COUNT_MUNMAP];
    assert_true(hak_os_commit(start, MIB) && hak_os_commit(start, 4 * MIB));
    assert_true(hak_os_hide(start, MIB) && hak_os_commit(start, MIB));
    assert_true(hak_os_purge(start, MIB) && hak_os_renew(start, 4 * MIB));
    assert_int_equal(hak_os_move(start, start + 2 * MIB, MIB), HAK_OS_MOVED);
    hak_os_yield();
    hak_os_unreserve(start, 4 * MIB);
    struct hak_stats after = now();
    const enum hak_count counters[] = {HAK_COUNT_MMAP, HAK_COUNT_MPROTECT, HAK_COUNT_MADVISE,
                                       HAK_COUNT_MREMAP, HAK_COUNT_NANOSLEEP};
    const uint64_t more[] = {2, 4, 1, 1, 1};
    for (size_t i = 0; i < SUPPORT_COUNT(counters); i++)
        assert_int_equal(after.counts[counters[i]], before.counts[counters[i]] + more[i]);
    assert_int_equal(after.counts[HAK_COUNT_MUNMAP], munmaps + 1);
}

/* Each claim of a page is counted at one stage. */
static void stats__pages_claimed__by_stage(void **state)
{
    const enum hak_count stages[] = {HAK_COUNT_POOL_CLAIMS, HAK_COUNT_FREE_CLAIMS};
    (void)state;
    hak_malloc_trim(0);
    struct hak_stats before = now();
    size_t page_idx[3];
    for (size_t i = 0; i < 3; i++) /* the pool has nothing, and then what the first left over */
        page_idx[i] = hak_pages_claim(HAK_POOL_MID, 8, 8);
    struct hak_stats after = now();
    uint64_t claims = 0;
    for (size_t i = 0; i < SUPPORT_COUNT(stages); i++)
        claims += after.counts[stages[i]] - before.counts[stages[i]];
    claims += after.counts[HAK_COUNT_NEW_CLAIMS] - before.counts[HAK_COUNT_NEW_CLAIMS];
    assert_int_equal(claims, 3);
    assert_int_equal(after.counts[HAK_COUNT_CLAIM_RETRIES], before.counts[HAK_COUNT_CLAIM_RETRIES]);
    for (size_t i = 0; i < 3; i++)
        hak_pages_release(page_idx[i], 8, false);
}

/* ---- threads: who fails while others wait for a barrier must end the process ---- */

struct worker {
    pthread_t thread;
    pthread_barrier_t *step; /* of worker and main: blocks are there; go on */
    void *blocks[BLOCKS];
    uint64_t cached; /* in its magazine when it waits */
    bool frees;      /* half of its own, then */
};

static void *worker_run(void *argument)
{
    struct worker *self = argument;
    for (size_t i = 0; i < BLOCKS; i++)
        SUPPORT_REQUIRE((self->blocks[i] = hak_malloc(200)) != NULL);
    self->cached = now().classes[bin_of(200)].cached;
    pthread_barrier_wait(self->step);
    pthread_barrier_wait(self->step);
    for (size_t i = 0; self->frees && i < BLOCKS / 2; i++)
        hak_free(self->blocks[i]);
    return NULL;
}

static void workers_start(struct worker *workers, pthread_barrier_t *step, bool frees)
{
    SUPPORT_REQUIRE(pthread_barrier_init(step, NULL, THREADS + 1) == 0);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].step = step;
        workers[i].frees = frees;
        SUPPORT_REQUIRE(pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]) == 0);
    }
    pthread_barrier_wait(step);
}

static void workers_end(struct worker *workers, pthread_barrier_t *step)
{
    pthread_barrier_wait(step);
    for (unsigned i = 0; i < THREADS; i++)
        SUPPORT_REQUIRE(pthread_join(workers[i].thread, NULL) == 0);
    pthread_barrier_destroy(step);
}

static struct worker workers[THREADS];

static uint64_t workers_cached(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < THREADS; i++)
        sum += workers[i].cached;
    return sum;
}

/* While they live, all that is not known for sure is in their magazines; when they have ended,
 * nothing is. */
static void stats__other_threads__exact_but_for_their_magazines(void **state)
{
    pthread_barrier_t step;
    size_t bin = bin_of(200);
    struct hak_stats before = now();
    (void)state;
    workers_start(workers, &step, true);
    struct hak_stats held = now();
    figures_agree(&held);
    SUPPORT_REQUIRE(held.classes[bin].live ==
                    before.classes[bin].live + THREADS * BLOCKS + workers_cached());
    SUPPORT_REQUIRE(held.memory.elsewhere_max_bytes >=
                    workers_cached() * hak_classes[bin].geometry.slot_bytes);
    SUPPORT_REQUIRE(held.heaps[HAK_HEAP_IDLE] == THREADS + 1);
    workers_end(workers, &step);
    struct hak_stats ended = now();
    figures_agree(&ended);
    SUPPORT_REQUIRE(ended.classes[bin].live == before.classes[bin].live + THREADS * (BLOCKS / 2));
    SUPPORT_REQUIRE(ended.heaps[HAK_HEAP_IDLE] == 1);
    SUPPORT_REQUIRE(ended.memory.elsewhere_max_bytes == 0);
    SUPPORT_REQUIRE(ended.heaps[HAK_HEAP_ORPHAN] == THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        for (size_t k = BLOCKS / 2; k < BLOCKS; k++)
            hak_free(workers[i].blocks[k]);
    }
    struct hak_stats after = now();
    figures_agree(&after);
    SUPPORT_REQUIRE(after.classes[bin].live == before.classes[bin].live);
    hak_malloc_trim(0);
    SUPPORT_REQUIRE(now().classes[bin].returning == 0);
}

/* Blocks of threads that idle, freed here: not live, and not free in their pages either. */
static void stats__blocks_freed_to_idle_threads__returning(void **state)
{
    pthread_barrier_t step;
    size_t bin = bin_of(200);
    struct hak_class_stats before = now().classes[bin];
    (void)state;
    workers_start(workers, &step, false);
    for (unsigned i = 0; i < THREADS; i++) {
        for (size_t k = 0; k < BLOCKS; k++)
            hak_free(workers[i].blocks[k]);
    }
    struct hak_stats freed = now();
    figures_agree(&freed);
    SUPPORT_REQUIRE(freed.classes[bin].live == before.live + workers_cached());
    /* In the header mode, this thread's magazine takes them first. */
    SUPPORT_REQUIRE(freed.classes[bin].returning + freed.classes[bin].cached ==
                    before.returning + before.cached + THREADS * BLOCKS);
    struct hak_heap *heap = hak_heap_enter();
    hak_heap_flush_all(heap); /* out of magazine and table, into the pages' bitmaps */
    hak_heap_leave(heap);
    struct hak_class_stats flushed = now().classes[bin];
    SUPPORT_REQUIRE(flushed.live == before.live + workers_cached());
    SUPPORT_REQUIRE(flushed.remote == before.remote + THREADS * BLOCKS);
    SUPPORT_REQUIRE(flushed.returning == THREADS * BLOCKS && flushed.cached == 0);
    workers_end(workers, &step);
    hak_malloc_trim(0);
    struct hak_stats after = now();
    figures_agree(&after);
    SUPPORT_REQUIRE(after.classes[bin].live == before.live);
    SUPPORT_REQUIRE(after.classes[bin].returning == 0);
}

/* Pages of threads that ended are taken over by whoever needs their class next. */
static void stats__pages_of_ended_threads__adoption_is_counted(void **state)
{
    pthread_barrier_t step;
    (void)state;
    workers_start(workers, &step, true);
    workers_end(workers, &step);
    uint64_t before = now().counts[HAK_COUNT_ADOPTED];
    size_t count = 0;
    while (count < BLOCKS && now().counts[HAK_COUNT_ADOPTED] == before)
        SUPPORT_REQUIRE((blocks[count++] = hak_malloc(200)) != NULL);
    assert_true(now().counts[HAK_COUNT_ADOPTED] > before);
    let_go(0, count);
    for (unsigned i = 0; i < THREADS; i++) {
        for (size_t k = BLOCKS / 2; k < BLOCKS; k++)
            hak_free(workers[i].blocks[k]);
    }
    struct hak_stats after = now();
    figures_agree(&after);
}

#define HANDS 64
static _Atomic(void *) hands[HANDS]; /* blocks that pass from thread to thread */
static atomic_bool stops;

static void *churn(void *seed)
{
    uint64_t random = (uintptr_t)seed;
    while (!atomic_load(&stops)) {
        uint64_t bits = support_random(&random);
        size_t size = bits % 64 == 0 ? 100 * KIB : bits % 2000;
        hak_free(atomic_exchange(&hands[bits >> 32 & (HANDS - 1)], hak_malloc(size)));
    }
    return NULL;
}

/* Figures of different moments: each class still adds up, and nothing is more than there is. */
static void stats__asked_while_threads_run__each_class_adds_up(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    for (unsigned round = 0; round < 200; round++) {
        struct hak_stats stats = now();
        for (size_t bin = 1; bin < HAK_BINS; bin++) {
            const struct hak_class_stats *of = &stats.classes[bin];
            SUPPORT_REQUIRE(of->slots == of->live + of->free + of->cached + of->returning);
        }
        text_bytes = 0;
        hak_stats_json(text_add, text);
    }
    atomic_store(&stops, true);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < HANDS; i++)
        hak_free(atomic_exchange(&hands[i], NULL));
    struct hak_stats after = now();
    figures_agree(&after);
}

/* ---- fork ---- */

static void child_counts(void *unused)
{
    size_t bin = bin_of(200);
    struct hak_stats at_start = now();
    (void)unused;
    SUPPORT_REQUIRE(at_start.heaps[HAK_HEAP_FROZEN] == THREADS);
    hold(200, 50);
    struct hak_stats held = now();
    figures_agree(&held);
    SUPPORT_REQUIRE(held.classes[bin].live == at_start.classes[bin].live + 50);
    let_go(0, 50);
    for (size_t k = 0; k < BLOCKS; k++) /* nobody collects them, and they are not live */
        hak_free(workers[0].blocks[k]);
    struct hak_stats freed = now();
    figures_agree(&freed);
    SUPPORT_REQUIRE(freed.classes[bin].live == at_start.classes[bin].live - BLOCKS);
}

static void stats__child_of_a_fork__goes_on_from_the_parents_figures(void **state)
{
    pthread_barrier_t step;
    (void)state;
    workers_start(workers, &step, true);
    struct hak_stats before = now();
    struct support_end end = support_run_child(child_counts, NULL);
    if (end.status != 0)
        fail_msg("status %#x; it wrote: %s", (unsigned)end.status, end.text);
    struct hak_stats after = now();
    assert_memory_equal(&after.classes, &before.classes, sizeof after.classes);
    workers_end(workers, &step);
    for (unsigned i = 0; i < THREADS; i++) {
        for (size_t k = BLOCKS / 2; k < BLOCKS; k++)
            hak_free(workers[i].blocks[k]);
    }
}

/* ---- the forms ---- */

/* The figure behind a piece of text; the text says it once. */
static uint64_t text_figure(const char *name)
{
    const char *at = strstr(text, name);
    if (at == NULL || strstr(at + 1, name) != NULL)
        fail_msg("'%s' is not there once in %s", name, text);
    return strtoull(at + strlen(name), NULL, 10);
}

static void stats__every_form__says_the_same(void **state)
{
    char *kept[100];
    char name[100];
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(kept); i++)
        assert_non_null(kept[i] = hak_malloc(300));
    struct hak_stats stats = now();
    text_bytes = 0;
    hak_stats_json(text_add, text);
    uint64_t used_bytes = text_figure("\"used_bytes\":");
    assert_int_equal(used_bytes, stats.memory.used_bytes);
    assert_int_equal(text_figure("\"version\":"), HAK_STATS_VERSION);
    snprintf(name, sizeof name, "{\"slot_bytes\":%u,\"tier\":\"tiny\",\"pages\":",
             hak_classes[bin_of(300)].geometry.slot_bytes);
    assert_int_equal(text_figure(name), stats.classes[bin_of(300)].pages);
    text_bytes = 0;
    hak_stats_prometheus(text_add, text);
    assert_int_equal(text_figure("\nhakmem_memory_used_bytes "), used_bytes);
    assert_int_equal(text_figure("\nhakmem_memory_reserved_bytes "), stats.memory.reserved_bytes);
    assert_int_equal(text_figure("\nhakmem_heaps{state=\"orphan\"} "),
                     stats.heaps[HAK_HEAP_ORPHAN]);
    snprintf(name, sizeof name, "\nhakmem_class_live{slot_bytes=\"%u\",tier=\"tiny\"} ",
             hak_classes[bin_of(300)].geometry.slot_bytes);
    assert_int_equal(text_figure(name), stats.classes[bin_of(300)].live);
    stats = now(); /* the writer has opened pages */
    assert_int_equal(hak_mallinfo2().uordblks, used_bytes);
    assert_int_equal(hak_mallinfo2().hblks, stats.memory.large_blocks);
    assert_int_equal(hak_mallinfo2().fordblks, stats.memory.free_bytes + stats.memory.dirty_bytes);
    for (size_t i = 0; i < SUPPORT_COUNT(kept); i++)
        hak_free(kept[i]);
}

static void *ask_all(void *unused)
{
    text_bytes = 0;
    hak_stats_json(text_add, text);
    hak_stats_prometheus(text_add, text);
    (void)hak_mallinfo2();
    return unused;
}

static void stats__on_a_small_stack__fit(void **state)
{
    pthread_attr_t attributes;
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    /* What the C library itself and a sanitizer need, and 16 KiB. */
    size_t bytes = SUPPORT_SHADOWED ? MIB : (size_t)PTHREAD_STACK_MIN + 16 * KIB;
    assert_int_equal(pthread_attr_setstacksize(&attributes, bytes), 0);
    assert_int_equal(pthread_create(&thread, &attributes, ask_all, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
}

/* A page that is there without memory: PROT_NONE, so mapped and not to be read. */
static void stats__addresses__mapped_and_readable(void **state)
{
    size_t os_page = hak_os_page_bytes();
    char *start =
        mmap(NULL, 3 * os_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)state;
    assert_true(start != MAP_FAILED);
    assert_int_equal(mprotect(start + os_page, os_page, PROT_NONE), 0);
    assert_int_equal(munmap(start + 2 * os_page, os_page), 0);
    errno = 0;
    const enum hak_os_place places[] = {HAK_OS_READABLE, HAK_OS_MAPPED, HAK_OS_NOTHING};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(hak_os_look(start + i * os_page + 24), places[i]);
    assert_int_equal(hak_os_look(start + os_page - 4), HAK_OS_MAPPED); /* 8 bytes */
    assert_int_equal(hak_os_look(NULL), HAK_OS_NOTHING);
    assert_int_equal(errno, 0);
    munmap(start, 2 * os_page);
}

/* Without ticks: at one, a slow path collects what idle heaps have coming back. */
int main(int argc, char **argv)
{
    (void)argc;
    if (getenv("HAKMEM_PURGE_DECAY_MS") == NULL) {
        setenv("HAKMEM_PURGE_DECAY_MS", "3600000", 1);
        execv("/proc/self/exe", argv);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stats__known_operations_of_each_class__live_is_what_is_held),
        cmocka_unit_test(stats__blocks_taken_and_given__balance),
        cmocka_unit_test(stats__large_blocks__counted_whole),
        cmocka_unit_test(stats__requests_refused_and_foreign_pointers__counted_one_by_one),
        cmocka_unit_test(stats__system_calls__counted_one_by_one),
        cmocka_unit_test(stats__pages_claimed__by_stage),
        cmocka_unit_test(stats__other_threads__exact_but_for_their_magazines),
        cmocka_unit_test(stats__blocks_freed_to_idle_threads__returning),
        cmocka_unit_test(stats__pages_of_ended_threads__adoption_is_counted),
        cmocka_unit_test(stats__asked_while_threads_run__each_class_adds_up),
        cmocka_unit_test(stats__child_of_a_fork__goes_on_from_the_parents_figures),
        cmocka_unit_test(stats__every_form__says_the_same),
        cmocka_unit_test(stats__on_a_small_stack__fit),
        cmocka_unit_test(stats__addresses__mapped_and_readable),
    };
    return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
