# file: front/thread.c
# case: orphan__two_of_its_pages_announced__helpers_drain_both
# Who drains an orphan does not look at its list after that.
/^void hak_heap_help/,/^}/ s/^    while (/    if (/
