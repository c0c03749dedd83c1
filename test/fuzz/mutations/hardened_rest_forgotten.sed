# file: front/harden/fence.c
# case: hardened-rest-large
# A large block rests for one allocation.
s/> HAK_REST_TAKES/> 1/
