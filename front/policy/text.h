/*
 * text: policies as people write them.
 *
 *   profile NAME         start from balanced, low-memory, throughput or huge-server
 *   class SIZES route R capacity N
 *                        SIZES is 64, or 16..128; R is ULTRA, MID or LARGE; N is blocks that a
 *                        magazine holds, 0 for automatic. One of the two suffices
 *   tiny_max_class N     5 or 7: where the Tiny tier ends; at start only
 *   smallmid N           0 or 1: a tier of its own up to 4 KiB; at start only
 *
 * A statement a line, or several with ; between them; # and what is behind it on a line says
 * nothing. A class is named by any size that it serves. Later statements win.
 *
 * Errors    what is wrong with the first statement that cannot be obeyed, with its line, the word
 *           and what it may be.
 * Threads   any.
 */
#ifndef HAK_POLICY_TEXT_H
#define HAK_POLICY_TEXT_H

#include "front/policy/policy.h"

#define HAK_FAULT_BYTES 192

/* Reads a text into `policy`, which is the default before. False: `fault` says what is wrong. */
bool hak_policy_parse(const char *text, struct hak_policy *policy, char fault[HAK_FAULT_BYTES]);

/* The text of a shipped policy; NULL: there is none of that name. */
const char *hak_policy_profile(const char *name, size_t bytes);

/* The word for a route. */
const char *hak_policy_route_name(unsigned route);

/* Writes a policy as a text that reads as the same, as snprintf() does; classes that are as by
 * default are left out. */
size_t hak_policy_print(const struct hak_policy *policy, char *text, size_t bytes);

#endif
