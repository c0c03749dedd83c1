/*
 * Fuzz target: sequences of operations, by several threads, on a kernel that may fail.
 *
 * Purpose   an oracle knows every live block: none overlaps another, each keeps its contents, has
 *           its alignment and at least its size, and a request is refused only when a call of the
 *           kernel failed, when a limit stands, or when the arena is too small. After each
 *           operation the heap of the thread that did it is valid. When all is freed, nothing is
 *           taken any more. What else is so in a hardened process: hardened.h.
 *           The first byte chooses the options, if the allocator was not used in this process
 *           before: each file has a process of its own in replay.c. libFuzzer runs many inputs in
 *           one process, so there they come from HAKMEM_FUZZ_OPTIONS, a number.
 * Threads   one at a time works, the others wait: an input does the same every time.
 *
 * ctest: core=fake corpus=operations
 */
#include <errno.h>
#include <pthread.h>

#include "front/heap.h"
#include "hakmem.h"
#include "region/region.h"
#include "segment/os_fake.h"
#include "segment/segment.h"

#include "fuzz.h"
#include "hardened_misuse.h"
#include "operations.h"

#define LIVE_BYTES_MAX ((size_t)48 << 20)
#define WHOLE_FILL_MAX ((size_t)4096)
#define EDGE_BYTES 64
#define SAMPLE_STEP ((size_t)16 << 10)
#define OPERATIONS_MAX 2000
/* Operations from one look at all segments and tags to the next. */
#define VALIDATE_EVERY 16
/* Places that could not be mapped again stay out of use: after so many, the arena may be too small.
 */
#define LOST_PLACES_MAX 20
#define LOST_PLACE_SLOTS ((size_t)256)

struct live {
    unsigned char *start; /* NULL: no block in this slot */
    size_t bytes;         /* that were asked for, and are filled */
    unsigned char stamp;
};

/* [who works] */
static struct live live[OPERATION_SLOTS];
static size_t live_bytes;
static unsigned char stamps;
static bool may_refuse; /* a call may fail, or a limit stands */
static bool has_limit;  /* [const after start] */
static bool has_failed; /* a call has failed in this process */
static unsigned done;   /* operations of this input */

/* ---- the oracle ----------------------------------------------------------------------------- */

/* Small blocks whole, of large ones both ends and samples between. */
static void live_fill(struct live *block)
{
    if (block->bytes <= WHOLE_FILL_MAX) {
        memset(block->start, block->stamp, block->bytes);
        return;
    }
    for (size_t at = SAMPLE_STEP; at < block->bytes; at += SAMPLE_STEP)
        block->start[at] = block->stamp;
    memset(block->start, block->stamp, EDGE_BYTES);
    memset(block->start + block->bytes - EDGE_BYTES, block->stamp, EDGE_BYTES);
}

/* The part of a block that is still there after it was resized to `bytes`. */
static void live_check(const struct live *block, size_t bytes)
{
    size_t left = bytes < block->bytes ? bytes : block->bytes;
    if (block->bytes <= WHOLE_FILL_MAX) {
        FUZZ_REQUIRE(fuzz_holds(block->start, left, block->stamp));
        return;
    }
    for (size_t at = SAMPLE_STEP; at < left; at += SAMPLE_STEP)
        FUZZ_REQUIRE(block->start[at] == block->stamp);
    FUZZ_REQUIRE(fuzz_holds(block->start, left < EDGE_BYTES ? left : EDGE_BYTES, block->stamp));
    if (left == block->bytes)
        FUZZ_REQUIRE(fuzz_holds(block->start + left - EDGE_BYTES, EDGE_BYTES, block->stamp));
}

static void check_overlap(const struct live *block)
{
    uintptr_t start = (uintptr_t)block->start;
    for (size_t i = 0; i < OPERATION_SLOTS; i++) {
        uintptr_t other = (uintptr_t)live[i].start;
        if (&live[i] == block || other == 0)
            continue;
        FUZZ_REQUIRE(start != other);
        FUZZ_REQUIRE(start >= other + live[i].bytes || other >= start + block->bytes);
    }
}

/* A request was answered by a block whose first `kept` bytes were there before. */
static void live_set(struct live *block, void *answer, size_t kept, size_t bytes, size_t alignment)
{
    if (answer == NULL) {
        FUZZ_REQUIRE(may_refuse && errno == ENOMEM);
        return;
    }
    FUZZ_REQUIRE((uintptr_t)answer % (alignment > 16 ? alignment : 16) == 0);
    FUZZ_REQUIRE(hak_malloc_usable_size(answer) >= bytes);
    hardened_took(answer, kept, bytes);
    block->start = answer;
    block->bytes = bytes;
    block->stamp = ++stamps;
    live_bytes += bytes;
    check_overlap(block);
    live_fill(block);
}

static void live_free(struct live *block, unsigned way)
{
    if (block->start == NULL)
        return;
    live_check(block, block->bytes);
    struct resting freed = hardened_frees(block->start, block->bytes);
    errno = 77;
    if (way % 3 == 1)
        hak_free_sized(block->start, block->bytes);
    else if (way % 3 == 2)
        hak_cfree(block->start);
    else
        hak_free(block->start);
    FUZZ_REQUIRE(errno == 77);
    hardened_freed(&freed);
    live_bytes -= block->bytes;
    block->start = NULL;
}

/* ---- operations ----------------------------------------------------------------------------- */

static void take(const struct operation *op, size_t slot)
{
    struct live *block = &live[slot];
    live_free(block, 0);
    if (live_bytes + op->size > LIVE_BYTES_MAX)
        return;
    errno = 0;
    if (op->kind == OP_CALLOC) {
        unsigned char *answer = hak_calloc(op->size, 1);
        FUZZ_REQUIRE(answer == NULL || fuzz_holds(answer, op->size, 0));
        live_set(block, answer, 0, op->size, 16);
    } else {
        live_set(block, hak_malloc(op->size), 0, op->size, 16);
    }
}

static void take_aligned(const struct operation *op, unsigned way)
{
    struct live *block = &live[op->slot];
    size_t alignment = (size_t)1 << op->alignment_log2;
    void *answer = NULL;
    live_free(block, 0);
    if (live_bytes + op->size > LIVE_BYTES_MAX)
        return;
    errno = 0;
    if (way == 0)
        answer = hak_aligned_alloc(alignment, op->size);
    else if (way == 1)
        answer = hak_memalign(alignment, op->size);
    else if (alignment >= sizeof(void *))
        errno = hak_posix_memalign(&answer, alignment, op->size);
    else
        return;
    live_set(block, answer, 0, op->size, alignment);
}

static void resize(const struct operation *op, bool by_array)
{
    struct live *block = &live[op->slot];
    struct live old = *block;
    if (live_bytes + op->size > LIVE_BYTES_MAX)
        return;
    struct resting freed = {0};
    size_t kept = 0;
    if (old.start != NULL) {
        freed = hardened_frees(old.start, old.bytes);
        kept = hak_min(old.bytes, op->size);
    }
    errno = 0;
    void *answer =
        by_array ? hak_reallocarray(old.start, op->size, 1) : hak_realloc(old.start, op->size);
    if (answer == NULL) {
        FUZZ_REQUIRE(may_refuse && errno == ENOMEM);
        if (old.start != NULL)
            live_check(&old, old.bytes);
        return;
    }
    if (old.start != NULL) {
        live_bytes -= old.bytes;
        if (answer != old.start)
            hardened_freed(&freed);
        old.start = answer;
        live_check(&old, op->size);
    }
    live_set(block, answer, kept, op->size, 16);
}

/* All of a block may be written to, and is from here on. */
static void use_all(const struct operation *op)
{
    struct live *block = &live[op->slot];
    if (block->start == NULL)
        return;
    size_t usable = hak_malloc_usable_size(block->start);
    FUZZ_REQUIRE(usable >= block->bytes);
    live_check(block, block->bytes);
    live_bytes += usable - block->bytes;
    block->bytes = usable;
    block->stamp = ++stamps;
    check_overlap(block);
    live_fill(block);
}

static void other(const struct operation *op)
{
    struct live *block = &live[op->slot];
    volatile size_t too_much = SIZE_MAX - op->size;
    if (hardened.on && op->count > 12) {
        hardened_misuse(block->start, block->bytes, op->alignment_log2, op->number);
        return;
    }
    switch (op->number % 6) {
    case 0:
    case 1:
        take_aligned(op, 1 + op->number % 6);
        break;
    case 2:
        resize(op, true);
        break;
    case 3:
        live_free(block, 1);
        break;
    case 4:
        live_free(block, 2);
        if (op->size <= LIVE_BYTES_MAX - live_bytes) {
            errno = 0;
            live_set(block, hak_valloc(op->size), 0, op->size, 4096);
        }
        break;
    default:
        errno = 0;
        FUZZ_REQUIRE(hak_malloc(too_much) == NULL && errno == ENOMEM);
        errno = 0;
        FUZZ_REQUIRE(hak_realloc(block->start, too_much) == NULL && errno == ENOMEM);
        FUZZ_REQUIRE(hak_memalign(op->size | 3, 10) == NULL && errno == EINVAL);
        hak_free(NULL);
        break;
    }
}

static void fail(const struct operation *op)
{
    static const enum hak_fake_call calls[] = {
        HAK_FAKE_COMMIT, HAK_FAKE_PURGE, HAK_FAKE_RENEW,    HAK_FAKE_MOVE,     HAK_FAKE_BARRIER,
        HAK_FAKE_ANY,    HAK_FAKE_ANY,   HAK_FAKE_HUGE_MAP, HAK_FAKE_HUGE_HOLD};
    hak_fake_fail(calls[op->slot % (sizeof calls / sizeof calls[0])], 1 + op->number % 64,
                  op->count == 16 ? HAK_FAKE_FOREVER : op->count);
    may_refuse = true;
    has_failed = true;
    hardened_may_run_out(true);
}

static void heal(void)
{
    hak_fake_heal();
    may_refuse = has_limit || hak_fake_failures(HAK_FAKE_RENEW) > LOST_PLACES_MAX;
    if (!may_refuse && hardened.may_run_out)
        hardened_may_run_out(false);
}

static void validate(void)
{
    FUZZ_REQUIRE(hak_heap_is_valid());
    FUZZ_REQUIRE(hak_fake_mistakes() == 0);
    if (done % VALIDATE_EVERY == 0) {
        FUZZ_REQUIRE(hak_segment_is_valid());
        FUZZ_REQUIRE(hak_region_is_valid());
        (void)hardened_check(false);
    }
}

static void validate_all(void)
{
    done = 0;
    validate();
    for (size_t i = 0; i < OPERATION_SLOTS; i++) {
        if (live[i].start != NULL)
            live_check(&live[i], live[i].bytes);
    }
}

static void several(const struct operation *op)
{
    for (unsigned i = 0; i < op->count; i++) {
        size_t slot = (op->slot + i) % OPERATION_SLOTS;
        if (op->kind == OP_MALLOC_UP)
            take(op, slot);
        else
            live_free(&live[slot], i);
    }
}

/* In the thread that the operation names. */
static void operation_do(const struct operation *op)
{
    switch (op->kind) {
    case OP_MALLOC:
    case OP_CALLOC:
        take(op, op->slot);
        break;
    case OP_REALLOC:
        resize(op, false);
        break;
    case OP_ALIGNED:
        take_aligned(op, 0);
        break;
    case OP_FREE:
        live_free(&live[op->slot], 0);
        break;
    case OP_USABLE:
        use_all(op);
        break;
    case OP_CHECK:
        if (live[op->slot].start != NULL)
            live_check(&live[op->slot], live[op->slot].bytes);
        break;
    case OP_TRIM:
        (void)hak_malloc_trim(op->number);
        break;
    case OP_CLOCK:
        hak_fake_advance_ms(op->number % 400);
        break;
    case OP_FAIL:
        fail(op);
        break;
    case OP_HEAL:
        heal();
        break;
    case OP_MALLOC_UP:
    case OP_FREE_UP:
        several(op);
        break;
    case OP_OTHER:
        other(op);
        break;
    case OP_VALIDATE:
        validate_all();
        break;
    default:
        break;
    }
    validate();
}

/* ---- threads -------------------------------------------------------------------------------- */

/* A thread that does what it is handed, one operation at a time; NULL: it ends. Thread 0 is the
 * target's own. */
static struct worker {
    pthread_t thread;
    bool runs;
    bool has_work; /* [lock] */
    const struct operation *work;
} workers[OPERATION_THREADS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void *worker_run(void *argument)
{
    struct worker *worker = argument;
    bool ends = false;
    while (!ends) {
        pthread_mutex_lock(&lock);
        while (!worker->has_work)
            pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
        ends = worker->work == NULL;
        if (!ends)
            operation_do(worker->work);
        pthread_mutex_lock(&lock);
        worker->has_work = false;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void worker_hand(struct worker *worker, const struct operation *work)
{
    pthread_mutex_lock(&lock);
    worker->work = work;
    worker->has_work = true;
    pthread_cond_broadcast(&changed);
    while (worker->has_work)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void worker_end(struct worker *worker)
{
    if (worker->runs) {
        worker_hand(worker, NULL);
        FUZZ_REQUIRE(pthread_join(worker->thread, NULL) == 0);
        worker->runs = false;
    }
}

static void operation_run(const struct operation *op)
{
    struct worker *worker = &workers[op->thread];
    if (op->thread == 0) {
        operation_do(op);
    } else if (op->kind == OP_END) {
        worker_end(worker);
    } else {
        if (!worker->runs) {
            worker->has_work = false;
            FUZZ_REQUIRE(pthread_create(&worker->thread, NULL, worker_run, worker) == 0);
            worker->runs = true;
        }
        worker_hand(worker, op);
    }
}

/* ---- start and end -------------------------------------------------------------------------- */

/* The bits of the first byte. */
enum {
    OPTION_TINY_TO_256 = 1,
    OPTION_NO_SMALLMID = 2,
    OPTION_PREWARM = 4,
    OPTION_NO_DECAY = 8,
    OPTION_HUGE = 48, /* off, thp, hugetlb, auto */
    OPTION_LIMIT = 64,
    OPTION_HARDEN = 128,
};

static void start(unsigned options)
{
    static const char *const huge[] = {"off", "thp", "hugetlb", "auto"};
    setenv("HAKMEM_TINY_MAX_CLASS", (options & OPTION_TINY_TO_256) != 0 ? "5" : "7", 1);
    setenv("HAKMEM_SMALLMID_ENABLE", (options & OPTION_NO_SMALLMID) != 0 ? "0" : "1", 1);
    setenv("HAKMEM_PREWARM", (options & OPTION_PREWARM) != 0 ? "1" : "0", 1);
    setenv("HAKMEM_PURGE_DECAY_MS", (options & OPTION_NO_DECAY) != 0 ? "0" : "100", 1);
    setenv("HAKMEM_HUGE", huge[(options & OPTION_HUGE) / (OPTION_HUGE & -OPTION_HUGE)], 1);
    setenv("HAKMEM_HUGE_THRESHOLD_MB", "4", 1);
    setenv("HAKMEM_ARENA_GIB", "1", 1);
    hardened.on = (options & OPTION_HARDEN) != 0;
    if (hardened.on) {
        setenv("HAKMEM_HARDEN", "1", 1);
        setenv("HAKMEM_ARENA_GIB", "4", 1); /* what rests leaves room for all that may live */
        hak_fake_purge_keeps = true;
    }
    has_limit = (options & OPTION_LIMIT) != 0;
    may_refuse = has_limit;
    hardened_may_run_out(has_limit);
    if (has_limit)
        setenv("HAKMEM_LIMIT", "32M", 1);
    hak_fake_set_huge_pool(12);
    hak_fake_wake(4096);
}

/* Everything is freed, every thread ends: nothing is taken then, and nothing has memory, but for
 * what rests in a hardened process. What is out of use for ever was a place that could not be
 * mapped again. */
static void finish(void)
{
    heal();
    for (size_t i = 0; i < OPERATION_SLOTS; i++)
        live_free(&live[i], 0);
    for (size_t i = 1; i < OPERATION_THREADS; i++)
        worker_end(&workers[i]);
    (void)hak_malloc_trim(0);
    (void)hak_malloc_trim(0); /* what is pending on an orphan was announced by the first */
    validate_all();
    if (hardened.on) {
        FUZZ_REQUIRE(hardened_check(true) == 0);
        return;
    }
    if (!has_failed) {
        FUZZ_REQUIRE(hak_taken_bytes() == 0);
        FUZZ_REQUIRE(hak_dirty_bytes() == 0);
    }
    size_t lost_most = hak_fake_failures(HAK_FAKE_RENEW) * LOST_PLACE_SLOTS;
    FUZZ_REQUIRE(hak_taken_bytes() / HAK_PAGE_BYTES <= lost_most);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    const char *options = getenv("HAKMEM_FUZZ_OPTIONS");
    (void)count;
    (void)arguments;
    if (options != NULL)
        start((unsigned)strtoul(options, NULL, 0));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 1)
        return 0;
    if (getenv("HAKMEM_ARENA_GIB") == NULL)
        start(data[0]);
    data++;
    bytes--;
    misuses_left = MISUSES_MAX;
    for (size_t i = 0; i < OPERATIONS_MAX && bytes >= OPERATION_BYTES; i++) {
        struct operation op = operation_decode(data);
        done++;
        operation_run(&op);
        data += OPERATION_BYTES;
        bytes -= OPERATION_BYTES;
    }
    finish();
    return 0;
}
