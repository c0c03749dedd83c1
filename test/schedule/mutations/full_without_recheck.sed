# file: segment/page.c
# case: page__freed_while_its_owner_finds_nothing__bits_are_seen
# An owner that has set FULL does not look at the bits once more.
s/return hak_page_collect(page) != 0;/return false;/
