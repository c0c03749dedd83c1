# file: segment/meta.c
# case: meta__records_taken_by_two__they_are_apart
# A record is taken without looking who was faster.
/^void \*hak_meta_new/,/^}/ {
    /if (atomic_compare_exchange_weak/ {
        N
        s/.*/        atomic_store_explicit(\&meta.used, at + bytes, memory_order_relaxed);\n        {/
    }
}
