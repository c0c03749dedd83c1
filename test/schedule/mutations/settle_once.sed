# file: segment/huge.c
# case: huge__two_segments_go_back__so_does_their_room
# Who settles does not look again after its turn.
/^void hak_huge_settle/,/^}/ s/^    while (/    if (/
