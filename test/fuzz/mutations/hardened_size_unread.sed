# file: front/harden/harden.c
# case: hardened-misuse
# A free with a wrong size is taken.
s/HAK_CHECK(hak_max(bytes, 1) == hak_max(size, 1) \&\&/HAK_CHECK(true ||/
