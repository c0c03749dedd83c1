# file: front/policy/policy.c
# case: policy__set_while_another_is_learnt__stays
# What was learnt is stored, though another policy was set meanwhile.
/^bool hak_policy_publish/,/^}/ s/if (base == NULL)/if (true)/
