# file: front/shelf.c
# case: orphan__two_of_its_pages_announced__helpers_drain_both
# The link is read after the page may be on the list again.
/^void hak_shelf_drain/,/^}/ {
    /struct hak_page \*next = /d
    s/^        page_drain(.*/&\n        struct hak_page *next = atomic_load_explicit(\&page->pending_next, memory_order_relaxed);/
}
