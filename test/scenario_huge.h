/*
 * Scenarios over a kernel that has a pool of huge pages.
 *
 * Purpose   the start with a pool and with options, growth by whole segments, and what is true at
 *           any time: huge_check() and room_check().
 * Threads   as scenario.h.
 */
#ifndef HAKMEM_TEST_SCENARIO_HUGE_H
#define HAKMEM_TEST_SCENARIO_HUGE_H

#include "front/heap.h"
#include "segment/huge.h"
#include "segment/os.h"

#include "scenario.h"
#include "workload.h"

/* A block that no second one fits beside in a segment, in either mode. */
#define SEGMENT_BLOCK (1900 * KIB)
#define SHORT_MS 1000

static struct workload work;
static const struct hak_os_pool two_mib = {2 * MIB, NULL, -1};

/* How the allocator is started. */
struct setting {
    const char *huge, *fork, *threshold_mb, *reserve;
    size_t pool_pages;
};

static inline void begin(struct setting setting)
{
    setenv("HAKMEM_ARENA_GIB", "1", 1);
    setenv("HAKMEM_ARENA_MB_MAX", "2", 1); /* many commit steps */
    setenv("HAKMEM_HUGE", setting.huge, 1);
    setenv("HAKMEM_HUGE_FORK", setting.fork, 1);
    setenv("HAKMEM_HUGE_THRESHOLD_MB", setting.threshold_mb ? setting.threshold_mb : "0", 1);
    setenv("HAKMEM_HUGE_RESERVE", setting.reserve ? setting.reserve : "0", 1);
    hak_fake_wake(4096);
    hak_fake_set_huge_pool(setting.pool_pages);
}

static inline const char *segment_start(size_t segment_idx)
{
    return hak_arena.base + segment_idx * HAK_SEGMENT_BYTES;
}

/* The allocator and the kernel agree about every segment, and no place was mapped twice. What was
 * not given back because the kernel failed counts as huge for ever. */
static inline void huge_check(void)
{
    size_t committed = hak_arena_committed(), huge = 0, lost = 0;
    workload_check();
    for (size_t i = 0; i < committed; i++) {
        bool is_huge = hak_segment_backing(i) == HAK_BACKED_HUGETLB;
        SUPPORT_REQUIRE(is_huge || !hak_fake_is_huge(segment_start(i)));
        SUPPORT_REQUIRE(hak_fake_huge_maps(segment_start(i)) <= 1);
        huge += is_huge;
        lost += is_huge && !hak_fake_is_huge(segment_start(i));
    }
    SUPPORT_REQUIRE(lost <= hak_fake_failures(HAK_FAKE_RENEW));
    SUPPORT_REQUIRE(hak_huge_count(HAK_BACKED_HUGETLB) == huge);
    SUPPORT_REQUIRE(hak_fake_huge_mapped() + lost == huge);
    SUPPORT_REQUIRE(hak_huge_count(HAK_BACKED_SMALL) + hak_huge_count(HAK_BACKED_THP) + huge ==
                    committed);
}

/* For every page that is mapped one is held, and not more. */
static inline void room_check(void)
{
    huge_check();
    SUPPORT_REQUIRE(hak_fake_huge_held() == hak_fake_huge_mapped());
}

/* Takes blocks `from` up to `to`, each with a segment for itself. */
static inline void grow(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        workload_malloc(&work, i, SEGMENT_BLOCK);
}

static inline void shrink(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        workload_free(&work, i);
}

static inline void assert_said(const struct support_end *end, int status, const char *text)
{
    const char *at = strstr(end->text, text);
    if (!WIFEXITED(end->status) || WEXITSTATUS(end->status) != status || at == NULL ||
        strstr(at + 1, text) != NULL)
        fail_msg("status %#x, not just once \"%s\" in: %s", (unsigned)end->status, text, end->text);
}

#endif
