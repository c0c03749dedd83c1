# file: front/thread.c
# case: thread__ends_while_its_blocks_are_freed__nothing_is_stranded
# A thread that ends does not set FULL on its pages.
/^static void heap_thread_exit/,/^}/ s/^    hak_shelf_rest(heap);//
