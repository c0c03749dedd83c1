/*
 * Policies where they cannot be had: before the process could start, and without memory for a
 * snapshot or for the magazines that it asks for. On the fake kernel.
 *
 * ctest: labels=quick timeout=60 core=fake
 */
#include "front/policy/policy.h"
#include "hakmem.h"
#include "scenario.h"

static void ask_before_the_start(void *unused)
{
    char text[100] = "", fault[100] = "";
    (void)unused;
    SUPPORT_REQUIRE(hak_policy_set("class 64 capacity 9", fault, sizeof fault) == ENOMEM);
    SUPPORT_REQUIRE(strcmp(fault, "out of memory, or of policies") == 0);
    SUPPORT_REQUIRE(hak_policy_get(text, sizeof text) == 0);
    SUPPORT_REQUIRE(hak_policy_learnt(text, sizeof text) == 0 && text[0] == '\0');
    hak_fake_wake(4096);
    SUPPORT_REQUIRE(hak_policy_set("class 64 capacity 9", fault, sizeof fault) == 0);
    SUPPORT_REQUIRE(fault[0] == '\0' && hak_policy_get(text, sizeof text) > 0);
}

static void policy__before_the_start__is_refused_and_can_be_had_later(void **state)
{
    (void)state;
    scenario_run(ask_before_the_start, NULL);
}

/* The policy of a larger magazine was published when there was memory. */
static void obey_without_memory(void *unused)
{
    char fault[100];
    size_t bin_idx = hak_class_bin(256);
    (void)unused;
    hak_fake_wake(4096);
    void *block = hak_malloc(250);
    SUPPORT_REQUIRE(block != NULL);
    uint16_t before = hak_heap_self->shelves[bin_idx].capacity;
    SUPPORT_REQUIRE(hak_policy_set("class 256 capacity 1023", fault, sizeof fault) == 0);
    hak_fake_fail(HAK_FAKE_COMMIT, 1, HAK_FAKE_FOREVER);
    while (hak_meta_new(64, 64) != NULL) /* what was committed already */
        continue;
    SUPPORT_REQUIRE(hak_policy_set("class 256 capacity 9", fault, sizeof fault) == ENOMEM);
    SUPPORT_REQUIRE(strcmp(fault, "out of memory, or of policies") == 0);
    /* The heap obeys as far as it can. */
    hak_malloc_trim(0); /* empties the magazine: the next block takes a slow path */
    hak_free(hak_malloc(250));
    SUPPORT_REQUIRE(hak_heap_self->policy == hak_policy_now());
    SUPPORT_REQUIRE(hak_heap_self->shelves[bin_idx].capacity == before && hak_heap_is_valid());
    hak_fake_heal();
    SUPPORT_REQUIRE(hak_policy_set("class 256 capacity 700", fault, sizeof fault) == 0);
    hak_malloc_trim(0);
    hak_free(hak_malloc(250));
    SUPPORT_REQUIRE(hak_heap_self->shelves[bin_idx].capacity == 700 && hak_heap_is_valid());
    hak_free(block);
}

static void policy__memory_is_out__stays_and_the_heap_goes_on(void **state)
{
    (void)state;
    scenario_run(obey_without_memory, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy__before_the_start__is_refused_and_can_be_had_later),
        cmocka_unit_test(policy__memory_is_out__stays_and_the_heap_goes_on),
    };
    return cmocka_run_group_tests_name("policy_faults", tests, NULL, NULL);
}
