/*
 * trace_write.h: packs events into chunks and writes these to the trace.
 *
 * Owner    the recorder; its lock guards a struct trace_writer. Zeroed memory is one without a
 * file. Memory   none but the struct: this runs inside malloc. Errors   false, with errno: the
 * trace is then as far as it came, without an end chunk.
 *
 * System calls are made by number, so that malloc does not become a point of cancellation. The
 * descriptor is kept high, out of the way of programs that count on low numbers, and is looked at
 * before each chunk: the program may have closed it, and opened another file under its number.
 */
#ifndef HAK_BENCH_TRACE_WRITE_H
#define HAK_BENCH_TRACE_WRITE_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace.h"
#include "trace_quiet.h"

enum { WRITER_HIGH_FD = 1009 };

/* head.events == 0: nothing is packed; payload_used <= TRACE_PAYLOAD_BYTES */
struct trace_writer {
    bool opened;
    unsigned closed; /* ends and execs that are under way; not 0: an end chunk stands in the file,
                        and each further event is written at once */
    int fd;
    dev_t device; /* which file it is */
    ino_t inode;
    uint32_t thread;   /* of the last event packed */
    uint64_t sequence; /* of the next event */
    size_t payload_used;
    char path[PATH_MAX];
    struct {
        struct trace_chunk head;
        unsigned char payload[TRACE_PAYLOAD_BYTES];
        struct trace_chunk end; /* room for an end chunk behind a full payload */
    } buffer;
};

static inline bool writer_holds_file(const struct trace_writer *writer)
{
    struct stat about;
    return fstat(writer->fd, &about) == 0 && about.st_dev == writer->device &&
           about.st_ino == writer->inode;
}

static inline int writer_open_file(const struct trace_writer *writer, int flags)
{
    struct rlimit limit = {0, 0};
    int fd = (int)syscall(SYS_openat, AT_FDCWD, writer->path,
                          O_WRONLY | O_APPEND | O_CLOEXEC | flags, 0666);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    int high = limit.rlim_cur > WRITER_HIGH_FD + 16 ? WRITER_HIGH_FD : (int)limit.rlim_cur - 16;
    int moved = fd >= 0 && high > fd ? fcntl(fd, F_DUPFD_CLOEXEC, high) : -1;
    if (moved < 0)
        return fd;
    (void)syscall(SYS_close, fd);
    return moved;
}

static inline bool writer_write(const struct trace_writer *writer, const void *data, size_t bytes)
{
    const unsigned char *from = data;
    while (bytes > 0) {
        long written = quiet_write(writer->fd, from, bytes);
        if (written < 0 && errno != EINTR)
            return false;
        from += written < 0 ? 0 : written;
        bytes -= written < 0 ? 0 : (size_t)written;
    }
    return true;
}

/* Makes the file, or empties it, and writes its header. Events may have been packed before. */
static inline bool writer_open(struct trace_writer *writer, const char *path)
{
    const struct trace_file head = {TRACE_MAGIC, TRACE_BYTE_ORDER, TRACE_VERSION};
    struct stat about;
    size_t length = strlen(path);
    if (length >= sizeof writer->path) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(writer->path, path, length + 1);
    writer->fd = writer_open_file(writer, O_CREAT | O_TRUNC);
    if (writer->fd < 0 || fstat(writer->fd, &about) != 0)
        return false;
    writer->device = about.st_dev;
    writer->inode = about.st_ino;
    writer->opened = true;
    return writer_write(writer, &head, sizeof head);
}

/* Writes what is packed, and an end chunk behind it if `end`. The writer has a file. */
static inline bool writer_flush(struct trace_writer *writer, bool end)
{
    struct trace_chunk *head = &writer->buffer.head;
    size_t bytes = 0;
    if (head->events != 0) {
        head->payload_bytes = (uint32_t)writer->payload_used;
        head->checksum = trace_checksum(head);
        bytes = sizeof *head + writer->payload_used;
    }
    if (end) {
        struct trace_chunk last = {.sequence = writer->sequence};
        last.checksum = trace_checksum(&last);
        memcpy((unsigned char *)&writer->buffer + bytes, &last, sizeof last);
        bytes += sizeof last;
    }
    if (bytes > 0 && !writer_holds_file(writer)) {
        writer->fd = writer_open_file(writer, 0);
        if (writer->fd < 0)
            return false;
        if (!writer_holds_file(writer)) {
            errno = ESTALE;
            return false;
        }
    }
    bool done = writer_write(writer, &writer->buffer, bytes);
    *head = (struct trace_chunk){.sequence = writer->sequence};
    writer->payload_used = 0;
    return done;
}

static inline bool writer_is_full(const struct trace_writer *writer)
{
    return writer->payload_used + TRACE_VARINT_BYTES + TRACE_EVENT_BYTES > TRACE_PAYLOAD_BYTES;
}

/* Packs an event; the writer is not full. */
static inline void writer_put(struct trace_writer *writer, enum trace_kind kind, uint32_t thread,
                              uint32_t slot, size_t bytes, unsigned alignment_log2)
{
    unsigned char *at = writer->buffer.payload + writer->payload_used;
    if (writer->buffer.head.events++ == 0)
        writer->buffer.head.thread = thread;
    else if (writer->thread != thread)
        at = trace_varint_put(at, (uint64_t)thread << TRACE_KIND_BITS | TRACE_THREAD);
    writer->thread = thread;
    writer->sequence++;
    at = trace_varint_put(at, (uint64_t)slot << TRACE_KIND_BITS | kind);
    if (kind != TRACE_FREE)
        at = trace_varint_put(at, bytes);
    if (kind == TRACE_ALIGNED)
        *at++ = (unsigned char)alignment_log2;
    writer->payload_used = (size_t)(at - writer->buffer.payload);
}

#endif
