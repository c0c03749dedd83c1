/*
 * Cases of policies: set while a heap looks for them, and while another one was learnt.
 */
#include "front/policy/policy.h"
#include "schedule/cases.h"

#define FIRST_CAPACITY 15
#define SET_CAPACITY 3
#define LEARNT_CAPACITY 9 /* of another class */

static void set_small(void)
{
    struct hak_policy draft = {.next = NULL};
    draft.classes[case_bin()].capacity = SET_CAPACITY;
    SUPPORT_REQUIRE(hak_policy_publish(&draft, NULL));
}

/* What the learner does with a judgement. */
static void learn(void)
{
    SCHEDULE_HERE(&hak_policy_current);
    const struct hak_policy *base = hak_policy_now();
    struct hak_policy draft = *base;
    draft.classes[1].capacity = LEARNT_CAPACITY;
    (void)hak_policy_publish(&draft, base);
}

/* A slow path; after it the magazine is as the policy says that the heap found. */
static void look(void)
{
    struct hak_heap *heap = hak_heap_enter();
    SCHEDULE_HERE(&hak_policy_current);
    hak_policy_look(heap);
    size_t ruled = hak_policy_capacity(heap->policy, case_bin());
    size_t capacity = heap->shelves[case_bin()].capacity;
    SUPPORT_REQUIRE(ruled == 0 || ruled == SET_CAPACITY);
    SUPPORT_REQUIRE(capacity == (ruled == 0 ? FIRST_CAPACITY : SET_CAPACITY));
    hak_heap_leave(heap);
}

static void look_twice(void)
{
    look();
    look();
}

static void keep_two(void)
{
    for (size_t i = 2; i < case_slots(); i++)
        case_free(i);
}

/* A heap whose magazine has all blocks of a page but two. */
static void setup_magazine(void)
{
    case_begin();
    schedule_as(0, case_attach);
    schedule_as(0, case_fill_page);
    schedule_as(0, keep_two);
    case_save(4);
}

static void look_at_last(void)
{
    look();
    SUPPORT_REQUIRE(hak_heap_self->shelves[case_bin()].capacity == SET_CAPACITY);
    SUPPORT_REQUIRE(hak_bin_count(&hak_heap_self->bins[case_bin()]) <= SET_CAPACITY);
}

static void check_set(void)
{
    SUPPORT_REQUIRE(hak_policy_now()->classes[case_bin()].capacity == SET_CAPACITY);
    schedule_as(0, look_at_last);
    case_check();
}

const struct schedule_case schedule_policy_cases[] = {
    {
        .name = "policy__set_while_a_heap_looks__is_whole",
        .setup = setup_magazine,
        .threads = {look_twice, set_small},
        .check = check_set,
        .quick = 4, /* not all orders: of two it would leave one out that differs in plain fields */
        .full = 6,
    },
    {
        .name = "policy__set_while_another_is_learnt__stays",
        .setup = setup_magazine,
        .threads = {look, set_small, learn},
        .check = check_set,
        .quick = 2,
        .full = 3,
    },
    {
        .name = "policy__set_by_two_at_once__is_one_of_them",
        .setup = setup_magazine,
        .threads = {look, set_small, set_small},
        .check = check_set,
        .quick = 2,
        .full = 3,
    },
    {0},
};
