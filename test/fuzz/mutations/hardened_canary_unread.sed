# file: front/harden/slots.c
# case: hardened-misuse
# Nobody looks behind a block when it is freed.
/^static HAK_INLINED void slot_verify(/,/^}/ s/size_t slack = hak_slot_slack(notes, slot.idx);/size_t slack = 0;/
