# file: front/harden/pen.c
# case: hardened-rest
# A slot rests in one epoch only.
/^void hak_pen_age/,/^}/ s/since > 1)/since > 0)/
