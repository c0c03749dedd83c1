# file: segment/arena.c
# case: huge__segment_goes_back_in_anothers_turn__so_does_its_room
# Who maps pages of the pool does not settle after its turn.
/^bool hak_arena_commit(/,/^}/ s/^            hak_huge_settle();//
