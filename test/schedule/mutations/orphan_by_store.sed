# file: front/thread.c
# case: orphan__taken_by_two_new_threads__each_has_a_heap
# The state of a heap is stored without looking who was faster.
/^static bool state_change/,/^}/ {
    /return atomic_compare_exchange_strong/ {
        N
        s/.*/    atomic_store_explicit(\&heap->state, to, memory_order_seq_cst);\n    return true;/
    }
}
