# file: front/shelf.c
# case: page__freed_again_while_it_is_drained__nothing_is_stranded
# FULL and PENDING are cleared when the page is at its new place.
/^static void page_drain/,/^}/ {
    /hak_page_clear_pending(page);/d
    s/^}/    hak_page_clear_pending(page);\n}/
}
