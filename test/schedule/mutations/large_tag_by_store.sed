# file: region/region.c
# case: region__large_tag_cleared_by_three__one_wins
# The tag of a large block is looked at and cleared in two steps.
/^bool hak_region_clear_large/,/^}/ {
    /return atomic_compare_exchange_strong/ {
        N
        N
        s/.*/    bool won = hak_region_tag(page_idx) == expected;\n    atomic_store_explicit(\&hak_region.tags[page_idx], HAK_TAG_NONE, memory_order_relaxed);\n    return won;/
    }
}
