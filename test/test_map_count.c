/*
 * A process that has as many mappings as it may (vm.max_map_count): a request is served or refused
 * with ENOMEM, blocks stay whole, and when mappings are to be had again, everything is served.
 *
 * The test uses its own mappings up, so the limit of the system stays as it is.
 *
 * ctest: labels=quick timeout=60
 */
#include "front/heap.h"
#include "region/region.h"
#include "segment/segment.h"

#include "support.h"
#include "workload_blocks.h"

#include <sys/mman.h>

/* Above so many it takes too long. */
#define MAPS_MAX 300000
#define LATE_THREADS 3

static size_t maps_allowed;
static char *filler; /* every second page of it is a mapping of its own */
static size_t filler_bytes;
static struct workload work;

static void read_maps_allowed(void)
{
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    if (file == NULL || fscanf(file, "%zu", &maps_allowed) != 1)
        maps_allowed = SIZE_MAX;
    if (file != NULL)
        fclose(file);
}

/* Until the kernel refuses one more, of any kind. */
static void maps_use_up(void)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    filler_bytes = (maps_allowed + 1000) * page_bytes;
    filler =
        mmap(NULL, filler_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    SUPPORT_REQUIRE(filler != MAP_FAILED);
    size_t at = page_bytes;
    while (mprotect(filler + at, page_bytes, PROT_READ) == 0) {
        at += 2 * page_bytes;
        SUPPORT_REQUIRE(at < filler_bytes);
    }
    SUPPORT_REQUIRE(errno == ENOMEM);
    /* Few are left: unlike neighbours, so that they do not merge. */
    int rights = PROT_READ;
    while (mmap(NULL, page_bytes, rights, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        rights ^= PROT_READ;
    SUPPORT_REQUIRE(errno == ENOMEM);
}

static void maps_give_back(void)
{
    SUPPORT_REQUIRE(munmap(filler, filler_bytes) == 0);
}

static size_t size_of(size_t i)
{
    return i % 12 == 11 ? (i + 1) * 25 * KIB : i % 4 == 3 ? 700 + i * 150 : 1 + i * 3;
}

/* Blocks of all tiers come, go, grow in place and move. */
static void use_every_tier(size_t first)
{
    for (size_t i = first; i < WORKLOAD_BLOCKS; i++) {
        workload_free(&work, i);
        if (i % 5 == 0)
            workload_calloc(&work, i, size_of(i));
        else if (i % 5 == 1)
            workload_align(&work, i, (size_t)32 << i % 12, size_of(i));
        else
            workload_malloc(&work, i, size_of(i));
    }
    for (size_t i = first; i < WORKLOAD_BLOCKS; i += 3)
        workload_realloc(&work, i, size_of(i) * (i % 2 == 0 ? 3 : 1) + 1);
    for (size_t i = first + 1; i < WORKLOAD_BLOCKS; i += 2)
        workload_free(&work, i);
    errno = 77;
    hak_malloc_trim(0);
    SUPPORT_REQUIRE(errno == 77);
}

static void check(void)
{
    SUPPORT_REQUIRE(hak_heap_is_valid());
    SUPPORT_REQUIRE(hak_segment_is_valid());
    SUPPORT_REQUIRE(hak_region_is_valid());
}

/* Memory is back: everything is served, and nothing is in use in the end. */
static void go_on(void)
{
    maps_give_back();
    dprintf(STDERR_FILENO, "%zu requests were refused\n", work.refused);
    work.may_fail = false;
    check();
    use_every_tier(0);
    check();
    for (size_t i = 0; i < WORKLOAD_BLOCKS; i++)
        workload_free(&work, i);
    hak_malloc_trim(0);
    check();
    SUPPORT_REQUIRE(hak_mallinfo2().uordblks == 0);
}

static void start_without_maps(void *unused)
{
    (void)unused;
    maps_use_up();
    work.may_fail = true;
    use_every_tier(0);
    use_every_tier(10);
    go_on();
}

static void go_on_without_maps(void *unused)
{
    (void)unused;
    use_every_tier(0);
    maps_use_up();
    work.may_fail = true;
    for (unsigned round = 0; round < 10; round++) {
        use_every_tier(round * 20);
        check();
    }
    SUPPORT_REQUIRE(work.refused == 0); /* the arena grows by moving a border, not by a mapping */
    go_on();
}

static pthread_barrier_t begin, end;
static void *handed_over[LATE_THREADS];

static void *use_late(void *argument)
{
    void **block = argument;
    pthread_barrier_wait(&begin);
    hak_free(*block); /* of another thread, and this one has no heap yet */
    for (size_t bytes = 1; bytes < 20 * MIB; bytes *= 3) {
        errno = 0;
        char *mine = hak_malloc(bytes);
        SUPPORT_REQUIRE(mine != NULL || errno == ENOMEM);
        if (mine != NULL)
            mine[0] = mine[bytes - 1] = 1;
        hak_free(mine);
    }
    pthread_barrier_wait(&end);
    return NULL;
}

static void begin_threads_without_maps(void *unused)
{
    pthread_t threads[LATE_THREADS];
    (void)unused;
    SUPPORT_REQUIRE(pthread_barrier_init(&begin, NULL, LATE_THREADS + 1) == 0);
    SUPPORT_REQUIRE(pthread_barrier_init(&end, NULL, LATE_THREADS + 1) == 0);
    for (size_t i = 0; i < LATE_THREADS; i++) {
        handed_over[i] = hak_malloc((size_t)100 << 6 * i);
        SUPPORT_REQUIRE(handed_over[i] != NULL);
        SUPPORT_REQUIRE(pthread_create(&threads[i], NULL, use_late, &handed_over[i]) == 0);
    }
    maps_use_up();
    work.may_fail = true;
    pthread_barrier_wait(&begin);
    use_every_tier(0);
    pthread_barrier_wait(&end);
    for (size_t i = 0; i < LATE_THREADS; i++)
        SUPPORT_REQUIRE(pthread_join(threads[i], NULL) == 0);
    go_on();
}

static void run(void (*body)(void *))
{
    if (SUPPORT_SHADOWED)
        skip(); /* a sanitizer needs mappings itself */
    if (maps_allowed > MAPS_MAX) {
        print_message("skipped: %zu mappings are allowed, more than can be used up here\n",
                      maps_allowed);
        skip();
    }
    struct support_end ended = support_run_child(body, NULL);
    if (ended.status != 0)
        fail_msg("a child ended with status %#x; it wrote: %s", (unsigned)ended.status, ended.text);
    print_message("%s", ended.text);
}

static void map_count__used_up_before_the_first_block__starts_when_there_are_some(void **state)
{
    (void)state;
    run(start_without_maps);
}

static void map_count__used_up_while_in_use__all_is_served(void **state)
{
    (void)state;
    run(go_on_without_maps);
}

static void map_count__used_up_before_threads_allocate__enomem_and_goes_on(void **state)
{
    (void)state;
    run(begin_threads_without_maps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_count__used_up_before_the_first_block__starts_when_there_are_some),
        cmocka_unit_test(map_count__used_up_while_in_use__all_is_served),
        cmocka_unit_test(map_count__used_up_before_threads_allocate__enomem_and_goes_on),
    };
    read_maps_allowed();
    return cmocka_run_group_tests_name("map_count", tests, NULL, NULL);
}
