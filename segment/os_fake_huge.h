/*
 * os_fake_huge: what the two files of the kernel for tests share; see os_fake.h.
 *
 * Purpose   os_fake.c has the calls and the ordinary memory, os_fake_huge.c the pool of huge pages.
 * Threads   any.
 */
#ifndef HAK_OS_FAKE_HUGE_H
#define HAK_OS_FAKE_HUGE_H

#include "segment/os_fake.h"

/* Counts a call; true if the test wants it to fail. */
bool hak_fake_begin(enum hak_fake_call call);

void hak_fake_mistake(enum hak_fake_call call, const char *what);

/* The start of the reservation that all of the range lies in; 0: there is none. */
uintptr_t hak_fake_reservation(uintptr_t start, size_t bytes);

/* What a kernel may leave behind that unmaps before it finds that it cannot map. */
void hak_fake_unmap(void *start, size_t bytes);

enum hak_fake_touch {
    HAK_FAKE_TOUCHES_NONE,
    HAK_FAKE_TOUCHES_WHOLE, /* pages of the pool, all of each */
    HAK_FAKE_TOUCHES_PART,  /* of some page of the pool a part */
    HAK_FAKE_TOUCHES_HOLE,  /* a place that was lost */
};

/* What the pool has to do with a range. */
enum hak_fake_touch hak_fake_huge_touch(const void *start, size_t bytes);

/* The range's pages go back to the pool; `lost`: and a hole is there. */
void hak_fake_huge_gone(const void *start, size_t bytes, bool lost);

/* Gives room back, all or its end. False: that is none. */
bool hak_fake_huge_unhold(void *start, size_t bytes);

#endif
