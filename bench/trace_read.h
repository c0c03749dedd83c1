/*
 * trace_read.h: reads a trace, and believes nothing that it has not checked.
 *
 * Owner    as of trace_chunks.h, which has trace_open and trace_close.
 * Threads  one at a time.
 * Errors   as there. What was read before one is a whole history: a chunk is checked before its
 *          first event is given out.
 *
 * Besides the checksums: sequence numbers leave no gap, a block is allocated before it is freed or
 * resized and not twice, slots and threads are dense, a chunk's events fill it, an end is there.
 */
#ifndef HAK_BENCH_TRACE_READ_H
#define HAK_BENCH_TRACE_READ_H

#include "trace_chunks.h"

struct trace_event {
    uint64_t bytes; /* of a free: of the block that goes */
    uint32_t slot;
    uint32_t thread;
    uint8_t kind;
    uint8_t alignment_log2; /* aligned only */
};

/* Takes one event, of whichever kind, apart; false: it does not end in this chunk. */
static inline bool trace_event_parse(struct trace_reader *reader, struct trace_event *event)
{
    const unsigned char *end = reader->file + reader->chunk_end;
    uint64_t head = 0;
    const unsigned char *at = trace_varint_get(reader->file + reader->at, end, &head);
    if (at == NULL || head >> TRACE_KIND_BITS > UINT32_MAX)
        return false;
    *event = (struct trace_event){.slot = (uint32_t)(head >> TRACE_KIND_BITS),
                                  .kind = (uint8_t)(head & ((1 << TRACE_KIND_BITS) - 1))};
    if (event->kind != TRACE_FREE && event->kind != TRACE_THREAD)
        at = trace_varint_get(at, end, &event->bytes);
    if (at != NULL && event->kind == TRACE_ALIGNED) {
        event->alignment_log2 = at < end ? *at : UINT8_MAX;
        at++;
    }
    reader->at = at == NULL ? reader->at : (size_t)(at - reader->file);
    return at != NULL && event->kind < TRACE_KINDS && event->alignment_log2 < TRACE_SIZE_BITS &&
           event->bytes >> TRACE_SIZE_BITS == 0;
}

/* Keeps the books of slots and live bytes; NULL: the event fits them. */
static inline const char *trace_event_apply(struct trace_reader *reader, struct trace_event *event)
{
    bool old = event->kind == TRACE_FREE || event->kind == TRACE_REALLOC;
    if (event->thread > reader->threads)
        return "an event of a thread that has no number yet";
    if (event->slot > reader->slots || event->slot >= reader->slot_limit)
        return "an event of a block that has no number yet";
    uint64_t *slot = &reader->slot[event->slot];
    if (old != (*slot != 0))
        return old ? "a free or realloc of no block" : "a block is allocated twice";
    if (event->thread == reader->threads)
        reader->threads++;
    if (event->slot == reader->slots)
        reader->slots++;
    if (old)
        reader->live_bytes -= *slot - 1;
    if (event->kind == TRACE_FREE) {
        event->bytes = *slot - 1;
        *slot = 0;
        return NULL;
    }
    *slot = event->bytes + 1;
    reader->live_bytes += event->bytes;
    if (reader->live_bytes > reader->peak_live_bytes)
        reader->peak_live_bytes = reader->live_bytes;
    return NULL;
}

/* The next event; TRACE_END after the last, TRACE_BROKEN when there is none that can be used. */
static inline enum trace_step trace_next(struct trace_reader *reader, struct trace_event *event)
{
    enum trace_step step = reader->problem == NULL ? TRACE_EVENT : TRACE_BROKEN;
    while (step == TRACE_EVENT && reader->left == 0) {
        if (reader->at != reader->chunk_end)
            return trace_fail(reader, reader->at, "this chunk is longer than its events");
        step = trace_chunk_enter(reader);
    }
    while (step == TRACE_EVENT) {
        size_t at = reader->at;
        if (!trace_event_parse(reader, event))
            return trace_fail(reader, at, "this is no event");
        if (event->kind != TRACE_THREAD) {
            event->thread = reader->thread;
            const char *problem = trace_event_apply(reader, event);
            if (problem != NULL)
                return trace_fail(reader, at, problem);
            reader->left--;
            reader->events++;
            return TRACE_EVENT;
        }
        reader->thread = event->slot;
    }
    return step;
}

#endif
