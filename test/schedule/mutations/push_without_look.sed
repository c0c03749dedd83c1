# file: front/remote.c
# case: thread__ends_while_its_blocks_are_freed__nothing_is_stranded
# Who announces a page does not look whether the owner is an orphan.
s/hak_heap_help(owner);//
