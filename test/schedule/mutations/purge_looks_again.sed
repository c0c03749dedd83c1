# file: segment/segment.c
# case: segment__purged_while_a_slot_is_used__nothing_is_taken_away
# A purge claims slots in a word that it has read after it chose them.
/^size_t hak_segment_purge/,/^}/ s/^        if (!word_replace(/        old = hak_segment_word(segment_idx);\n&/
