# file: front/harden/slots.c
# case: hardened-rest
# A freed slot keeps what was there.
/^static HAK_INLINED void slot_clear/,/^}/ s/\(memset\|hak_canary_clear\)(start, [^;]*);/;/
