# file: segment/arena.c
# case: arena__grown_in_turn_by_two__nothing_hidden_is_opened
# Whose turn it is commits once more what another thread has committed, and hidden parts of, meanwhile.
/^bool hak_arena_commit(/,/^}/ s/if (!in_turn || hak_arena_committed() == have)/if (true)/
