# file: segment/large.c
# case: cleared
# A large block of calloc() keeps what was there before.
s/if (hak_pages_dirty(page_idx, 1) != 0)/if (false)/
