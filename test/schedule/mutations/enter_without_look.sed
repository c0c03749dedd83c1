# file: front/thread.c
# case: idle__adopted_from_while_its_owner_comes_back__one_works_at_a_time
# An owner does not look whether somebody holds its heap.
s/HAK_LIKELY(atomic_load_explicit(&heap->holder, memory_order_acquire) == 0)/true/
