# file: front/harden/slots.c
# case: hardened-misuse
# Nobody looks behind a block when it is freed.
/^static void slot_verify(/,/^}/ s/HAK_CHECK(hak_canary_holds(end/HAK_CHECK(true || hak_canary_holds(end/
