# file: front/harden/fence.c
# case: hardened-misuse
# A freed large block can still be touched.
/^void hak_fence_give/,/^}/ s/(void)hak_os_hide(start, run_bytes(fence));/;/
