# file: segment/large.c
# case: large__freed_while_another_is_taken__tag_is_the_new_ones
# The tag of a large block is cleared when its pages may be another's.
/^void hak_large_free/,/^}/ {
    s/ || !hak_region_clear_large(page_idx)//
    s/^    hak_pages_release(.*/&\n    (void)hak_region_clear_large(page_idx);/
}
