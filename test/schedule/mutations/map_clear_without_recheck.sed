# file: segment/maps.c
# case: segment__last_slot_claimed_while_one_is_released__room_is_found
# A bit is cleared, and the word is not read again after that.
/^void hak_map_clear/,/^}/ s/if (hak_segment_has_room(segment_idx, map))/if (false)/
