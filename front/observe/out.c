/*
 * out: puts text together.
 */
#include "front/observe/out.h"

#include <stdarg.h>
#include <stdio.h>

#include "segment/os.h"

void hak_out_end(struct hak_out *out)
{
    if (out->bytes != 0) {
        out->write(out->to, out->text, out->bytes);
    }
    out->bytes = 0;
}

void hak_out(struct hak_out *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(out->text + out->bytes, HAK_OUT_PIECE, format, arguments);
    va_end(arguments);
    out->bytes += bytes < 0 ? 0 : hak_min((size_t)bytes, HAK_OUT_PIECE - 1);
    if (out->bytes > HAK_OUT_PIECE) {
        hak_out_end(out);
    }
}

void hak_copy_write(void *to, const char *text, size_t bytes)
{
    struct hak_copy *copy = to;
    size_t room = copy->bytes - hak_min(copy->done, copy->bytes);
    (void)snprintf(room == 0 ? NULL : copy->text + copy->done, room, "%.*s", (int)bytes, text);
    copy->done += bytes;
}

void hak_out_error(void *to, const char *text, size_t bytes)
{
    (void)to;
    hak_os_write_error(text, bytes);
}
