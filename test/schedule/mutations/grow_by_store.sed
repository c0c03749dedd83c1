# file: region/region.c
# case: arena__grown_by_two__each_has_its_own
# The number of pages with tags is stored, though it may have grown more.
s/hak_counter_raise(&hak_region.pages, pages)/atomic_store_explicit(\&hak_region.pages, pages, memory_order_release)/
