# file: front/thread.c
# case: orphan__adopted_from_while_its_block_is_freed__nothing_is_stranded
# Who lets an orphan go does not look at its list after that.
/^void hak_heap_let_go_orphan/,/^}/ s/hak_heap_help(heap);//
