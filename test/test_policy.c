/*
 * Policies: how texts are read, what a route and a capacity do to a heap, and who comes to know.
 *
 * On the fake kernel, whose clock stands still: no tick changes a magazine meanwhile. Each scenario
 * is a process of its own.
 *
 * ctest: labels=quick timeout=120 core=fake
 */
#include "front/options.h"
#include "front/policy/policy.h"
#include "front/policy/text.h"
#include "scenario.h"

#define MANY 3000

static void *blocks[MANY];

/* ---- texts ---------------------------------------------------------------------------------- */

static size_t bin_of(size_t slot_bytes)
{
    return hak_class_bin(slot_bytes);
}

static int classes_prepare(void **state)
{
    (void)state;
    hak_classes_init(HAK_SMALL_MAX, true);
    return 0;
}

static void parse__good_texts__give_what_they_say(void **state)
{
    struct hak_policy policy;
    char fault[HAK_FAULT_BYTES] = "";
    (void)state;
    assert_true(hak_policy_parse("# nothing\n\n  ;; class 64 route MID;class 100..300 capacity 31 "
                                 "# and so on\r\n\tclass 65536\troute LARGE capacity 3",
                                 &policy, fault));
    for (size_t i = 1; i < HAK_BINS; i++) {
        size_t slot = hak_classes[i].geometry.slot_bytes;
        const struct hak_policy_class *class = &policy.classes[i];
        bool ranged = slot >= 112 && slot <= 304;
        assert_int_equal(class->route, slot == 64      ? HAK_ROUTE_MID
                                       : slot == 65536 ? HAK_ROUTE_LARGE
                                                       : HAK_ROUTE_ULTRA);
        assert_int_equal(class->capacity, slot == 65536 ? 3 : ranged ? 31 : 0);
        assert_int_equal(class->is_given, slot == 64 || slot == 65536 || ranged);
    }
    assert_int_equal(policy.tiny_max_class, 0);
    assert_int_equal(policy.smallmid, 0);
    assert_true(hak_policy_parse("tiny_max_class 5\nsmallmid 0", &policy, fault));
    assert_int_equal(policy.tiny_max_class, 5);
    assert_int_equal(policy.smallmid, 1);
    assert_true(hak_policy_parse("tiny_max_class 7;smallmid 1", &policy, fault));
    assert_int_equal(policy.tiny_max_class, 7);
    assert_int_equal(policy.smallmid, 2);
    assert_true(hak_policy_parse("class 1..65536 capacity 16;class 16 capacity 1023;"
                                 "class 64 route LARGE;",
                                 &policy, fault) == false);
    assert_true(hak_policy_parse("class 1..65536 capacity 16;class 16 capacity 1023;"
                                 "class 1..16 capacity 0;class 16 route ULTRA",
                                 &policy, fault));
    assert_int_equal(policy.classes[1].capacity, 0);
    assert_int_equal(policy.classes[2].capacity, 16);
}

static void parse__bad_texts__are_refused_by_line_key_and_range(void **state)
{
    static const struct {
        const char *text, *fault;
    } rows[] = {
        {"clas 64 route MID", "line 1: unknown key clas, not one of class, profile, "
                              "tiny_max_class, smallmid"},
        {"\n\nclass 70000 route MID", "line 3: class 70000 is out of range 1..65536"},
        {"class", "line 1: class needs a value in 1..65536"},
        {"class 0 route MID", "line 1: class 0 is out of range 1..65536"},
        {"class 64..32 route MID", "line 1: class 64..32 is out of range 1..65536"},
        {"class 64.. route MID", "line 1: class 64.. is out of range 1..65536"},
        {"class 64.32 route MID", "line 1: class 64.32 is out of range 1..65536"},
        {"class ..32 route MID", "line 1: class ..32 is out of range 1..65536"},
        {"class 1..65537 route MID", "line 1: class 1..65537 is out of range 1..65536"},
        {"class 6x4 route MID", "line 1: class 6x4 is out of range 1..65536"},
        {"class 0000064 route MID", "line 1: class 0000064 is out of range 1..65536"},
        {"class 64", "line 1: a key is missing, one of route, capacity"},
        {"class 64 rout MID", "line 1: unknown key rout, not one of route, capacity"},
        {"class 64 route", "line 1: route needs a value in ULTRA|MID|LARGE"},
        {"class 64 route mid", "line 1: route mid is out of range ULTRA|MID|LARGE"},
        {"# a\nclass 4096..8192 route LARGE",
         "line 2: class 4096 is out of range 4097..65536 of route LARGE"},
        {"class 64 capacity", "line 1: capacity needs a value in 0..1023"},
        {"class 64 capacity 1024", "line 1: capacity 1024 is out of range 0..1023"},
        {"class 64 capacity -1", "line 1: capacity -1 is out of range 0..1023"},
        {"class 64..2048 capacity 513", "line 1: capacity 513 is out of range 0..512"},
        {"class 65536 capacity 17", "line 1: capacity 17 is out of range 0..16"},
        {"class 64 capacity 3 route MID 4", "line 1: unknown key 4, not one of route, capacity"},
        {"tiny_max_class 6", "line 1: tiny_max_class 6 is out of range 5|7"},
        {"tiny_max_class", "line 1: tiny_max_class needs a value in 5..7"},
        {"smallmid 2", "line 1: smallmid 2 is out of range 0..1"},
        {"smallmid 1 2", "line 1: unknown key 2, not one of none"},
        {"profile fast", "line 1: profile fast is out of range balanced, low-memory, throughput, "
                         "huge-server"},
        {"profile", "line 1: profile needs a value in balanced, low-memory, throughput, "
                    "huge-server"},
        {"tiny_max_class 8", "line 1: tiny_max_class 8 is out of range 5..7"},
        {"a;\nb", "line 1: unknown key a, not one of class, profile, tiny_max_class, smallmid"},
        {"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee",
         "line 1: unknown key aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd, not one of class, profile, "
         "tiny_max_class, smallmid"},
    };
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(rows); i++) {
        struct hak_policy policy;
        char fault[HAK_FAULT_BYTES] = "";
        assert_false(hak_policy_parse(rows[i].text, &policy, fault));
        assert_string_equal(fault, rows[i].fault);
    }
}

static void parse__shipped_profiles__are_whole_policies(void **state)
{
    const char *const names[] = {"balanced", "low-memory", "throughput", "huge-server"};
    char texts[SUPPORT_COUNT(names)][4096];
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(names); i++) {
        struct hak_policy policy;
        char fault[HAK_FAULT_BYTES] = "", text[64];
        snprintf(text, sizeof text, "class 48 capacity 9; profile %s", names[i]);
        assert_true(hak_policy_parse(text, &policy, fault));
        size_t bytes = hak_policy_print(&policy, texts[i], sizeof texts[i]);
        assert_true(bytes < sizeof texts[i] && strlen(texts[i]) == bytes);
        assert_true((bytes == 0) == (i == 0)); /* the first is the default */
        for (size_t other = 0; other < i; other++)
            assert_string_not_equal(texts[i], texts[other]);
    }
    assert_null(hak_policy_profile("throughpu", 9));
    assert_null(hak_policy_profile("throughput", 9));
}

/* A policy of random classes, as a text may give it. */
static void policy_random(struct hak_policy *policy, uint64_t *seed)
{
    *policy = (struct hak_policy){.next = NULL};
    for (size_t i = 1; i < HAK_BINS; i++) {
        bool large = hak_classes[i].geometry.slot_bytes > HAK_POLICY_LARGE_ABOVE;
        uint64_t random = support_random(seed);
        if (random % 4 != 0)
            continue; /* runs of equal classes come, too */
        policy->classes[i].route = (uint8_t)(random / 4 % (large ? 3 : 2));
        policy->classes[i].capacity = (uint16_t)(random / 16 % (hak_policy_capacity_max(i) + 1));
    }
}

static void print__any_policy__reads_as_the_same(void **state)
{
    uint64_t seed = 6;
    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        struct hak_policy policy, again;
        char text[8192], part[100], fault[HAK_FAULT_BYTES] = "";
        policy_random(&policy, &seed);
        size_t bytes = hak_policy_print(&policy, text, sizeof text);
        assert_true(bytes < sizeof text);
        assert_true(hak_policy_parse(text, &again, fault));
        for (size_t i = 1; i < HAK_BINS; i++) {
            assert_int_equal(again.classes[i].route, policy.classes[i].route);
            assert_int_equal(again.classes[i].capacity, policy.classes[i].capacity);
        }
        assert_int_equal(hak_policy_print(&policy, part, sizeof part), bytes);
        assert_memory_equal(part, text, sizeof part - 1);
        assert_int_equal(part[sizeof part - 1], '\0');
        assert_int_equal(hak_policy_print(&policy, NULL, 0), bytes);
    }
}

/* ---- what a heap does ----------------------------------------------------------------------- */

static void set(const char *text)
{
    char fault[HAK_FAULT_BYTES];
    int error = hak_policy_set(text, fault, sizeof fault);
    if (error != 0)
        dprintf(STDERR_FILENO, "%s: %s\n", text, fault);
    SUPPORT_REQUIRE(error == 0 && fault[0] == '\0');
}

static void wake(void)
{
    hak_fake_wake(4096);
    hak_free(hak_malloc(1));
}

static void allocate_many(size_t bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        SUPPORT_REQUIRE((blocks[i] = hak_malloc(bytes)) != NULL);
        support_fill(blocks[i], bytes < 64 ? bytes : 64, i);
    }
    SUPPORT_REQUIRE(hak_heap_is_valid());
}

static void free_many(size_t bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        SUPPORT_REQUIRE(support_holds(blocks[i], bytes < 64 ? bytes : 64, i));
        hak_free(blocks[i]);
    }
    SUPPORT_REQUIRE(hak_heap_is_valid());
}

static void use_many(size_t bytes, size_t count)
{
    allocate_many(bytes, count);
    free_many(bytes, count);
}

static size_t capacity_of(size_t slot_bytes)
{
    return hak_heap_self->shelves[bin_of(slot_bytes)].capacity;
}

static size_t stock_of(size_t slot_bytes)
{
    return hak_bin_count(&hak_heap_self->bins[bin_of(slot_bytes)]);
}

static bool is_large(const void *block)
{
    return hak_region_tag(hak_region_page_idx(block)) == HAK_TAG_LARGE;
}

/* Requested so that the slot is of that size in both modes. */
static size_t request(size_t slot_bytes)
{
    return slot_bytes - 1;
}

static void run_capacity(void *unused)
{
    const size_t slots[] = {16, 64, 1024, 4096, 32768};
    const unsigned capacities[] = {1, 2, 7, 20, 32};
    char text[64];
    (void)unused;
    wake();
    for (size_t round = 0; round < SUPPORT_COUNT(slots); round++) {
        for (size_t i = 0; i < SUPPORT_COUNT(slots); i++) {
            unsigned capacity = capacities[(i + round) % SUPPORT_COUNT(slots)];
            snprintf(text, sizeof text, "class %zu capacity %u", slots[i], capacity);
            set(text);
            use_many(request(slots[i]), 300);
            SUPPORT_REQUIRE(capacity_of(slots[i]) == capacity);
            SUPPORT_REQUIRE(stock_of(slots[i]) <= capacity && stock_of(slots[i]) > 0);
        }
    }
}

static void capacity__by_policy__is_neither_more_nor_less(void **state)
{
    (void)state;
    scenario_run(run_capacity, NULL);
}

/* By itself the magazine would grow; a policy makes it small, the next one lets it grow again. */
static void run_change(void *unused)
{
    (void)unused;
    wake();
    for (unsigned i = 0; i < 30; i++)
        use_many(request(64), MANY);
    size_t grown = capacity_of(64);
    SUPPORT_REQUIRE(grown > 500);
    set("class 64 capacity 9");
    SUPPORT_REQUIRE(capacity_of(64) == grown); /* the fast paths know nothing */
    hak_free(hak_malloc(600));                 /* a slow path of another class */
    SUPPORT_REQUIRE(capacity_of(64) == 9 && stock_of(64) == 9);
    SUPPORT_REQUIRE(hak_heap_is_valid());
    use_many(request(64), MANY);
    SUPPORT_REQUIRE(capacity_of(64) == 9);
    set("");
    for (unsigned i = 0; i < 30; i++)
        use_many(request(64), MANY);
    SUPPORT_REQUIRE(capacity_of(64) > 9 && capacity_of(64) <= hak_classes[4].max_capacity);
}

static void capacity__changed_while_full__rest_goes_back(void **state)
{
    (void)state;
    scenario_run(run_change, NULL);
}

/* Most of a full magazine might stay then, more than a flush can take notes of (front/heap.h). */
static void run_little_less(void *unused)
{
    (void)unused;
    wake();
    for (unsigned i = 0; i < 30; i++)
        use_many(request(64), MANY);
    allocate_many(request(64), MANY);
    for (size_t stride = 7, i = 0; stock_of(64) < 1023; i = (i + stride) % MANY) { /* no runs */
        hak_free(blocks[i]);
        blocks[i] = NULL;
    }
    SUPPORT_REQUIRE(capacity_of(64) == 1023);
    set("class 64 capacity 1000");
    hak_free(hak_malloc(600)); /* a slow path of another class */
    SUPPORT_REQUIRE(capacity_of(64) == 1000 && stock_of(64) <= 1000 && hak_heap_is_valid());
    for (size_t i = 0; i < MANY; i++)
        hak_free(blocks[i]);
    use_many(request(64), MANY);
}

static void capacity__a_little_less_than_is_there__flush_stays_within_its_marks(void **state)
{
    (void)state;
    scenario_run(run_little_less, NULL);
}

/* The magazines are as large as the heap's share lets them, and the last ones are not starved. */
static void run_share(void *unused)
{
    (void)unused;
    wake();
    set("class 1..1024 capacity 1023; class 1025..4096 capacity 255");
    for (size_t slot = 16; slot <= 1024; slot += 16)
        use_many(request(slot), 64);
    SUPPORT_REQUIRE(hak_figure(&hak_heap_self->magazine_bytes) > 6 * MIB);
    SUPPORT_REQUIRE(hak_figure(&hak_heap_self->magazine_bytes) <= 8 * MIB + 64 * KIB);
    for (size_t slot = 16; slot <= 1024; slot += 16)
        SUPPORT_REQUIRE(capacity_of(slot) >= hak_classes[bin_of(slot)].max_capacity / 2);
    SUPPORT_REQUIRE(capacity_of(16) == 1023 && capacity_of(400) == 1023);
}

static void capacity__above_the_heaps_share__is_as_much_as_fits(void **state)
{
    (void)state;
    scenario_run(run_share, NULL);
}

static void run_mid(void *unused)
{
    size_t used = hak_meta_used_bytes();
    (void)unused;
    wake();
    set("class 64 route MID capacity 100; class 16384 route MID");
    use_many(request(64), MANY);
    use_many(request(16384), 200);
    SUPPORT_REQUIRE(capacity_of(64) == 1 && capacity_of(16384) == 1);
    SUPPORT_REQUIRE(stock_of(64) == 1 && stock_of(16384) == 1);
    SUPPORT_REQUIRE(hak_meta_used_bytes() > used);
    /* All other blocks are back in their pages: only those of the last ones are open. */
    SUPPORT_REQUIRE(atomic_load(&hak_heap_self->page_count) <= 3);
}

static void route_mid__many_blocks__stay_in_no_magazine(void **state)
{
    (void)state;
    scenario_run(run_mid, NULL);
}

static void run_large(void *unused)
{
    (void)unused;
    wake();
    allocate_many(8000, 100);
    set("class 4097..65536 route LARGE");
    for (size_t i = 0; i < 100; i++)
        SUPPORT_REQUIRE(!is_large(blocks[i]));
    free_many(8000, 100);
    while (stock_of(8192) != 0)
        SUPPORT_REQUIRE(!is_large(hak_malloc(8000))); /* what the bin still had */
    for (size_t bytes = 4200; bytes <= 65000; bytes += 3100) {
        char *block = hak_calloc(1, bytes);
        SUPPORT_REQUIRE(block != NULL && is_large(block) && support_is_zero(block, bytes));
        SUPPORT_REQUIRE(hak_malloc_usable_size(block) >= bytes);
        support_fill(block, bytes, bytes);
        SUPPORT_REQUIRE((block = hak_realloc(block, bytes + 5000)) != NULL);
        SUPPORT_REQUIRE(support_holds(block, bytes / 8 * 8, bytes));
        hak_free(block);
        void *aligned = hak_memalign(4096, bytes);
        SUPPORT_REQUIRE(aligned != NULL && (uintptr_t)aligned % 4096 == 0);
        hak_free(aligned);
    }
    allocate_many(request(32768), 50);
    for (size_t i = 0; i < 50; i++)
        SUPPORT_REQUIRE(is_large(blocks[i]) && !is_large(hak_malloc(4000)));
    set("");
    free_many(request(32768), 50);
    SUPPORT_REQUIRE(!is_large(hak_malloc(request(32768))));
}

static void route_large__before_and_after__blocks_go_home(void **state)
{
    (void)state;
    scenario_run(run_large, NULL);
}

/* Memory is out: NULL as always, and the heap stays whole. */
static void run_large_out(void *unused)
{
    (void)unused;
    wake();
    set("class 4097..65536 route LARGE");
    hak_free(hak_malloc(request(16384)));
    hak_fake_fail(HAK_FAKE_COMMIT, hak_fake_count(HAK_FAKE_COMMIT) + 1, SIZE_MAX);
    size_t got = 0;
    errno = 0;
    while (got < MANY && (blocks[got] = hak_malloc(request(16384))) != NULL)
        got++;
    SUPPORT_REQUIRE(got < MANY && errno == ENOMEM && hak_heap_is_valid());
    while (got > 0)
        hak_free(blocks[--got]);
    SUPPORT_REQUIRE(hak_malloc(request(16384)) != NULL);
}

static void route_large__out_of_memory__is_said(void **state)
{
    (void)state;
    scenario_run(run_large_out, NULL);
}

/* ---- snapshots ------------------------------------------------------------------------------ */

static void run_kept(void *unused)
{
    struct hak_policy draft = {.next = NULL};
    (void)unused;
    wake();
    const struct hak_policy *plain = hak_policy_now();
    set("class 64 capacity 9");
    const struct hak_policy *nine = hak_policy_now();
    set("class 64 capacity 10");
    const struct hak_policy *ten = hak_policy_now();
    SUPPORT_REQUIRE(nine != plain && ten != nine);
    SUPPORT_REQUIRE(nine->classes[4].capacity == 9 && ten->classes[4].capacity == 10);
    set("class 60 capacity 9");
    SUPPORT_REQUIRE(hak_policy_now() == nine);
    set("profile balanced");
    SUPPORT_REQUIRE(hak_policy_now() == plain);
    draft.classes[1].capacity = 5;
    SUPPORT_REQUIRE(!hak_policy_publish(&draft, nine) && hak_policy_now() == plain);
    SUPPORT_REQUIRE(hak_policy_publish(&draft, plain) && hak_policy_now() != plain);
    size_t made = 3;
    for (unsigned i = 0; i < HAK_POLICIES + 10; i++) {
        draft.classes[1].capacity = (uint16_t)(6 + i % 1000);
        draft.classes[2].capacity = (uint16_t)(i / 1000);
        if (hak_policy_publish(&draft, NULL))
            made++;
    }
    SUPPORT_REQUIRE(made == HAK_POLICIES);
    char fault[100];
    SUPPORT_REQUIRE(hak_policy_set("class 64 capacity 11", fault, sizeof fault) == ENOMEM);
    SUPPORT_REQUIRE(strcmp(fault, "out of memory, or of policies") == 0);
    set("class 64 capacity 10");
    SUPPORT_REQUIRE(hak_policy_now() == ten);
}

static void snapshot__published_again__is_the_one_before(void **state)
{
    (void)state;
    scenario_run(run_kept, NULL);
}

static void run_bad(void *unused)
{
    char fault[100] = "", text[400], again[400];
    (void)unused;
    wake();
    set("class 64 capacity 9");
    size_t bytes = hak_policy_get(text, sizeof text);
    SUPPORT_REQUIRE(strcmp(text, "tiny_max_class 7\nsmallmid 1\nclass 64..64 route ULTRA capacity "
                                 "9\n") == 0);
    SUPPORT_REQUIRE(bytes == strlen(text) && hak_policy_get(NULL, 0) == bytes);
    SUPPORT_REQUIRE(hak_policy_get(again, 5) == bytes && strcmp(again, "tiny") == 0);
    SUPPORT_REQUIRE(hak_policy_set("class 32 capacity 3\nclass 64 capacity 4000", fault,
                                   sizeof fault) == EINVAL);
    SUPPORT_REQUIRE(strcmp(fault, "line 2: capacity 4000 is out of range 0..1023") == 0);
    SUPPORT_REQUIRE(hak_policy_set("smallmid 0", fault, sizeof fault) == EINVAL);
    SUPPORT_REQUIRE(strcmp(fault, "tiers are fixed at start") == 0);
    SUPPORT_REQUIRE(hak_policy_set("tiny_max_class 5", NULL, 0) == EINVAL);
    SUPPORT_REQUIRE(hak_policy_get(again, sizeof again) == bytes && strcmp(again, text) == 0);
    SUPPORT_REQUIRE(hak_policy_set(text, fault, sizeof fault) == 0 && fault[0] == '\0');
}

static void set__bad_text__leaves_the_policy(void **state)
{
    (void)state;
    scenario_run(run_bad, NULL);
}

/* ---- the environment ------------------------------------------------------------------------ */

static void run_environment(void *text)
{
    char policy[4096];
    SUPPORT_REQUIRE(setenv("HAKMEM_POLICY", text, 1) == 0);
    SUPPORT_REQUIRE(setenv("HAKMEM_PREWARM", "1", 1) == 0);
    wake();
    use_many(request(64), 100);
    use_many(request(16384), 100);
    SUPPORT_REQUIRE(hak_policy_get(policy, sizeof policy) < sizeof policy);
    dprintf(STDERR_FILENO, "%s%zu %zu %u %u", policy, capacity_of(64), capacity_of(16384),
            hak_classes[bin_of(512)].geometry.pool, hak_classes[bin_of(2048)].geometry.pool);
}

static void environment__texts_and_names__are_obeyed_from_the_first_block_on(void **state)
{
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"class 64 capacity 12;tiny_max_class 5",
         "tiny_max_class 5\nsmallmid 1\nclass 64..64 route ULTRA capacity 12\n12 63 2 2"},
        {"smallmid 0; class 16384 route LARGE",
         "tiny_max_class 7\nsmallmid 0\nclass 16384..16384 route LARGE capacity 0\n127 0 1 3"},
        {"class 64 capacity 12;tiny_max_class 5\nclass 16384 route LARGE;class 70000 route MID",
         "hakmem: HAKMEM_POLICY: line 2: class 70000 is out of range 1..65536, using balanced\n"
         "tiny_max_class 7\nsmallmid 1\n127 63 1 2"},
        {"low-memory", "tiny_max_class 7\nsmallmid 1\nclass 16..1024 route ULTRA capacity 15\n"
                       "class 1152..4096 route ULTRA capacity 7\n"
                       "class 5120..65536 route MID capacity 0\n15 1 1 2"},
        {"/no/such/file", "hakmem: HAKMEM_POLICY: the file cannot be read, using balanced\n"
                          "tiny_max_class 7\nsmallmid 1\n127 63 1 2"},
    };
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(rows); i++) {
        struct support_end end =
            support_run_child(run_environment, (void *)(uintptr_t)rows[i].text);
        assert_int_equal(end.status, 0);
        assert_string_equal(end.text, rows[i].said);
    }
}

/* ---- threads -------------------------------------------------------------------------------- */

#define THREADS 4
#define ROUNDS 300

static void change_and_use(unsigned index, void *unused)
{
    static const char *const texts[] = {
        "balanced",
        "low-memory",
        "throughput",
        "class 1..4096 route MID; class 8192 route LARGE",
        "class 4097..65536 route LARGE",
        "class 1..65536 capacity 3",
    };
    uint64_t seed = index;
    (void)unused;
    for (unsigned round = 0; round < ROUNDS; round++) {
        char *mine[40];
        size_t bytes[40];
        if (round % 3 == 0)
            set(texts[support_random(&seed) % SUPPORT_COUNT(texts)]);
        for (size_t i = 0; i < SUPPORT_COUNT(mine); i++) {
            bytes[i] = (size_t)1 << support_random(&seed) % 15;
            SUPPORT_REQUIRE((mine[i] = hak_malloc(bytes[i])) != NULL);
            support_fill(mine[i], bytes[i], i);
        }
        for (size_t i = 0; i < SUPPORT_COUNT(mine); i++) {
            SUPPORT_REQUIRE(support_holds(mine[i], bytes[i], i));
            hak_free(mine[i]);
        }
        SUPPORT_REQUIRE(hak_heap_is_valid());
    }
}

static void run_threads(void *unused)
{
    (void)unused;
    hak_fake_wake(4096);
    scenario_threads(THREADS, change_and_use, NULL);
}

static void threads__change_the_policy_while_they_allocate__nothing_is_lost(void **state)
{
    (void)state;
    scenario_run(run_threads, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse__good_texts__give_what_they_say),
        cmocka_unit_test(parse__bad_texts__are_refused_by_line_key_and_range),
        cmocka_unit_test(parse__shipped_profiles__are_whole_policies),
        cmocka_unit_test(print__any_policy__reads_as_the_same),
        cmocka_unit_test(capacity__by_policy__is_neither_more_nor_less),
        cmocka_unit_test(capacity__changed_while_full__rest_goes_back),
        cmocka_unit_test(capacity__a_little_less_than_is_there__flush_stays_within_its_marks),
        cmocka_unit_test(capacity__above_the_heaps_share__is_as_much_as_fits),
        cmocka_unit_test(route_mid__many_blocks__stay_in_no_magazine),
        cmocka_unit_test(route_large__before_and_after__blocks_go_home),
        cmocka_unit_test(route_large__out_of_memory__is_said),
        cmocka_unit_test(snapshot__published_again__is_the_one_before),
        cmocka_unit_test(set__bad_text__leaves_the_policy),
        cmocka_unit_test(environment__texts_and_names__are_obeyed_from_the_first_block_on),
        cmocka_unit_test(threads__change_the_policy_while_they_allocate__nothing_is_lost),
    };
    return cmocka_run_group_tests_name("policy", tests, classes_prepare, NULL);
}
