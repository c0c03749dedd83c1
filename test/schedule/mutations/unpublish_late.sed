# file: segment/page.c
# case: page__closes_while_another_opens__tags_are_the_new_ones
# The tags of a page are cleared when its slots may be another's.
/^bool hak_page_close/,/^}/ {
    /hak_region_set(hak_page_idx(page), page->span_pages, HAK_TAG_NONE);/d
    s/^    hak_pages_release(.*/&\n    hak_region_set(hak_page_idx(page), page->span_pages, HAK_TAG_NONE);/
}
