# file: segment/segment.c
# case: segment__slots_claimed_by_two_while_one_is_released__room_is_found
# A claim takes slots in a word that it has read after it chose them.
/^static int claim_in_segment/,/^}/ s/^        uint32_t run = run_mask.*/&\n        old = hak_segment_word(segment_idx);/
