# file: segment/arena.c
# case: arena__committed_by_two__larger_part_stays
# What is committed is stored, though it may have grown more.
s/hak_counter_raise(&hak_arena.committed, want)/atomic_store_explicit(\&hak_arena.committed, want, memory_order_release)/
