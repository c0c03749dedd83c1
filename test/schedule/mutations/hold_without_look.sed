# file: front/thread.c
# case: idle__adopted_from_while_its_owner_comes_back__one_works_at_a_time
# Who holds an idle heap does not look whether it is idle still.
/^static bool idle_confirm/,/^}/ s/== HAK_HEAP_IDLE/!= HAK_HEAP_FROZEN/
