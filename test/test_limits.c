/*
 * Little address space, little stack, many threads.
 *
 * A limit on address space must be there before the allocator starts, so those cases run this
 * program again under the limit, with the case's name as its argument.
 *
 * ctest: labels=quick timeout=120
 */
#include "front/heap.h"
#include "segment/segment.h"

#include "support.h"

#include <limits.h>

/* The beginning of a block that is in a list of blocks. */
struct link {
    struct link *next;
    size_t bytes;
    uint64_t key;
};

struct list {
    struct link *first;
    size_t blocks;
    size_t bytes;
};

/* What sizes a case asks for: evenly spread from min to max. */
struct mix {
    const char *name;
    size_t min_bytes;
    size_t max_bytes;
};

static const struct mix mixes[] = {
    {"tiny", 32, 64},
    {"small", 32, 1024},
    {"small_mid", 1025, 4096},
    {"mid", 5000, 65536},
    {"large", 100 * KIB, 900 * KIB},
    {"huge", 3 * MIB, 11 * MIB},
    {"everything", 32, 4 * MIB},
};

static size_t mix_bytes(const struct mix *mix, uint64_t *seed)
{
    size_t max_bytes = mix->max_bytes;
    if (mix->max_bytes / mix->min_bytes > 1000) /* evenly on a logarithmic scale */
        max_bytes >>= support_random(seed) % 17;
    return mix->min_bytes + support_random(seed) % (max_bytes - mix->min_bytes + 1);
}

/* The first 4 KiB are filled, of what follows the last byte of every 4 KiB is set. */
static void link_fill(struct link *link)
{
    size_t bytes = link->bytes - sizeof *link;
    support_fill(link + 1, bytes < 4 * KIB ? bytes : 4 * KIB, link->key);
    for (size_t end = 8 * KIB; end <= link->bytes; end += 4 * KIB)
        ((char *)link)[end - 1] = (char)(link->key + end / KIB);
}

static bool link_holds(const struct link *link)
{
    size_t bytes = link->bytes - sizeof *link;
    for (size_t end = 8 * KIB; end <= link->bytes; end += 4 * KIB) {
        if (((const char *)link)[end - 1] != (char)(link->key + end / KIB))
            return false;
    }
    return support_holds(link + 1, bytes < 4 * KIB ? bytes : 4 * KIB, link->key);
}

static bool list_take(struct list *list, size_t bytes, uint64_t key)
{
    errno = 0;
    struct link *link = hak_malloc(bytes);
    if (link == NULL) {
        SUPPORT_REQUIRE(errno == ENOMEM);
        return false;
    }
    *link = (struct link){list->first, bytes, key};
    link_fill(link);
    list->first = link;
    list->blocks++;
    list->bytes += bytes;
    return true;
}

static void list_verify(const struct list *list)
{
    size_t blocks = 0;
    for (const struct link *link = list->first; link != NULL; link = link->next) {
        SUPPORT_REQUIRE(link_holds(link));
        blocks++;
    }
    SUPPORT_REQUIRE(blocks == list->blocks);
}

/* Frees all blocks, or every second one. */
static void list_free(struct list *list, bool all)
{
    struct link **place = &list->first;
    for (size_t i = 0; *place != NULL; i++) {
        struct link *link = *place;
        if (!all && i % 2 != 0) {
            place = &link->next;
            continue;
        }
        *place = link->next;
        list->blocks--;
        list->bytes -= link->bytes;
        hak_free(link);
    }
}

static void take_until_out(struct list *list, const struct mix *mix, uint64_t seed)
{
    while (list_take(list, mix_bytes(mix, &seed), support_random(&seed)))
        ;
}

static void *use_in_thread(void *argument)
{
    struct list *list = argument, mine = {0};
    for (size_t bytes = 32; bytes < 20 * MIB; bytes *= 3)
        list_take(&mine, bytes, bytes); /* NULL with ENOMEM is fine here */
    list_free(list, false);
    list_verify(&mine);
    list_free(&mine, true);
    return NULL;
}

/* A thread that begins when memory is out, and frees blocks of others. */
static void use_thread_when_out(struct list *list)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * KIB);
    if (pthread_create(&thread, &attributes, use_in_thread, list) == 0)
        SUPPORT_REQUIRE(pthread_join(thread, NULL) == 0);
    pthread_attr_destroy(&attributes);
}

static void fail_when_out(struct list *list)
{
    void *block = NULL;
    SUPPORT_REQUIRE(hak_malloc(support_hide_size((size_t)1 << 40)) == NULL && errno == ENOMEM);
    errno = 0;
    SUPPORT_REQUIRE(hak_calloc(1024, MIB) == NULL && errno == ENOMEM);
    errno = 0;
    SUPPORT_REQUIRE(hak_aligned_alloc(4 * MIB, 1024 * MIB) == NULL && errno == ENOMEM);
    SUPPORT_REQUIRE(hak_posix_memalign(&block, 64, 1024 * MIB) == ENOMEM && block == NULL);
    errno = 0;
    SUPPORT_REQUIRE(hak_realloc(list->first, 1024 * MIB) == NULL && errno == ENOMEM);
}

/* Runs in the limited process: memory runs out, the heap goes on, twice over. A limit that others
 * share (HAKMEM_TEST_LIMIT_IS_SHARED) need not leave as much the second time. */
static void run_out(const struct mix *mix, size_t least_bytes)
{
    struct list list = {0};
    size_t first_bytes = 0;
    bool is_shared = getenv("HAKMEM_TEST_LIMIT_IS_SHARED") != NULL;
    for (unsigned round = 0; round < 2; round++) {
        take_until_out(&list, mix, round);
        if (round == 0)
            first_bytes = is_shared ? 0 : list.bytes;
        if (list.bytes < least_bytes || list.bytes < first_bytes / 4 * 3)
            dprintf(STDERR_FILENO, "%s: %zu bytes in round %u, %zu in the first\n", mix->name,
                    list.bytes, round, first_bytes);
        SUPPORT_REQUIRE(list.bytes >= least_bytes);
        SUPPORT_REQUIRE(list.bytes >= first_bytes / 4 * 3);
        fail_when_out(&list);
        list_verify(&list);
        list_free(&list, false);
        take_until_out(&list, mix, round + 10);
        list_verify(&list);
        use_thread_when_out(&list);
        list_verify(&list);
        list_free(&list, true);
        hak_malloc_trim(0);
        SUPPORT_REQUIRE(hak_heap_is_valid());
        SUPPORT_REQUIRE(hak_segment_is_valid());
    }
}

static int limited_main(const char *name, const char *least_text)
{
    for (size_t i = 0; i < SUPPORT_COUNT(mixes); i++) {
        if (strcmp(mixes[i].name, name) == 0) {
            run_out(&mixes[i], strtoul(least_text, NULL, 10));
            return 0;
        }
    }
    return 2;
}

/* `resource`: RLIMIT_AS refuses reservations, RLIMIT_DATA what is made writable. */
static void assert_runs_limited(int resource, size_t limit_bytes, size_t least_bytes,
                                const char *name)
{
    const struct rlimit limit = {limit_bytes, limit_bytes};
    char least_text[32];
    int status = -1;
    snprintf(least_text, sizeof least_text, "%zu", least_bytes);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        support_child_begin(60);
        if (setrlimit((__rlimit_resource_t)resource, &limit) == 0)
            execl("/proc/self/exe", "test_limits", name, least_text, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0)
        fail_msg("%s under %zu bytes: status %#x", name, limit_bytes, (unsigned)status);
}

static void limits__address_space_of_256_mib__enomem_and_goes_on(void **state)
{
    (void)state;
    if (SUPPORT_SHADOWED)
        skip();
    for (size_t i = 0; i < SUPPORT_COUNT(mixes); i++)
        assert_runs_limited(RLIMIT_AS, 256 * MIB, 48 * MIB, mixes[i].name);
}

static void limits__address_space_of_64_mib__enomem_and_goes_on(void **state)
{
    (void)state;
    if (SUPPORT_SHADOWED)
        skip();
    for (size_t i = 0; i < SUPPORT_COUNT(mixes); i++) {
        if (mixes[i].max_bytes < MIB)
            assert_runs_limited(RLIMIT_AS, 64 * MIB, 4 * MIB, mixes[i].name);
    }
}

static void limits__address_space_of_1_gib__a_third_of_it_is_had(void **state)
{
    (void)state;
    if (SUPPORT_SHADOWED)
        skip();
    assert_runs_limited(RLIMIT_AS, 1024 * MIB, 340 * MIB, "huge");
}

/* Address space is there, but the kernel refuses to make it usable. */
static void limits__data_of_128_mib__enomem_and_goes_on(void **state)
{
    (void)state;
    if (SUPPORT_SHADOWED)
        skip();
    for (size_t i = 0; i < SUPPORT_COUNT(mixes); i++)
        assert_runs_limited(RLIMIT_DATA, 128 * MIB, 48 * MIB, mixes[i].name);
}

static void use_every_tier(void)
{
    for (size_t bytes = 1; bytes <= 3 * MIB; bytes += bytes + 1) {
        char *block = hak_malloc(bytes), *zeroed = hak_calloc(1, bytes);
        char *aligned = hak_aligned_alloc(256, bytes);
        SUPPORT_REQUIRE(block != NULL && zeroed != NULL && aligned != NULL);
        block[bytes - 1] = aligned[bytes - 1] = 1;
        SUPPORT_REQUIRE(zeroed[0] == 0 && zeroed[bytes - 1] == 0);
        block = hak_realloc(block, bytes * 2);
        SUPPORT_REQUIRE(block != NULL && block[bytes - 1] == 1);
        hak_free(aligned);
        hak_free(zeroed);
        hak_free(block);
    }
    for (unsigned i = 0; i < 2000; i++)
        hak_free(hak_malloc(i));
    hak_malloc_trim(0);
}

static void *use_in_worker(void *barrier)
{
    if (barrier != NULL)
        pthread_barrier_wait(barrier);
    use_every_tier();
    SUPPORT_REQUIRE(hak_heap_is_valid());
    return NULL;
}

static void limits__smallest_stack__allocates(void **state)
{
    pthread_attr_t attributes;
    pthread_t threads[8];
    (void)state;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    size_t stack_bytes = (size_t)PTHREAD_STACK_MIN + (SUPPORT_SHADOWED ? 512 * KIB : 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, stack_bytes), 0);
    for (size_t i = 0; i < SUPPORT_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], &attributes, use_in_worker, NULL), 0);
    for (size_t i = 0; i < SUPPORT_COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_attr_destroy(&attributes);
}

static void run_threads_in_turn(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, use_in_worker, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
}

static void limits__500_threads_in_turn__cost_no_more_than_50(void **state)
{
    (void)state;
    run_threads_in_turn(50);
    size_t resident_bytes = support_resident_bytes();
    run_threads_in_turn(SUPPORT_SHADOWED ? 50 : 450);
    if (!SUPPORT_SHADOWED)
        assert_true(support_resident_bytes() <= resident_bytes + 4 * MIB);
}

static void limits__64_threads_at_once__allocate(void **state)
{
    pthread_barrier_t barrier;
    pthread_t threads[64];
    (void)state;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, SUPPORT_COUNT(threads)), 0);
    for (size_t i = 0; i < SUPPORT_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_in_worker, &barrier), 0);
    for (size_t i = 0; i < SUPPORT_COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&barrier);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits__address_space_of_256_mib__enomem_and_goes_on),
        cmocka_unit_test(limits__address_space_of_64_mib__enomem_and_goes_on),
        cmocka_unit_test(limits__address_space_of_1_gib__a_third_of_it_is_had),
        cmocka_unit_test(limits__data_of_128_mib__enomem_and_goes_on),
        cmocka_unit_test(limits__smallest_stack__allocates),
        cmocka_unit_test(limits__500_threads_in_turn__cost_no_more_than_50),
        cmocka_unit_test(limits__64_threads_at_once__allocate),
    };
    if (count == 3)
        return limited_main(arguments[1], arguments[2]);
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
