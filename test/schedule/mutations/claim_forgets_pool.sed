# file: segment/segment.c
# case: segment__emptied_and_claimed_for_another_pool__cas_notices
# A claim takes slots of a segment whose pool it has seen before that.
/^static int claim_in_segment/,/^}/ {
    s/^        uint32_t unfit = /        old = hak_segment_word(segment_idx);\n&/
}
