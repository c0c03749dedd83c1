# file: segment/large.c
# case: moved
# A block does not know that its pages came by a move: the next move takes them for one mapping.
s/^ *to->piece_ends\[to->pieces++\] = .*;$//
