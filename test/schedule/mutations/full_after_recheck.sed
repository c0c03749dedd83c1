# file: segment/page.c
# case: page__freed_while_its_owner_finds_nothing__bits_are_seen
# An owner looks at the bits and then sets FULL.
/^bool hak_page_set_full/,/^}/ {
    s/^{/{\n    bool some = hak_page_collect(page) != 0;/
    s/return hak_page_collect(page) != 0;/return some;/
}
