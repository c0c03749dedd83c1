# file: segment/page.c
# case: page__one_block_freed_while_its_owner_finds_nothing__bit_is_seen
# A freer reads the word before it sets its bits.
/^uintptr_t hak_page_free_remote/,/^}/ {
    /uintptr_t word = atomic_load/d
    s/^    uint64_t old = /    uintptr_t word = atomic_load_explicit(\&page->word, memory_order_seq_cst);\n&/
}
