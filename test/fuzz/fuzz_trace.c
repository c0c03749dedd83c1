/*
 * Fuzz target: the reader of traces (bench/trace_read.h), which believes nothing.
 *
 * Purpose   whatever the file holds, reading it ends, stays inside of it, and gives out events that
 *           a second bookkeeping finds possible: threads and blocks numbered without gaps, no block
 *           allocated twice, none freed that is not there, and the same sum of live bytes. Read
 *           again from the start, it gives the same.
 *           Checksums would keep every mutation out, so the first byte says what is put right
 *           before the file is read: bit 0 the file's header, bit 1 the checksum of each chunk, bit
 *           2 its sequence number.
 * Threads   one.
 *
 * ctest: corpus=trace
 */
#include <sys/mman.h>
#include <unistd.h>

#include "bench/trace_read.h"

#include "fuzz.h"

#define FILE_BYTES_MAX ((size_t)1 << 16)

enum { REPAIR_HEADER = 1, REPAIR_CHECKSUMS = 2, REPAIR_SEQUENCES = 4 };

static unsigned char file[FILE_BYTES_MAX];

/* Puts right what the fuzzer cannot guess. */
static void repair(unsigned what, size_t bytes)
{
    const struct trace_file good = {TRACE_MAGIC, TRACE_BYTE_ORDER, TRACE_VERSION};
    if ((what & REPAIR_HEADER) != 0)
        memcpy(file, &good, bytes < sizeof good ? bytes : sizeof good);
    uint64_t sequence = 0;
    for (size_t at = sizeof good; at + sizeof(struct trace_chunk) <= bytes;) {
        struct trace_chunk head;
        memcpy(&head, file + at, sizeof head);
        size_t left = bytes - at - sizeof head;
        if (head.payload_bytes > left)
            break;
        if ((what & REPAIR_SEQUENCES) != 0) {
            head.sequence = sequence;
            memcpy(file + at, &head, sizeof head);
        }
        if ((what & REPAIR_CHECKSUMS) != 0) {
            size_t from = at + offsetof(struct trace_chunk, sequence);
            size_t to = at + sizeof head + head.payload_bytes;
            head.checksum = XXH3_64bits(file + from, to - from);
            memcpy(file + at, &head, sizeof head);
        }
        sequence += head.events;
        at += sizeof head + head.payload_bytes;
    }
}

/* A second bookkeeping. An event takes two bytes at least, but for a free: one of 9 bits or less.
 */
static uint64_t sizes[FILE_BYTES_MAX]; /* of each block, plus one; 0: it is not there */

static uint64_t check_event(const struct trace_reader *reader, const struct trace_event *event,
                            uint64_t live_bytes)
{
    bool old = event->kind == TRACE_FREE || event->kind == TRACE_REALLOC;
    FUZZ_REQUIRE(event->kind < TRACE_THREAD);
    FUZZ_REQUIRE(event->slot < reader->slots && event->slot < FILE_BYTES_MAX);
    FUZZ_REQUIRE(event->thread < reader->threads);
    FUZZ_REQUIRE(event->bytes < (uint64_t)1 << TRACE_SIZE_BITS);
    FUZZ_REQUIRE(event->alignment_log2 < TRACE_SIZE_BITS);
    FUZZ_REQUIRE(event->alignment_log2 == 0 || event->kind == TRACE_ALIGNED);
    uint64_t *size = &sizes[event->slot];
    FUZZ_REQUIRE(old == (*size != 0));
    live_bytes -= old ? *size - 1 : 0;
    if (event->kind == TRACE_FREE) {
        FUZZ_REQUIRE(event->bytes == *size - 1);
        *size = 0;
        return live_bytes;
    }
    *size = event->bytes + 1;
    return live_bytes + event->bytes;
}

/* Reads all there is; returns what ended it. */
static enum trace_step read_all(struct trace_reader *reader)
{
    struct trace_event event;
    enum trace_step step;
    uint64_t live_bytes = 0;
    uint64_t count = 0;
    memset(sizes, 0, sizeof sizes);
    while ((step = trace_next(reader, &event)) == TRACE_EVENT) {
        live_bytes = check_event(reader, &event, live_bytes);
        count++;
        FUZZ_REQUIRE(reader->live_bytes == live_bytes && reader->peak_live_bytes >= live_bytes);
        FUZZ_REQUIRE(reader->events == count && count <= reader->file_bytes);
        FUZZ_REQUIRE(reader->at <= reader->chunk_end && reader->chunk_end <= reader->file_bytes);
    }
    FUZZ_REQUIRE((step == TRACE_BROKEN) == (reader->problem != NULL));
    FUZZ_REQUIRE(reader->problem_at <= reader->file_bytes);
    FUZZ_REQUIRE(trace_next(reader, &event) == step); /* and so it stays */
    return step;
}

static void read_twice(struct trace_reader *reader)
{
    enum trace_step step = read_all(reader);
    const char *problem = reader->problem;
    size_t problem_at = reader->problem_at;
    uint64_t events = reader->events;
    trace_rewind(reader);
    FUZZ_REQUIRE(read_all(reader) == step);
    FUZZ_REQUIRE(reader->problem == problem && reader->problem_at == problem_at);
    FUZZ_REQUIRE(reader->events == events);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char path[64];
    struct trace_reader reader;
    if (bytes < 1 || bytes - 1 > FILE_BYTES_MAX)
        return 0;
    size_t file_bytes = bytes - 1;
    memcpy(file, data + 1, file_bytes);
    repair(data[0], file_bytes);
    int fd = memfd_create("trace", MFD_CLOEXEC);
    FUZZ_REQUIRE(fd >= 0 && write(fd, file, file_bytes) == (ssize_t)file_bytes);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (trace_open(&reader, path))
        read_twice(&reader);
    else
        FUZZ_REQUIRE(reader.problem != NULL && reader.problem_at <= file_bytes);
    trace_close(&reader);
    close(fd);
    return 0;
}
