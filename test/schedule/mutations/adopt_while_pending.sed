# file: segment/page.c
# case: orphan__adopted_from_while_its_block_is_freed__nothing_is_stranded
# A page is adopted while a notice is on its way.
/^bool hak_page_adopt/,/^}/ s/ || (word & HAK_PAGE_PENDING) != 0//
