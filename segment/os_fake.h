/*
 * os_fake: how a test rules the kernel that it pretends.
 *
 * Purpose   os_fake.c stands behind os.h in place of Linux. Its memory is real, taken from the
 *           kernel below, so blocks can be used. Everything else is as the test says: which call
 *           fails, how large a kernel page is, what time it is, how much memory there is.
 *           Until hak_fake_wake() nothing can be reserved: what the library does when it is
 *           loaded fails, and the test's own first call sets everything up.
 *           There is no way back to an unused state: one child process a scenario.
 * Threads   counts may be read any time; all else is set while one thread runs.
 */
#ifndef HAK_OS_FAKE_H
#define HAK_OS_FAKE_H

#include "hak_base.h"

enum hak_fake_call {
    HAK_FAKE_RESERVE,
    HAK_FAKE_COMMIT,
    HAK_FAKE_PURGE,
    HAK_FAKE_RENEW,
    HAK_FAKE_MOVE,
    HAK_FAKE_BARRIER,
    HAK_FAKE_ANY, /* all but UNRESERVE, in the order in which they come */
    HAK_FAKE_UNRESERVE,
    HAK_FAKE_HUGE_MAP,
    HAK_FAKE_HUGE_HOLD,
    HAK_FAKE_HUGE_ADVISE,
    HAK_FAKE_POPULATE,
    HAK_FAKE_HIDE,
    HAK_FAKE_WIPE,
    HAK_FAKE_CALLS,
};

#define HAK_FAKE_FOREVER SIZE_MAX

/* Lets reservations succeed and counts calls from here on. `os_page_bytes` is 4, 16 or 64 KiB. */
void hak_fake_wake(size_t os_page_bytes);

/* What the kernel says of the machine: physical memory, and the limit on address space, SIZE_MAX
 * for none. Before: 16 GiB without limit. */
void hak_fake_set_machine(size_t physical_bytes, size_t address_limit_bytes);

/* What its cgroups allow; before: SIZE_MAX, no limit. */
void hak_fake_set_memory_allowed(size_t bytes);

/* What the kernel does not say: reservations fail that would make more than this in sum. */
void hak_fake_set_reserve_max(size_t bytes);

/* The clock moves by this call only. */
void hak_fake_advance_ms(uint64_t ms);

/* The `at`-th call of a kind from now on (1 is the next one) fails, and `times` - 1 after it. Takes
 * the place of what was said before. A purge that fails leaves other bytes behind, and a renewal or
 * a move that fails a place that nobody can use. */
void hak_fake_fail(enum hak_fake_call call, size_t at, size_t times);

/* [set by the test while one thread runs] A purge that fails leaves what was there, as Linux does;
 * a hardened process has no need of more. */
extern bool hak_fake_purge_keeps;

/* No call fails any more. */
void hak_fake_heal(void);

/* Runs in the next barrier, when the caller has done what comes before it; NULL for nothing. */
void hak_fake_at_barrier(void (*step)(void));

/* Runs in every yield: who waits by the clock waits for a step that moves it; NULL for nothing. */
void hak_fake_at_yield(void (*step)(void));

/* Calls so far, failed ones too; how many failed because the test said so; bytes reserved now. */
size_t hak_fake_count(enum hak_fake_call call);
size_t hak_fake_failures(enum hak_fake_call call);
size_t hak_fake_reserved_bytes(void);

/* Calls whose arguments were no multiples of the kernel's page or lay outside of what is reserved,
 * moves of what earlier moves have made several mappings, and what a kernel refuses on huge pages;
 * each is named on standard error, and fails. */
size_t hak_fake_mistakes(void);

/*
 * The pool of huge pages of 2 MiB; there are none of 1 GiB. Its pages are mapped
 * (used, of an address), held (room that hak_os_huge_hold() reserved), or free. A page is taken out
 * before its place can be touched, and there is no other way to a mapped one: what is held, and
 * what was refused and left alone, has no memory (PROT_NONE). Mistakes are: a second map of a
 * place, a purge or a move of mapped pages, a commit or a renewal of a part of one, and any call on
 * a place that was lost.
 */

/* Pages in the pool, mapped and held ones too; at first none. Less than these: none is free. */
void hak_fake_set_huge_pool(size_t pages);
size_t hak_fake_huge_mapped(void);
size_t hak_fake_huge_held(void);

/* What the kernel says that this process shares with others after a fork; at first nothing. */
void hak_fake_set_huge_shared(bool shared);

/* So many nodes of memory (to 4), on which of them the one thread runs, and how many of the pool's
 * pages are there. */
void hak_fake_set_node(unsigned nodes, int node, size_t pages);

/* What is wrong with a mount of a hugetlbfs; NULL, as at first: nothing. */
void hak_fake_set_huge_mount_fault(const char *fault);

/* What a map leaves behind that fails because the test said so. When the pool is short: UNTOUCHED.
 */
enum hak_fake_refusal {
    HAK_FAKE_UNTOUCHED, /* HAK_OS_REFUSED, the place as it was; at first so */
    HAK_FAKE_RENEWED,   /* HAK_OS_REFUSED, ordinary memory there, committed and zero */
    HAK_FAKE_LOST,      /* HAK_OS_LOST, the place cannot be used any more */
};
void hak_fake_set_huge_refusal(enum hak_fake_refusal refusal);

/* Runs in every map before anything is mapped; NULL for nothing. */
void hak_fake_at_huge_map(void (*step)(void));

/* Runs before mapped pages go back; NULL for nothing. */
void hak_fake_at_huge_gone(void (*step)(void));

/* Whether a mapped page of the pool is there; how often one was mapped there; and the mount that
 * was last named. */
bool hak_fake_is_huge(const void *start);
size_t hak_fake_huge_maps(const void *start);
const char *hak_fake_huge_mount(void);

#endif
