# file: segment/arena.c
# case: arena__committed_by_two__larger_part_stays
# What is committed is stored, though it may have grown more.
/^static void counter_raise/,/^}/ {
    /if (atomic_compare_exchange_weak/ {
        N
        s/.*/        atomic_store_explicit(counter, value, memory_order_release);\n        {/
    }
}
