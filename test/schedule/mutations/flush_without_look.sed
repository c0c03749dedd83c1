# file: front/refill.c
# case: idle__adopted_from_while_its_owner_flushes__blocks_find_the_new_one
# A flush does not look whether a block's page has another owner by now: its tag is always right.
s,^#include "front/give.h",#include "front/layout.h"\n#define hak_region_tag(page_idx) ((void)(page_idx)\, tag)\n&\n#undef hak_region_tag,
