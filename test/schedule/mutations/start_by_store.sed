# file: front/start.c
# case: start__by_two_threads__is_done_once
# Who starts the process does not look who was faster.
/^bool hak_start(void)/,/^}/ {
    /if (at == NOT_STARTED &&/ {
        N
        N
        s/.*/        if (at == NOT_STARTED) {\n            atomic_store_explicit(\&progress, STARTING, memory_order_relaxed);/
    }
}
