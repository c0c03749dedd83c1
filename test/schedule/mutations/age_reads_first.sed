# file: segment/segment.c
# case: segment__aged_while_a_slot_is_released__next_purge_finds_it
# The bit of a dirty segment is cleared after its slots were looked at.
/^static void segment_age/,/^}/ {
    /hak_map_clear(HAK_MAP_DIRTY, segment_idx);/d
    s/^    if (left != 0) {/    hak_map_clear(HAK_MAP_DIRTY, segment_idx);\n&/
}
