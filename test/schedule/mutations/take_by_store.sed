# file: segment/arena.c
# case: arena__grown_by_two__each_has_its_own
# The end moves without looking who was faster.
/^size_t hak_arena_take/,/^}/ {
    /if (atomic_compare_exchange_weak/ {
        N
        s/.*/        atomic_store_explicit(\&hak_arena.end, start + count, memory_order_seq_cst);\n        {/
    }
}
