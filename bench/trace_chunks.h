/*
 * trace_chunks.h: opens a trace and checks its chunks; trace_read.h takes the events out of them.
 *
 * Owner    the caller holds the struct; trace_open maps, trace_close unmaps.
 * Threads  one at a time.
 * Errors   `problem` says what is wrong and `problem_at` at which byte of the file.
 */
#ifndef HAK_BENCH_TRACE_CHUNKS_H
#define HAK_BENCH_TRACE_CHUNKS_H

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace.h"

/* at <= chunk_end <= file_bytes */
struct trace_reader {
    const unsigned char *file;
    size_t file_bytes;
    size_t at, chunk_end;
    uint32_t left;     /* events of this chunk still to come */
    uint32_t thread;   /* of the next event */
    uint64_t *slot;    /* size of each slot's block, plus one; 0: free */
    size_t slot_limit; /* items of `slot`: more than the file can name */
    bool ended;        /* the last chunk was an end chunk */
    const char *problem;
    size_t problem_at;
    uint64_t events; /* given out so far */
    uint32_t slots, threads;
    uint64_t live_bytes, peak_live_bytes;
};

enum trace_step { TRACE_EVENT, TRACE_END, TRACE_BROKEN };

static inline enum trace_step trace_fail(struct trace_reader *reader, size_t at, const char *what)
{
    reader->problem = what;
    reader->problem_at = at;
    return TRACE_BROKEN;
}

static inline void trace_close(struct trace_reader *reader)
{
    if (reader->file != NULL)
        munmap((void *)(uintptr_t)reader->file, reader->file_bytes);
    if (reader->slot != NULL)
        munmap(reader->slot, reader->slot_limit * sizeof *reader->slot);
    reader->file = NULL;
    reader->slot = NULL;
}

/* Maps the file and a table of slots, of which only what the trace uses is ever touched. */
static inline const char *trace_map(struct trace_reader *reader, int fd)
{
    struct stat about;
    if (fd < 0 || fstat(fd, &about) != 0)
        return strerror(errno);
    if (!S_ISREG(about.st_mode))
        return "not a regular file";
    if (about.st_size == 0)
        return "empty: the program was not recorded (is it linked statically, or setuid?)";
    reader->file_bytes = (size_t)about.st_size;
    void *file = mmap(NULL, reader->file_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (file == MAP_FAILED)
        return strerror(errno);
    reader->file = file;
    reader->slot_limit = reader->file_bytes / 2 + 1; /* an allocation takes two bytes at least */
    void *slot = mmap(NULL, reader->slot_limit * sizeof *reader->slot, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (slot == MAP_FAILED)
        return strerror(errno);
    reader->slot = slot;
    return NULL;
}

/* False: the file cannot be read or is no trace of this version, see `problem`. */
static inline bool trace_open(struct trace_reader *reader, const char *path)
{
    struct trace_file head = {{0}, 0, 0};
    *reader = (struct trace_reader){.file = NULL};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    reader->problem = trace_map(reader, fd);
    if (fd >= 0)
        close(fd);
    if (reader->problem != NULL)
        return false;
    size_t there = reader->file_bytes < sizeof head ? reader->file_bytes : sizeof head;
    memcpy(&head, reader->file, there);
    size_t magic_bytes = there < sizeof head.magic ? there : sizeof head.magic;
    if (memcmp(head.magic, TRACE_MAGIC, magic_bytes) != 0)
        (void)trace_fail(reader, 0, "this is no trace");
    else if (there < sizeof head)
        (void)trace_fail(reader, there, "the file ends inside its header");
    else if (head.byte_order != TRACE_BYTE_ORDER)
        (void)trace_fail(reader, offsetof(struct trace_file, byte_order),
                         "recorded on a machine of another byte order");
    else if (head.version != TRACE_VERSION)
        (void)trace_fail(reader, offsetof(struct trace_file, version),
                         "a trace of another version of hakmem");
    reader->at = reader->chunk_end = sizeof head;
    return reader->problem == NULL;
}

/* Back to the first event, of the file as it was when it was opened. */
static inline void trace_rewind(struct trace_reader *reader)
{
    struct trace_reader fresh = {.file = reader->file,
                                 .file_bytes = reader->file_bytes,
                                 .slot = reader->slot,
                                 .slot_limit = reader->slot_limit};
    memset(reader->slot, 0, reader->slots * sizeof *reader->slot);
    fresh.at = fresh.chunk_end = sizeof(struct trace_file);
    *reader = fresh;
}

/* Checks the next chunk and stands before its first event. */
static inline enum trace_step trace_chunk_enter(struct trace_reader *reader)
{
    struct trace_chunk head;
    size_t at = reader->at;
    if (at == reader->file_bytes)
        return reader->ended ? TRACE_END
                             : trace_fail(reader, at,
                                          "the file has no end: its program was killed, or it was "
                                          "cut (--partial uses what is there)");
    if (reader->file_bytes - at < sizeof head)
        return trace_fail(reader, at, "the file ends inside the header of this chunk");
    memcpy(&head, reader->file + at, sizeof head);
    if (head.payload_bytes > TRACE_PAYLOAD_BYTES)
        return trace_fail(reader, at, "the header of this chunk is damaged");
    if (reader->file_bytes - at - sizeof head < head.payload_bytes)
        return trace_fail(reader, at, "the file ends inside this chunk");
    size_t summed_at = at + offsetof(struct trace_chunk, sequence);
    reader->chunk_end = at + sizeof head + head.payload_bytes;
    if (XXH3_64bits(reader->file + summed_at, reader->chunk_end - summed_at) != head.checksum)
        return trace_fail(reader, at, "the checksum of this chunk is wrong");
    if (head.sequence != reader->events)
        return trace_fail(reader, at, "the chunk before this one is missing");
    if (head.zero != 0 || (head.events == 0) != (head.payload_bytes == 0))
        return trace_fail(reader, at, "the header of this chunk makes no sense");
    reader->ended = head.events == 0;
    reader->left = head.events;
    reader->thread = head.thread;
    reader->at += sizeof head;
    return TRACE_EVENT;
}

#endif
