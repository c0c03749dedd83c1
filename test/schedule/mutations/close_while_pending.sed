# file: segment/page.c
# case: page__last_block_freed_while_it_closes__notice_finds_it_open
# A page is closed while a notice is on its way.
/^bool hak_page_close/,/^}/ s/(word & HAK_PAGE_PENDING) != 0 || //
