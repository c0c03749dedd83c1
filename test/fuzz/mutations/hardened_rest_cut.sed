# file: front/harden/pen.c
# case: hardened-rest
# A slot rests in one epoch only.
s/if (since > 1) {/if (since > 0) {/
