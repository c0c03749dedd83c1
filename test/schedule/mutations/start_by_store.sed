# file: front/start.c
# case: start__by_two_threads__is_done_once
# Who starts the process does not look who was faster.
/^bool hak_start(void)/,/^}/ {
    /if (atomic_compare_exchange_strong/ {
        N
        s/.*/        atomic_store_explicit(\&progress, STARTING, memory_order_relaxed);\n        {/
    }
}
