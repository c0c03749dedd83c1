# file: segment/large.c
# case: moved
# A place to which pages were moved is not marked: the next block there takes it for one mapping.
s/if (moved != 0) {/if (false) {/
