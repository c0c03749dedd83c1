# file: segment/segment.c
# case: segment__claimed_as_it_is_released__dirty_is_said
# A slot is released before it is said to be dirty.
/^static void release_in_segment/,/^}/ {
    /(void)atomic_fetch_or_explicit(&segment->dirty, run, memory_order_relaxed);/d
    s/^    if (left != 0) {/    if (dirty) {\n        atomic_fetch_or_explicit(\&segment->dirty, run, memory_order_relaxed);\n    }\n&/
}
