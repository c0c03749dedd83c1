# file: segment/arena.c
# case: arena__grown_in_turn_by_two__nothing_hidden_is_opened
# Who commits does not wait for a turn, though parts are hidden later.
s/bool in_turn = hak_arena.config.commits_in_turn ||/bool in_turn = false \&\&/
