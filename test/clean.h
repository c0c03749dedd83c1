/*
 * Whether everything that a case had was freed, and the heap is whole.
 *
 * Threads   the main thread of the test, while no other allocates.
 */
#ifndef HAKMEM_TEST_CLEAN_H
#define HAKMEM_TEST_CLEAN_H

#include "front/heap.h"
#include "region/region.h"
#include "segment/segment.h"

#include "support.h"

static inline size_t used_bytes(void)
{
    hak_malloc_trim(0);
    return hak_mallinfo2().uordblks;
}

static inline void assert_clean(size_t used_before_bytes)
{
    assert_int_equal(used_bytes(), used_before_bytes);
    assert_true(hak_heap_is_valid());
    assert_true(hak_segment_is_valid());
    assert_true(hak_region_is_valid());
}

#endif
