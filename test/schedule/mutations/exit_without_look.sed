# file: front/thread.c
# case: thread__ends_while_its_blocks_are_freed__nothing_is_stranded
# A heap becomes an orphan, and nobody looks at its list after that.
/^static void heap_thread_exit/,/^}/ s/hak_heap_help(heap);//
