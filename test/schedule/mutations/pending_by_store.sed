# file: segment/page.c
# case: page__freed_by_two__owner_is_told_once
# PENDING is stored without looking who was faster.
/^uintptr_t hak_page_free_remote/,/^}/ {
    /if (atomic_compare_exchange_weak/ {
        N
        s/.*/        atomic_store_explicit(\&page->word, word | pending_mark, memory_order_seq_cst);\n        {/
    }
}
