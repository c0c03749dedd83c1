/*
 * bench_replay [--partial] TRACE [ROUNDS]: asks of malloc what a recorded program asked.
 * bench_replay [--partial] --dump TRACE: prints the trace as text instead.
 *
 * `hakmem record` makes the trace. It is decoded into a table before the clock starts; then its
 * calls are made again, ROUNDS times (1). Each recorded thread has a thread here; more than 256 are
 * folded onto 256, and a trace of one thread runs on the main thread. Blocks are written at their
 * first and last byte when they are new or resized. What the program never freed is freed after
 * each round, without the clock. An operation is one malloc or one free; a realloc is one.
 *
 * Threads wait for each other where the program's must have: what happens to a block happens in the
 * recorded order, whoever does it; a thread begins when the event recorded before its first is
 * done; and the event recorded after a thread's last waits for that thread's end (of one that is
 * folded, for its last event), so that threads that were started and joined one by one do not run
 * together, and find what those before left. All else may run at another time than it was
 * recorded at. The slots of the trace go from thread to thread as their blocks come and go; taken
 * as they are, they would make nearly every event wait for another thread's. So they are dealt out
 * anew, in cache lines of four: a thread uses those again whose last block it freed itself.
 *
 * What a wait costs is inside the clock, the same for every malloc. A thread that waits for its
 * begin or for another one's end sleeps at once, one that waits for a block yields 100 times first;
 * either is woken by what it waits for, never by a time. So a wait that slept costs two futex calls
 * and the kernel's time to bring a thread back, on an idle machine tens of microseconds; an event
 * that another thread may wait for costs an atomic exchange in place of a store. A third line of
 * output says how often threads slept and woke others: these futex calls are not the malloc's.
 *
 * Peak memory is counted from when the trace is loaded. The table, 16 bytes an event, a wait or a
 * slot, is part of it, for every malloc the same; the third line says how large it is and what was
 * recorded, and if the kernel went on counting from the start.
 *
 * A trace that cannot be used ends this with 2 and the byte where it breaks. --partial uses what
 * stands before that: the beginning of the program's history.
 */
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "bench_report.h"
#include "bench_threads.h"
#include "trace_read.h"

enum { STATUS_UNUSABLE = 2, MIN_ALIGNMENT_LOG2 = 3, YIELDS = 100 };

struct replay_op {
    uint64_t bytes : TRACE_SIZE_BITS; /* not of a free; of a wait: whose end, plus one, or 0 */
    uint64_t kind : 7;                /* TRACE_THREAD: only waits, for an end or a turn */
    uint64_t wakes : 1;               /* another thread may wait for this event */
    uint64_t alignment_log2 : 8;
    uint32_t slot;
    uint32_t turn; /* events of this slot before */
};

_Static_assert(sizeof(struct replay_op) == 16, "as the head comment says");

/* `sleepers` counts in its low bits; what stands above changes with each wake. */
struct replay_slot {
    void *block;               /* [whose turn it is] NULL: none */
    _Atomic uint32_t turn;     /* [whose turn it is, atomic] events of this round that are done */
    _Atomic uint32_t sleepers; /* [any, atomic] threads that sleep for a turn, or are about to */
};

enum { LINE_SLOTS = 64 / sizeof(struct replay_slot), SLEEPER_BITS = 16 };

_Static_assert(sizeof(struct replay_slot) == 16, "as the head comment says");

struct replay_thread {
    _Alignas(64) pthread_t id;
    const struct replay_op *ops;
    size_t count;
    uint64_t end_ns;        /* [the thread] */
    uint64_t sleeps, wakes; /* [the thread] futex calls of all rounds */
    bool awaited;           /* [const after replay_load] another thread joins it */
};

static struct replay_thread
    threads[BENCH_MAX_THREADS]; /* [const after replay_load] the most part */
static unsigned thread_count;
static struct replay_slot *slots;
static uint32_t slot_count;
static uint64_t op_count;       /* events and waits */
static struct bench_gate *gate; /* of this round */

/* ---- the trace ---- */

struct replay_call {
    const char *path;
    uint64_t rounds;
    bool partial, dump;
};

static void trace_complain(const struct replay_call *call, const struct trace_reader *reader)
{
    fprintf(stderr, "bench_replay: %s: byte %zu: %s\n", call->path, reader->problem_at,
            reader->problem);
}

static void trace_begin(const struct replay_call *call, struct trace_reader *reader)
{
    if (trace_open(reader, call->path))
        return;
    trace_complain(call, reader);
    exit(STATUS_UNUSABLE);
}

/* After the last event that can be used: says why it is the last, if it should not be. */
static void trace_finish(const struct replay_call *call, const struct trace_reader *reader)
{
    if (reader->problem == NULL)
        return;
    trace_complain(call, reader);
    if (!call->partial)
        exit(STATUS_UNUSABLE);
}

/* Where threads begin and end, in the order of the trace. */
struct replay_border {
    uint64_t *last;  /* by recorded thread: events up to its last */
    uint32_t begun;  /* threads */
    bool after_last; /* the event before was its thread's last */
};

/* Whether this event waits for the one before it, whosever that is. */
static bool border_passed(struct replay_border *border, const struct trace_reader *reader,
                          const struct trace_event *event)
{
    bool first = event->thread == border->begun;
    bool waits = first || border->after_last;
    border->begun += first ? 1 : 0;
    border->after_last = border->last[event->thread] == reader->events;
    return waits;
}

/* Finds each thread's last event, then counts what each has, waits too: its part of the table. */
static void replay_measure(const struct replay_call *call, struct trace_reader *reader,
                           struct replay_border *border)
{
    struct trace_event event;
    trace_begin(call, reader);
    border->last = bench_table(reader->slot_limit, sizeof *border->last);
    while (trace_next(reader, &event) == TRACE_EVENT)
        border->last[event.thread] = reader->events;
    trace_finish(call, reader);
    if (reader->events == 0) {
        fprintf(stderr, "bench_replay: %s: no event to replay\n", call->path);
        exit(STATUS_UNUSABLE);
    }
    thread_count = reader->threads < BENCH_MAX_THREADS ? reader->threads : BENCH_MAX_THREADS;
    trace_rewind(reader);
    while (trace_next(reader, &event) == TRACE_EVENT) {
        size_t waits = border_passed(border, reader, &event) ? 1 : 0;
        threads[event.thread % BENCH_MAX_THREADS].count += waits + 1;
        op_count += waits + 1;
    }
}

/* While the trace is loaded: which slot each block has now, and who may use which again. */
struct replay_deal {
    uint32_t *slot_now;                    /* by the trace's slot */
    struct replay_op **last;               /* by slot: its last event so far; NULL: none */
    uint32_t fresh[BENCH_MAX_THREADS];     /* next new slot; a multiple of LINE_SLOTS: none left */
    uint32_t free_head[BENCH_MAX_THREADS]; /* slot + 1; linked through `block`; 0: none */
};

/* A slot that was never used, of a cache line that is this thread's. */
static uint32_t deal_fresh(uint32_t *fresh)
{
    if (*fresh % LINE_SLOTS == 0) {
        *fresh = slot_count;
        slot_count += LINE_SLOTS;
    }
    return (*fresh)++;
}

static uint32_t deal_slot(struct replay_deal *deal, const struct trace_event *event)
{
    unsigned thread = event->thread % BENCH_MAX_THREADS;
    uint32_t *now = &deal->slot_now[event->slot];
    uint32_t *head = &deal->free_head[thread];
    if (event->kind == TRACE_FREE) {
        slots[*now].block = (void *)(uintptr_t)*head;
        *head = *now + 1;
    } else if (event->kind != TRACE_REALLOC && *head != 0) {
        *now = *head - 1;
        *head = (uint32_t)(uintptr_t)slots[*now].block;
    } else if (event->kind != TRACE_REALLOC) {
        *now = deal_fresh(&deal->fresh[thread]);
    }
    return *now;
}

/* An op of the thread waits for `event`, of which it need not be told if it is its own. */
static void op_awaits(struct replay_op *event, const struct replay_thread *thread)
{
    if (event != NULL && (event < thread->ops || event >= thread->ops + thread->count))
        event->wakes = 1;
}

/* A wait for the event before, or if that is the last of its thread, for the thread's end. */
static struct replay_op border_op(struct replay_op *before, struct replay_thread *its,
                                  const struct replay_thread *waits)
{
    struct replay_op op = {.kind = TRACE_THREAD}; /* the first event: its turn has come */
    if (before != NULL && before == its->ops + its->count - 1) {
        its->awaited = true;
        op.bytes = (uint64_t)(its - threads) + 1;
    } else if (before != NULL) {
        op_awaits(before, waits);
        op.slot = before->slot;
        op.turn = before->turn + 1;
    }
    return op;
}

static void ops_fill(struct trace_reader *reader, struct replay_border *border,
                     struct replay_deal *deal, struct replay_op **next)
{
    struct replay_op *before = NULL;
    struct replay_thread *its = NULL; /* the thread of that event */
    struct trace_event event;
    trace_rewind(reader);
    while (trace_next(reader, &event) == TRACE_EVENT) {
        struct replay_thread *thread = &threads[event.thread % BENCH_MAX_THREADS];
        struct replay_op **to = &next[event.thread % BENCH_MAX_THREADS];
        if (border_passed(border, reader, &event))
            *(*to)++ = border_op(before, its, thread);
        uint32_t slot = deal_slot(deal, &event);
        op_awaits(deal->last[slot], thread);
        /* relaxed: there are no threads yet. */
        uint32_t turn = atomic_fetch_add_explicit(&slots[slot].turn, 1, memory_order_relaxed);
        **to = (struct replay_op){
            .bytes = event.bytes,
            .kind = event.kind,
            .alignment_log2 = event.alignment_log2,
            .slot = slot,
            .turn = turn,
        };
        deal->last[slot] = before = (*to)++;
        its = thread;
    }
}

static void replay_load(const struct replay_call *call, struct trace_reader *reader)
{
    struct replay_op *next[BENCH_MAX_THREADS];
    struct replay_border border = {NULL, 0, false};
    struct replay_deal deal = {NULL, NULL, {0}, {0}};
    replay_measure(call, reader, &border);
    border.begun = 0;
    border.after_last = false;
    size_t slots_most = reader->events + (size_t)thread_count * LINE_SLOTS;
    struct replay_op *op = bench_table(op_count, sizeof *op);
    slots = bench_table(slots_most, sizeof *slots); /* touched as far as it is used */
    deal.last = bench_table(slots_most, sizeof *deal.last);
    deal.slot_now = bench_table(reader->slots, sizeof *deal.slot_now);
    for (unsigned i = 0; i < thread_count; i++) {
        threads[i].ops = next[i] = op;
        op += threads[i].count;
    }
    ops_fill(reader, &border, &deal, next);
    munmap(deal.slot_now, reader->slots * sizeof *deal.slot_now);
    munmap(deal.last, slots_most * sizeof *deal.last);
    munmap(border.last, reader->slot_limit * sizeof *border.last);
    for (uint32_t i = 0; i < slot_count; i++)
        slots[i].block = NULL; /* links of free slots */
    trace_close(reader);
}

/* ---- one round ---- */

static void *op_allocate(const struct replay_op *op, void *old)
{
    void *block = NULL;
    unsigned log2 = op->alignment_log2;
    switch (op->kind) {
    case TRACE_MALLOC:
        return malloc(op->bytes);
    case TRACE_CALLOC:
        return calloc(1, op->bytes);
    case TRACE_REALLOC:
        return realloc(old, op->bytes);
    default:
        log2 = log2 < MIN_ALIGNMENT_LOG2 ? MIN_ALIGNMENT_LOG2 : log2;
        errno = posix_memalign(&block, (size_t)1 << log2, op->bytes);
        return errno == 0 ? block : NULL;
    }
}

/* A block of no bytes may be NULL. */
static void op_run(const struct replay_op *op, struct replay_slot *slot)
{
    if (op->kind == TRACE_FREE) {
        free(slot->block);
        slot->block = NULL;
        return;
    }
    unsigned char *block = op_allocate(op, slot->block);
    slot->block = block;
    if (op->bytes == 0)
        return;
    if (block == NULL)
        bench_die("malloc");
    block[0] = (unsigned char)op->bytes;
    block[op->bytes - 1] = (unsigned char)op->bytes;
}

/* Whether fewer than `turn` events of the slot were done when its turn was `now`. */
static bool turn_is_before(uint32_t now, uint32_t turn)
{
    return (int32_t)(now - turn) < 0;
}

/* Of a set of 32: threads that wait for other turns of the same slot sleep on. */
static uint32_t turn_bit(uint32_t turn)
{
    return UINT32_C(1) << turn % 32;
}

/* Not on `turn` itself, which every event changes: at a busy slot nobody would fall asleep. */
static void turn_sleep(struct replay_slot *slot, uint32_t turn)
{
    /* seq_cst, both: pairs with turn_pass. If that sees no sleeper, its turn is seen here. */
    uint32_t word = atomic_fetch_add_explicit(&slot->sleepers, 1, memory_order_seq_cst) + 1;
    if (turn_is_before(atomic_load_explicit(&slot->turn, memory_order_seq_cst), turn))
        (void)syscall(SYS_futex, &slot->sleepers, FUTEX_WAIT_BITSET_PRIVATE, word, NULL, NULL,
                      turn_bit(turn));
    /* relaxed: one too many costs a futex call. */
    atomic_fetch_sub_explicit(&slot->sleepers, 1, memory_order_relaxed);
}

/*
 * A block comes from another thread's hands in no time; a thread may wait for its begin through
 * most of the trace. Hundreds of threads that yield or nap meanwhile would keep the ones that work
 * from the processors, and a nap ends later than what it waits for.
 */
static void turn_wait(struct replay_thread *thread, const struct replay_op *op)
{
    struct replay_slot *slot = &slots[op->slot];
    unsigned yields = op->kind == TRACE_THREAD ? YIELDS : 0;
    /* acquire: pairs with the seq_cst store in turn_pass; makes the slot's block visible. */
    while (turn_is_before(atomic_load_explicit(&slot->turn, memory_order_acquire), op->turn)) {
        if (yields++ < YIELDS) {
            sched_yield();
            continue;
        }
        turn_sleep(slot, op->turn);
        thread->sleeps++;
    }
}

static void turn_pass(struct replay_thread *thread, const struct replay_op *op)
{
    struct replay_slot *slot = &slots[op->slot];
    if (!op->wakes) {
        /* relaxed: the next event of this slot is the thread's own, and nobody waits for this. */
        atomic_store_explicit(&slot->turn, op->turn + 1, memory_order_relaxed);
        return;
    }
    /* seq_cst, both: a release for turn_wait; either a sleeper is seen, or it sees this turn. */
    atomic_store_explicit(&slot->turn, op->turn + 1, memory_order_seq_cst);
    if (atomic_load_explicit(&slot->sleepers, memory_order_seq_cst) << SLEEPER_BITS == 0)
        return;
    /* relaxed: the kernel has barriers of its own; who is about to sleep finds another word. */
    atomic_fetch_add_explicit(&slot->sleepers, 1u << SLEEPER_BITS, memory_order_relaxed);
    (void)syscall(SYS_futex, &slot->sleepers, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL,
                  turn_bit(op->turn + 1));
    thread->wakes++;
}

/* What a thread gives back when it ends is back before the next one begins. */
static void end_wait(struct replay_thread *thread, const struct replay_thread *ended)
{
    if (pthread_tryjoin_np(ended->id, NULL) == 0)
        return;
    thread->sleeps++;
    errno = pthread_join(ended->id, NULL);
    if (errno != 0)
        bench_die("pthread_join");
}

/* Ends: of all events not done yet, the one recorded first is the next of its thread. */
static void ops_run(struct replay_thread *thread)
{
    const struct replay_op *end = thread->ops + thread->count;
    for (const struct replay_op *op = thread->ops; op < end; op++) {
        if (op->kind == TRACE_THREAD && op->bytes != 0) {
            end_wait(thread, &threads[op->bytes - 1]);
            continue;
        }
        turn_wait(thread, op);
        if (op->kind == TRACE_THREAD)
            continue;
        op_run(op, &slots[op->slot]);
        turn_pass(thread, op);
    }
}

/* The first thread opens the replay. All others wait for events, and may sleep before it begins. */
static void *thread_body(void *argument)
{
    struct replay_thread *thread = argument;
    if (thread == threads)
        gate_wait(gate);
    else /* relaxed: only counted, as in gate_wait. */
        atomic_fetch_add_explicit(&gate->arrived, 1, memory_order_relaxed);
    ops_run(thread);
    thread->end_ns = bench_now_ns();
    return NULL;
}

/* Returns what the clock covers. */
static uint64_t round_run(void)
{
    struct bench_gate closed = {0, false};
    uint64_t start_ns = bench_now_ns();
    uint64_t end_ns = 0;
    gate = &closed;
    if (thread_count == 1) {
        ops_run(&threads[0]);
        return bench_now_ns() - start_ns;
    }
    for (unsigned i = 0; i < thread_count; i++)
        bench_thread_start(&threads[i].id, thread_body, &threads[i]);
    gate_open(gate, thread_count, &start_ns);
    /* Whoever is awaited was joined by a thread that ends after it, the last one by nobody. */
    for (unsigned i = 0; i < thread_count; i++)
        if (!threads[i].awaited)
            bench_thread_join(threads[i].id);
    for (unsigned i = 0; i < thread_count; i++) {
        if (threads[i].end_ns > end_ns)
            end_ns = threads[i].end_ns;
    }
    return end_ns - start_ns;
}

/* For the next round; there are no threads now. */
static void slots_clear(void)
{
    for (uint32_t i = 0; i < slot_count; i++) {
        free(slots[i].block);
        slots[i].block = NULL;
        /* relaxed: pthread_create makes it visible to the next round's threads. */
        atomic_store_explicit(&slots[i].turn, 0, memory_order_relaxed);
    }
}

/* Lets the kernel count peak memory anew. */
static bool peak_restart(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, "5", 1) == 1;
    if (fd >= 0)
        close(fd);
    return done;
}

static void replay_print(const struct trace_reader *reader, bool peak_is_own)
{
    uint64_t sleeps = 0, wakes = 0;
    for (unsigned i = 0; i < thread_count; i++) {
        sleeps += threads[i].sleeps;
        wakes += threads[i].wakes;
    }
    printf("recorded: %" PRIu64 " operations, %u threads, %u slots, peak %" PRIu64
           " bytes; table: %" PRIu64 " KiB; waits: %" PRIu64 " sleeps, %" PRIu64 " wakes%s\n",
           reader->events, reader->threads, reader->slots, reader->peak_live_bytes,
           (op_count * sizeof(struct replay_op) + slot_count * sizeof *slots) >> 10, sleeps, wakes,
           peak_is_own ? "" : "; peak memory is at least that of loading the trace");
}

static void replay(const struct replay_call *call)
{
    struct trace_reader reader;
    struct bench_report report = {.name = "bench_replay"};
    uint64_t ns = 0;
    replay_load(call, &reader);
    slots_clear(); /* turns, from loading */
    bool peak_is_own = peak_restart();
    for (uint64_t i = 0; i < call->rounds; i++) {
        ns += round_run();
        report.live = bench_memory_now();
        slots_clear();
    }
    report.ops = reader.events * call->rounds;
    report.seconds = (double)ns * 1e-9;
    report.after = bench_memory_now();
    bench_print(&report);
    replay_print(&reader, peak_is_own);
}

/* ---- the trace as text ---- */

/* A line an event: number, thread, kind, slot, bytes, alignment; then the totals. */
static void dump(const struct replay_call *call)
{
    static const char *const kinds[] = {"free", "malloc", "calloc", "realloc", "aligned"};
    struct trace_reader reader;
    struct trace_event event;
    trace_begin(call, &reader);
    puts("# event thread kind slot bytes alignment");
    while (trace_next(&reader, &event) == TRACE_EVENT)
        printf("%" PRIu64 " %u %s %u %" PRIu64 " %" PRIu64 "\n", reader.events - 1, event.thread,
               kinds[event.kind], event.slot, event.bytes,
               event.kind == TRACE_ALIGNED ? UINT64_C(1) << event.alignment_log2 : 0);
    printf("# operations %" PRIu64 " threads %u slots %u peak_bytes %" PRIu64 " live_bytes %" PRIu64
           "\n",
           reader.events, reader.threads, reader.slots, reader.peak_live_bytes, reader.live_bytes);
    if (fflush(stdout) == EOF)
        bench_die("cannot write");
    trace_finish(call, &reader);
    trace_close(&reader);
}

int main(int argc, char **argv)
{
    struct replay_call call = {NULL, 1, false, false};
    int at = 1;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        call.partial |= strcmp(argv[at], "--partial") == 0;
        call.dump |= strcmp(argv[at], "--dump") == 0;
        if (strcmp(argv[at], "--partial") != 0 && strcmp(argv[at], "--dump") != 0)
            at = argc;
    }
    if (at >= argc || argc > at + (call.dump ? 1 : 2)) {
        fprintf(stderr, "usage: bench_replay [--partial] TRACE [ROUNDS]\n"
                        "       bench_replay [--partial] --dump TRACE\n");
        return STATUS_UNUSABLE;
    }
    call.path = argv[at];
    call.rounds = bench_arg(argc, argv, at + 1, 1, 1, UINT64_C(1) << 32);
    if (call.dump)
        dump(&call);
    else
        replay(&call);
    return 0;
}
