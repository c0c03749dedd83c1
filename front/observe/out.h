/*
 * out: text on its way to whoever asked for it.
 *
 * Purpose   pieces of text are put together in a buffer on the stack and handed on when it is full:
 *           nothing is allocated.
 * Threads   one at a time for one of these.
 */
#ifndef HAK_OUT_H
#define HAK_OUT_H

#include <inttypes.h>

#include "hak_base.h"
#include "hakmem.h"

/* A piece is cut at this. */
#define HAK_OUT_PIECE 256

struct hak_out {
    hak_stats_writer *write;
    void *to;
    size_t bytes;
    char text[2 * HAK_OUT_PIECE];
};

/* As printf(). */
__attribute__((format(printf, 2, 3))) void hak_out(struct hak_out *out, const char *format, ...);

/* Hands on what is left. */
void hak_out_end(struct hak_out *out);

/* Where text goes to memory, as by snprintf(). */
struct hak_copy {
    char *text;
    size_t bytes; /* room, also for the end of the text */
    size_t done;  /* that there were, with or without room */
};

/* A writer to a struct hak_copy. It ends the text, also if there is none to write. */
void hak_copy_write(void *to, const char *text, size_t bytes);

/* A writer to standard error. */
void hak_out_error(void *to, const char *text, size_t bytes);

#endif
