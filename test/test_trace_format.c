/*
 * The trace of a recorded program: its numbers, the table of live blocks, and that a reader takes
 * what a writer wrote and refuses a history that cannot be, checksums or not.
 *
 * ctest: labels=quick timeout=60
 */
#include "support.h"

#include "bench/trace_arena.h"
#include "bench/trace_live.h"
#include "bench/trace_lock.h"
#include "bench/trace_quiet.h"
#include "bench/trace_read.h"
#include "bench/trace_write.h"

#include <sys/ioctl.h>

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

/* ---- what the recorder stands on ---- */

static void fill_arena(size_t used_bytes)
{
    const unsigned char *end = arena + used_bytes;
    volatile size_t most = SIZE_MAX; /* the compiler complains of what it sees through */
    arena_used_bytes = used_bytes;
    assert_null(arena_take(most));
    assert_null(arena_take(most >> 1));
    for (size_t bytes = ARENA_BYTES / 4; bytes > 0; bytes /= 2) {
        const unsigned char *block;
        while ((block = arena_take(bytes - 1)) != NULL) {
            assert_true(block >= end && arena_holds(block));
            assert_int_equal(arena_size(block), bytes - 1);
            end = block + bytes - 1;
            assert_true(end <= arena + ARENA_BYTES);
        }
        assert_int_equal(errno, ENOMEM);
    }
    assert_true(end + 4 * ARENA_ALIGN > arena + ARENA_BYTES);
    assert_null(arena_take(most));
    assert_null(arena_take(most - 4 * ARENA_ALIGN));
}

/* Most blocks take an even number of steps, so what is left in the end is tried both ways. */
static void arena__filled__gives_no_block_beyond_its_end(void **state)
{
    (void)state;
    fill_arena(0);
    fill_arena(ARENA_ALIGN);
}

struct waiter {
    _Atomic bool lock;
    _Atomic pid_t thread; /* [the waiter] 0: not there yet */
};

static void *wait_for_lock(void *argument)
{
    struct waiter *waiter = argument;
    /* relaxed: only a number. */
    atomic_store_explicit(&waiter->thread, (pid_t)syscall(SYS_gettid), memory_order_relaxed);
    lock_take(&waiter->lock);
    lock_give(&waiter->lock);
    return NULL;
}

/* One that only yields keeps a processor from those below its priority. */
static void lock__waited_for_long__the_waiter_sleeps(void **state)
{
    (void)state;
    struct waiter waiter = {.thread = 0};
    pthread_t id;
    char path[64], status[64] = "";
    bool asleep = false;
    lock_take(&waiter.lock);
    assert_int_equal(pthread_create(&id, NULL, wait_for_lock, &waiter), 0);
    for (unsigned i = 0; i < 10000 && !asleep; i++) {
        /* relaxed: as above. */
        pid_t thread = atomic_load_explicit(&waiter.thread, memory_order_relaxed);
        snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
        int fd = thread == 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
        ssize_t length = fd < 0 ? -1 : read(fd, status, sizeof status - 1);
        if (fd >= 0)
            close(fd);
        status[length > 0 ? length : 0] = '\0';
        asleep = strstr(status, ") S ") != NULL;
        usleep(500);
    }
    lock_give(&waiter.lock);
    assert_int_equal(pthread_join(id, NULL), 0);
    assert_true(asleep);
}

static bool is_pending(int number)
{
    sigset_t pending;
    sigemptyset(&pending);
    assert_int_equal(sigpending(&pending), 0);
    return sigismember(&pending, number) == 1;
}

/* The write fails; whatever waits before and after it is the same. */
static void fail_to_write(int fd, int error, int number, bool waits)
{
    sigset_t mask;
    errno = 0;
    assert_int_equal(quiet_write(fd, "12", 2), -1);
    assert_int_equal(errno, error);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    assert_int_equal(sigismember(&mask, number), waits);
    assert_int_equal(is_pending(number), waits);
}

static void fail_to_write_twice(int fd, int error, int number)
{
    sigset_t set, mask;
    int got = 0;
    sigemptyset(&set);
    sigaddset(&set, number);
    fail_to_write(fd, error, number, false);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, &mask), 0);
    assert_int_equal(pthread_kill(pthread_self(), number), 0);
    fail_to_write(fd, error, number, true);
    assert_int_equal(sigwait(&set, &got), 0);
    assert_int_equal(got, number);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &mask, NULL), 0);
}

static void quiet_write__pipe_without_reader__leaves_no_signal(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(quiet_write(ends[1], "12", 2), 2);
    close(ends[0]);
    fail_to_write_twice(ends[1], EPIPE, SIGPIPE);
    close(ends[1]);
}

/* Closes the end of a pipe that is read, when it is full and its writer waits. */
static void *leave_when_full(void *argument)
{
    const int *ends = argument;
    int waiting = 0, full = fcntl(ends[1], F_GETPIPE_SZ);
    while (ioctl(ends[0], FIONREAD, &waiting) == 0 && waiting < full)
        usleep(1000);
    usleep(50000);
    close(ends[0]);
    return NULL;
}

static void quiet_write__reader_leaves_amid__leaves_no_signal(void **state)
{
    (void)state;
    static char bytes[1 << 20];
    int ends[2];
    pthread_t reader;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pthread_create(&reader, NULL, leave_when_full, ends), 0);
    assert_in_range(quiet_write(ends[1], bytes, sizeof bytes), 1, sizeof bytes - 1);
    assert_false(is_pending(SIGPIPE));
    assert_int_equal(pthread_join(reader, NULL), 0);
    fail_to_write(ends[1], EPIPE, SIGPIPE, false);
    close(ends[1]);
}

static void quiet_write__file_at_its_limit__leaves_no_signal(void **state)
{
    (void)state;
    char path[] = "/tmp/test_trace_format.XXXXXX";
    struct rlimit before, none;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    fail_to_write_twice(fd, EFBIG, SIGXFSZ);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    close(fd);
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
        cmocka_unit_test(arena__filled__gives_no_block_beyond_its_end),
        cmocka_unit_test(lock__waited_for_long__the_waiter_sleeps),
        cmocka_unit_test(quiet_write__pipe_without_reader__leaves_no_signal),
        cmocka_unit_test(quiet_write__reader_leaves_amid__leaves_no_signal),
        cmocka_unit_test(quiet_write__file_at_its_limit__leaves_no_signal),
        cmocka_unit_test(trace__written__is_read_back),
        cmocka_unit_test(trace__blocks_resized_and_freed__bytes_are_kept),
        cmocka_unit_test(trace__chunk_missing__is_refused),
        cmocka_unit_test(trace__impossible_event__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
