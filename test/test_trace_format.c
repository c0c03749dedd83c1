/*
 * The trace of a recorded program: its numbers, the table of live blocks, and that a reader takes
 * what a writer wrote and refuses a history that cannot be, checksums or not.
 *
 * ctest: labels=quick timeout=60
 */
#include "support.h"

#include "bench/trace_live.h"
#include "bench/trace_read.h"
#include "bench/trace_write.h"

enum { KEYS = 20000, EVENTS = 100000 };

static void varint__any_value__comes_back(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t value = support_random(&seed) >> (i % 64), back = ~value;
        unsigned char bytes[TRACE_VARINT_BYTES];
        unsigned char *end = trace_varint_put(bytes, value);
        assert_true(end - bytes <= TRACE_VARINT_BYTES);
        assert_ptr_equal(trace_varint_get(bytes, end, &back), end);
        assert_int_equal(back, value);
        assert_null(trace_varint_get(bytes, end - 1, &back));
    }
}

static void varint__above_64_bits__is_refused(void **state)
{
    (void)state;
    unsigned char bytes[11];
    uint64_t value = 0;
    memset(bytes, 0xff, sizeof bytes);
    bytes[9] = 1;
    assert_ptr_equal(trace_varint_get(bytes, bytes + 11, &value), bytes + 10);
    assert_true(value == UINT64_MAX);
    bytes[9] = 2;
    assert_null(trace_varint_get(bytes, bytes + 11, &value));
    bytes[9] = 0x81;
    bytes[10] = 0;
    assert_null(trace_varint_get(bytes, bytes + 11, &value));
}

/* Addresses as an allocator gives them: close together, and taken out in another order. */
static void live__random_puts_and_takes__agree_with_a_shadow(void **state)
{
    (void)state;
    static uint32_t shadow[KEYS]; /* slot + 1; 0: not in the table */
    static bool used[KEYS];       /* by slot */
    struct live_table table = {.cell = NULL};
    uint64_t seed = 2;
    size_t inside = 0, most = 0;
    for (unsigned i = 0; i < 40 * KEYS; i++) {
        /* Grows, shrinks, and grows again. */
        bool put = support_random(&seed) % 8 < (i / KEYS % 10 < 5 ? 6 : 2);
        size_t key = support_random(&seed) % KEYS;
        uintptr_t address = 0x7f0000000010 + key * 16;
        if (put == (shadow[key] != 0))
            continue;
        if (put) {
            assert_true(live_reserve(&table));
            uint32_t slot = live_slot_take(&table);
            assert_true(slot < KEYS && !used[slot]);
            live_put(&table, address, slot);
            shadow[key] = slot + 1;
            used[slot] = true;
            most += ++inside > most ? 1 : 0;
        } else {
            uint32_t slot = live_take(&table, address);
            assert_int_equal(slot, shadow[key] - 1);
            assert_int_equal(live_take(&table, address), LIVE_NO_SLOT);
            live_slot_release(&table, slot);
            shadow[key] = 0;
            used[slot] = false;
            inside--;
        }
        assert_int_equal(table.used, inside);
        assert_int_equal(table.slot_count - table.free_count, inside);
        assert_int_equal(table.slot_count, most); /* as few numbers as there were blocks */
    }
    assert_true(table.cells > LIVE_FIRST_CELLS);
    for (size_t key = 0; key < KEYS; key++)
        assert_int_equal(live_take(&table, 0x7f0000000010 + key * 16), shadow[key] - 1);
}

/* ---- writer and reader ---- */

static struct trace_writer *writer_new(char *path)
{
    struct trace_writer *writer = calloc(1, sizeof *writer);
    int fd = mkstemp(path);
    assert_non_null(writer);
    assert_true(fd >= 0);
    close(fd);
    assert_true(writer_open(writer, path));
    return writer;
}

static void put(struct trace_writer *writer, enum trace_kind kind, uint32_t thread, uint32_t slot,
                size_t bytes)
{
    if (writer_is_full(writer))
        assert_true(writer_flush(writer, false));
    writer_put(writer, kind, thread, slot, bytes, kind == TRACE_ALIGNED ? 12 : 0);
}

/* Ends the trace and opens it. */
static void finish(struct trace_writer *writer, struct trace_reader *reader)
{
    assert_true(writer_flush(writer, true));
    close(writer->fd);
    assert_true(trace_open(reader, writer->path));
    unlink(writer->path);
    free(writer);
}

/* One event of a history that the seed decides: slots are a stack, threads come one by one. */
static struct trace_event history(uint64_t *seed, uint32_t *live)
{
    static const uint8_t kinds[] = {TRACE_MALLOC, TRACE_CALLOC, TRACE_ALIGNED};
    uint64_t number = support_random(seed);
    struct trace_event event = {.bytes = (number >> 8) & ((UINT64_C(1) << number % 40) - 1),
                                .kind = kinds[number / 7 % 3],
                                .slot = *live};
    if (*live > 0 && number % 5 < 2) {
        event.kind = number % 5 == 0 ? TRACE_REALLOC : TRACE_FREE;
        event.slot = *live - 1;
    }
    *live += event.kind == TRACE_FREE ? -1u : event.kind == TRACE_REALLOC ? 0 : 1;
    event.alignment_log2 = event.kind == TRACE_ALIGNED ? 12 : 0;
    return event;
}

static void trace__written__is_read_back(void **state)
{
    (void)state;
    char path[] = "/tmp/test_trace_format.XXXXXX";
    struct trace_writer *writer = writer_new(path);
    struct trace_reader reader;
    struct trace_event event;
    uint64_t seed = 3;
    uint32_t live = 0;
    for (uint32_t i = 0; i < EVENTS; i++) {
        struct trace_event made = history(&seed, &live);
        put(writer, made.kind, i / 100 % (1 + i / 1000), made.slot, made.bytes);
        if (i % 10007 == 0) /* an end that was not the last */
            assert_true(writer_flush(writer, true));
    }
    finish(writer, &reader);
    for (unsigned pass = 0; pass < 2; pass++) {
        seed = 3;
        live = 0;
        for (uint32_t i = 0; i < EVENTS; i++) {
            struct trace_event made = history(&seed, &live);
            assert_int_equal(trace_next(&reader, &event), TRACE_EVENT);
            assert_int_equal(event.kind, made.kind);
            assert_int_equal(event.slot, made.slot);
            assert_int_equal(event.thread, i / 100 % (1 + i / 1000));
            assert_int_equal(event.alignment_log2, made.alignment_log2);
            if (made.kind != TRACE_FREE)
                assert_int_equal(event.bytes, made.bytes);
        }
        assert_int_equal(trace_next(&reader, &event), TRACE_END);
        assert_null(reader.problem);
        assert_int_equal(reader.events, EVENTS);
        trace_rewind(&reader);
    }
    trace_close(&reader);
}

static void trace__blocks_resized_and_freed__bytes_are_kept(void **state)
{
    (void)state;
    char path[] = "/tmp/test_trace_format.XXXXXX";
    struct trace_writer *writer = writer_new(path);
    struct trace_reader reader;
    struct trace_event event = {.bytes = 0};
    put(writer, TRACE_MALLOC, 0, 0, 100);
    put(writer, TRACE_CALLOC, 0, 1, 1000);
    put(writer, TRACE_REALLOC, 1, 0, 5000);
    put(writer, TRACE_REALLOC, 0, 0, 7);
    put(writer, TRACE_FREE, 1, 1, 0);
    finish(writer, &reader);
    while (trace_next(&reader, &event) == TRACE_EVENT)
        continue;
    assert_null(reader.problem);
    assert_int_equal(event.bytes, 1000);
    assert_int_equal(reader.peak_live_bytes, 6000);
    assert_int_equal(reader.live_bytes, 7);
    assert_int_equal(reader.threads, 2);
    assert_int_equal(reader.slots, 2);
    trace_close(&reader);
}

/* An event behind a good one; it is refused, and stays refused. */
static void refuse(enum trace_kind kind, uint32_t thread, uint32_t slot, size_t bytes,
                   const char *problem)
{
    char path[] = "/tmp/test_trace_format.XXXXXX";
    struct trace_writer *writer = writer_new(path);
    struct trace_reader reader;
    struct trace_event event;
    put(writer, TRACE_MALLOC, 0, 0, 100);
    put(writer, kind, thread, slot, bytes);
    finish(writer, &reader);
    assert_int_equal(trace_next(&reader, &event), TRACE_EVENT);
    assert_int_equal(trace_next(&reader, &event), TRACE_BROKEN);
    assert_string_equal(reader.problem, problem);
    assert_true(reader.problem_at > 48 && reader.problem_at < reader.file_bytes - 32);
    assert_int_equal(trace_next(&reader, &event), TRACE_BROKEN);
    assert_int_equal(reader.events, 1);
    trace_close(&reader);
}

static void trace__chunk_missing__is_refused(void **state)
{
    (void)state;
    char path[] = "/tmp/test_trace_format.XXXXXX";
    struct trace_writer *writer = writer_new(path);
    struct trace_reader reader;
    struct trace_event event;
    put(writer, TRACE_MALLOC, 0, 0, 100);
    assert_true(writer_flush(writer, false));
    put(writer, TRACE_MALLOC, 0, 1, 100); /* packed, but never written */
    writer->buffer.head = (struct trace_chunk){.sequence = writer->sequence};
    writer->payload_used = 0;
    put(writer, TRACE_FREE, 0, 0, 0);
    finish(writer, &reader);
    assert_int_equal(trace_next(&reader, &event), TRACE_EVENT);
    assert_int_equal(trace_next(&reader, &event), TRACE_BROKEN);
    assert_string_equal(reader.problem, "the chunk before this one is missing");
    trace_close(&reader);
}

static void trace__impossible_event__is_refused(void **state)
{
    (void)state;
    refuse(TRACE_MALLOC, 0, 0, 100, "a block is allocated twice");
    refuse(TRACE_FREE, 0, 1, 0, "a free or realloc of no block");
    refuse(TRACE_REALLOC, 0, 1, 10, "a free or realloc of no block");
    refuse(TRACE_MALLOC, 0, 2, 10, "an event of a block that has no number yet");
    refuse(TRACE_FREE, 2, 0, 0, "an event of a thread that has no number yet");
    refuse(TRACE_MALLOC, 0, 1, (size_t)1 << TRACE_SIZE_BITS, "this is no event");
    refuse(TRACE_KINDS, 0, 1, 10, "this is no event");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varint__any_value__comes_back),
        cmocka_unit_test(varint__above_64_bits__is_refused),
        cmocka_unit_test(live__random_puts_and_takes__agree_with_a_shadow),
        cmocka_unit_test(trace__written__is_read_back),
        cmocka_unit_test(trace__blocks_resized_and_freed__bytes_are_kept),
        cmocka_unit_test(trace__chunk_missing__is_refused),
        cmocka_unit_test(trace__impossible_event__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
