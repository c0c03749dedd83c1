/*
 * options.h: what the environment may choose, as the command prints it.
 *
 * Purpose   `hakmem options`, and from it the manual page hakmem-options(7) and the table in
 *           README.md, all from the table that the library's parser is made of (front/options.h).
 */
#ifndef HAK_TOOL_OPTIONS_H
#define HAK_TOOL_OPTIONS_H

/* `hakmem options [--json|--markdown|--man]`; returns the exit status. */
int options_print(char **arguments);

#endif
