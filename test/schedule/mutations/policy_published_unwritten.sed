# file: front/policy/policy.c
# case: policy__set_while_a_heap_looks__is_whole
# A snapshot is found before it is written.
/^static const struct hak_policy \*snapshot_of/,/^}/ {
    s/^    \*made = \*draft;/    atomic_store_explicit(\&hak_policy_current, made, memory_order_release);/
    s/^    return made;/    newest = made->next;\n    *made = *draft;\n    made->next = newest;\n&/
}
