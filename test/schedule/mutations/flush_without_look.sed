# file: front/refill.c
# case: idle__adopted_from_while_its_owner_flushes__blocks_find_the_new_one
# A flush does not look whether a block's page has another owner by now.
s/HAK_LIKELY(hak_page_is_owned(page, (uintptr_t)heap))/true/
