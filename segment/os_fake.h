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
    HAK_FAKE_ANY, /* all of the above, in the order in which they come */
    HAK_FAKE_UNRESERVE,
    HAK_FAKE_CALLS,
};

#define HAK_FAKE_FOREVER SIZE_MAX

/* Lets reservations succeed and counts calls from here on. `os_page_bytes` is 4, 16 or 64 KiB. */
void hak_fake_wake(size_t os_page_bytes);

/* What the kernel says of the machine: physical memory, and the limit on address space, SIZE_MAX
 * for none. Before: 16 GiB without limit. */
void hak_fake_set_machine(size_t physical_bytes, size_t address_limit_bytes);

/* What the kernel does not say: reservations fail that would make more than this in sum. */
void hak_fake_set_reserve_max(size_t bytes);

/* The clock moves by this call only. */
void hak_fake_advance_ms(uint64_t ms);

/* The `at`-th call of a kind from now on (1 is the next one) fails, and `times` - 1 after it. Takes
 * the place of what was said before. A purge that fails leaves other bytes behind, and a renewal or
 * a move that fails a place that nobody can use. */
void hak_fake_fail(enum hak_fake_call call, size_t at, size_t times);

/* No call fails any more. */
void hak_fake_heal(void);

/* Runs in the next barrier, when the caller has done what comes before it; NULL for nothing. */
void hak_fake_at_barrier(void (*step)(void));

/* Calls so far, failed ones too; how many failed because the test said so; bytes reserved now. */
size_t hak_fake_count(enum hak_fake_call call);
size_t hak_fake_failures(enum hak_fake_call call);
size_t hak_fake_reserved_bytes(void);

/* Calls whose arguments were no multiples of the kernel's page or lay outside of what is
 * reserved; each is named on standard error, and fails. */
size_t hak_fake_mistakes(void);

#endif
