/*
 * record_malloc.c: librecordmalloc.so, which writes down what a program asks of its malloc.
 *
 * Purpose  preloaded by `hakmem record`: every call goes on to the next malloc (libc's, or an
 *          allocator preloaded behind) and becomes an event of the trace that HAKMEM_RECORD_FILE
 *          names; trace.h describes the file.
 * Threads  one spin lock around the books and the buffer, held while an event is noted and a chunk
 *          is written, never while the next malloc runs. That costs one thread some 55 ns a call
 *          (bench_random_mixed, recorded and not), and all threads' calls wait for each other: a
 *          recording is for its order, not for its time.
 * Order    a block is noted after it was allocated and before it is freed; a realloc takes its old
 *          address out before and notes the new one after. So whatever another thread gets at an
 *          address that was given back is noted behind the free.
 * Errors   what cannot be written ends the recording with a line on stderr, never the program.
 *
 * What is recorded is the first process and its first program. A forked child stops: all state
 * lies in memory that fork clears. LD_PRELOAD and HAKMEM_RECORD_FILE are taken out of the
 * environment at start, so that what it executes is not recorded. The end of the buffer is written
 * by a destructor, by quick_exit and _exit, and before exec; calls after that are written one by
 * one. A kill, or execl and its kind, lose at most one chunk of 64 KiB.
 *
 * Not recorded: calls from a signal handler that interrupts a call of the family, calls that the
 * next malloc makes of itself, blocks that it made while this library was looking for it. Of C++,
 * the two operators are recorded that all others of libstdc++ come down to. An allocator with
 * others of its own takes and frees blocks by them unseen: record C++ on libc or on libhakmem.so.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace_arena.h"
#include "trace_environment.h"
#include "trace_live.h"
#include "trace_lock.h"
#include "trace_next.h"
#include "trace_quiet.h"
#include "trace_write.h"

/* Not declared by every libc. */
void cfree(void *block);
void free_sized(void *block, size_t bytes);
void free_aligned_sized(void *block, size_t align, size_t bytes);

/* C++: operator new(std::size_t) and operator delete(void *), and the same with an alignment. */
void *_Znwm(size_t bytes);
void _ZdlPv(void *block);
void *_ZnwmSt11align_val_t(size_t bytes, size_t align);
void _ZdlPvSt11align_val_t(void *block, size_t align);

enum phase { PHASE_NEW, PHASE_STARTING, PHASE_READY };
static _Atomic int phase; /* [any, atomic] */

/* ---- the recording ---- */

/* A mapping of its own that a fork clears in the child: there, `on` is false. */
struct recording {
    _Atomic bool on;     /* [any, atomic] */
    _Atomic bool locked; /* [any, atomic] guards the rest */
    pid_t process;       /* [const after start] a child of vfork shares this, and ends nothing */
    uint32_t threads;    /* numbers given out */
    struct live_table live;
    struct trace_writer writer;
};
static struct recording *recording; /* [const after start] NULL: no memory for it */

/* Initial-exec: the access allocates nothing, in the first call of a new thread too. */
static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
    bool inside;     /* a call of the family is under way: what it calls is not the program's */
    bool holds;      /* the lock, or is about to; a signal handler of this thread must not wait */
    uint32_t number; /* of this thread, plus one; 0: none yet */
} self;

/* ---- lock ---- */

static void recording_lock(void)
{
    self.holds = true;
    atomic_signal_fence(memory_order_seq_cst);
    lock_take(&recording->locked);
}

static void recording_unlock(void)
{
    lock_give(&recording->locked);
    atomic_signal_fence(memory_order_seq_cst);
    self.holds = false;
}

static bool recording_is_on(void)
{
    /* relaxed: only a signal; the books are guarded by the lock. */
    return recording != NULL && atomic_load_explicit(&recording->on, memory_order_relaxed);
}

static void recording_end(void)
{
    /* relaxed: as above. */
    atomic_store_explicit(&recording->on, false, memory_order_relaxed);
}

/* Ends it for good and says why; the trace stays as far as it came. */
static void recording_stop(const char *what, int error)
{
    char line[PATH_MAX + 128];
    int length = snprintf(line, sizeof line, "hakmem record: %s %s: %s; the recording stops here\n",
                          what, recording->writer.path, strerrordesc_np(error));
    if (length > 0)
        (void)quiet_write(STDERR_FILENO, line, (size_t)length);
    recording_end();
}

/* ---- events [lock] ---- */

/* Without the variable nothing is recorded and nothing said: somebody preloaded this by hand. */
static bool file_open(void)
{
    const char *file = environment_file();
    if (file == NULL)
        recording_end();
    else if (!writer_open(&recording->writer, file))
        recording_stop("cannot write", errno);
    return recording_is_on();
}

static void chunk_write(bool end)
{
    if (!recording_is_on() || (!recording->writer.opened && !file_open()))
        return;
    if (!writer_flush(&recording->writer, end))
        recording_stop("cannot write", errno);
}

static void event_put(enum trace_kind kind, uint32_t slot, size_t bytes, unsigned alignment_log2)
{
    if (writer_is_full(&recording->writer))
        chunk_write(false);
    if (!recording_is_on())
        return;
    if (self.number == 0)
        self.number = ++recording->threads;
    writer_put(&recording->writer, kind, self.number - 1, slot, bytes, alignment_log2);
    if (recording->writer.closed)
        chunk_write(true);
}

static void slot_free(uint32_t slot)
{
    event_put(TRACE_FREE, slot, 0, 0);
    live_slot_release(&recording->live, slot);
}

/* Room in the books; a block that still stands under `block` went without a call that was seen. */
static bool block_expect(const void *block)
{
    if (!live_reserve(&recording->live)) {
        recording_stop("no memory to record into", ENOMEM);
        return false;
    }
    uint32_t lost = live_take(&recording->live, (uintptr_t)block);
    if (lost != LIVE_NO_SLOT)
        slot_free(lost);
    return true;
}

/* ---- what the functions below note ---- */

static void note_new(enum trace_kind kind, const void *block, size_t bytes, unsigned alignment_log2)
{
    int error = errno;
    if (block == NULL)
        return;
    recording_lock();
    if (recording_is_on() && block_expect(block)) {
        uint32_t slot = live_slot_take(&recording->live);
        live_put(&recording->live, (uintptr_t)block, slot);
        event_put(kind, slot, bytes, alignment_log2);
    }
    recording_unlock();
    errno = error;
}

static void note_aligned(const void *block, size_t bytes, size_t alignment)
{
    unsigned log2 = 0;
    while (log2 < TRACE_SIZE_BITS - 1 && (size_t)1 << log2 < alignment)
        log2++;
    note_new(TRACE_ALIGNED, block, bytes, log2);
}

static void note_free(const void *block)
{
    int error = errno;
    recording_lock();
    if (recording_is_on()) {
        uint32_t slot = live_take(&recording->live, (uintptr_t)block);
        if (slot != LIVE_NO_SLOT)
            slot_free(slot);
    }
    recording_unlock();
    errno = error;
}

/* Before a realloc: takes the address out of the books, and keeps its slot in use. */
static uint32_t note_resizing(const void *block)
{
    recording_lock();
    uint32_t slot = live_take(&recording->live, (uintptr_t)block);
    recording_unlock();
    return slot;
}

/* After it. `block` is where the slot's block is now; NULL: it was freed. */
static void note_resized(enum trace_kind kind, uint32_t slot, const void *block, size_t bytes)
{
    int error = errno;
    recording_lock();
    if (recording_is_on() && block == NULL) {
        slot_free(slot);
    } else if (recording_is_on() && block_expect(block)) {
        live_put(&recording->live, (uintptr_t)block, slot);
        if (kind == TRACE_REALLOC)
            event_put(kind, slot, bytes, 0);
    }
    recording_unlock();
    errno = error;
}

/* ---- start and end ---- */

/* Memory that is zero in a forked child; without it nothing is recorded. */
static void recording_begin(void)
{
    struct recording *memory =
        mmap(NULL, sizeof *memory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return;
    if (madvise(memory, sizeof *memory, MADV_WIPEONFORK) != 0) {
        static const char line[] = "hakmem record: this kernel has no MADV_WIPEONFORK "
                                   "(Linux 4.14); nothing is recorded\n";
        (void)quiet_write(STDERR_FILENO, line, sizeof line - 1);
        munmap(memory, sizeof *memory);
        return;
    }
    memory->process = getpid();
    /* relaxed: published by the release in start. */
    atomic_store_explicit(&memory->on, true, memory_order_relaxed);
    recording = memory;
}

static void start(void)
{
    int expected = PHASE_NEW;
    int error = errno;
    unsigned steps = 0;
    /* acquire: as below. */
    if (!atomic_compare_exchange_strong_explicit(&phase, &expected, PHASE_STARTING,
                                                 memory_order_acquire, memory_order_acquire)) {
        /* acquire: pairs with the release below; makes next and recording visible. */
        while (atomic_load_explicit(&phase, memory_order_acquire) != PHASE_READY)
            lock_step(&steps);
        errno = error;
        return;
    }
    self.inside = true;
    next_find();
    recording_begin();
    self.inside = false;
    /* release: pairs with the acquire above and in call_begin. */
    atomic_store_explicit(&phase, PHASE_READY, memory_order_release);
    errno = error;
}

/* Whether a call is the program's own and is to be noted; then call_end follows it. */
static bool call_begin(void)
{
    if (self.inside)
        return false;
    /* acquire: pairs with the release in start. */
    if (atomic_load_explicit(&phase, memory_order_acquire) != PHASE_READY)
        start();
    if (!recording_is_on())
        return false;
    self.inside = true;
    return true;
}

static void call_end(void)
{
    self.inside = false;
}

/*
 * Writes what is packed and an end chunk; each event from here on is written at once. A signal
 * handler may come here while its own thread holds the lock, and then leaves without.
 */
static void record_close(void)
{
    int error = errno;
    bool first = call_begin();
    if (recording_is_on() && recording->process == getpid() && !self.holds) {
        recording_lock();
        if (recording->writer.closed++ == 0)
            chunk_write(true);
        recording_unlock();
    }
    if (first)
        call_end();
    errno = error;
}

/* Takes one record_close back, if the program goes on after all. */
static void record_reopen(void)
{
    int error = errno;
    if (recording_is_on() && recording->process == getpid() && !self.holds) {
        recording_lock();
        recording->writer.closed--;
        recording_unlock();
    }
    errno = error;
}

__attribute__((destructor)) static void record_leave(void)
{
    record_close();
}

/* The environment is restored whether or not there is anything to record into. */
__attribute__((constructor)) static void record_enter(void)
{
    bool first = call_begin();
    if (recording_is_on()) {
        recording_lock();
        if (!recording->writer.opened)
            (void)file_open();
        recording_unlock();
        (void)at_quick_exit(record_leave); /* registered first: it runs last */
    }
    environment_restore();
    if (first)
        call_end();
}

void _exit(int status)
{
    record_close();
    if (next._exit != NULL)
        next._exit(status);
    for (;;)
        (void)syscall(SYS_exit_group, status);
}

void _Exit(int status)
{
    _exit(status);
}

/* exec returns only if it failed; then the recording goes on. */
#define EXEC(name, parameters, arguments)                                                          \
    int name parameters                                                                            \
    {                                                                                              \
        record_close();                                                                            \
        int result = next.name arguments;                                                          \
        record_reopen();                                                                           \
        return result;                                                                             \
    }

EXEC(execv, (const char *path, char *const arguments[]), (path, arguments))
EXEC(execve, (const char *path, char *const arguments[], char *const variables[]),
     (path, arguments, variables))
EXEC(execvp, (const char *file, char *const arguments[]), (file, arguments))
EXEC(execvpe, (const char *file, char *const arguments[], char *const variables[]),
     (file, arguments, variables))
EXEC(execveat,
     (int fd, const char *path, char *const arguments[], char *const variables[], int flags),
     (fd, path, arguments, variables, flags))
EXEC(fexecve, (int fd, char *const arguments[], char *const variables[]),
     (fd, arguments, variables))

/* ---- the malloc family; without a next function yet, the arena serves ---- */

void *malloc(size_t bytes)
{
    if (!call_begin())
        return next.malloc != NULL ? next.malloc(bytes) : arena_take(bytes);
    void *block = next.malloc(bytes);
    note_new(TRACE_MALLOC, block, bytes, 0);
    call_end();
    return block;
}

void *calloc(size_t count, size_t bytes)
{
    size_t total = 0;
    bool fits = !__builtin_mul_overflow(count, bytes, &total);
    if (!call_begin())
        return next.calloc != NULL ? next.calloc(count, bytes)
               : fits              ? arena_take(total) /* never used before: zero */
                                   : NULL;
    void *block = next.calloc(count, bytes);
    note_new(TRACE_CALLOC, block, total, 0);
    call_end();
    return block;
}

void free(void *block)
{
    if (block == NULL || arena_holds(block))
        return;
    bool noted = call_begin();
    if (noted)
        note_free(block);
    if (next.free != NULL)
        next.free(block);
    if (noted)
        call_end();
}

/* A block of the arena moves out; it may stay there while the next malloc is looked for. */
static void *arena_move(const void *old, size_t bytes)
{
    size_t old_bytes = arena_size(old);
    void *block = malloc(bytes);
    return block == NULL ? NULL : memcpy(block, old, old_bytes < bytes ? old_bytes : bytes);
}

/* A failure leaves the block; NULL without an error means that a size of 0 freed it. */
void *realloc(void *old, size_t bytes)
{
    int error = errno;
    if (old == NULL)
        return malloc(bytes);
    if (arena_holds(old))
        return arena_move(old, bytes);
    if (!call_begin())
        return next.realloc(old, bytes);
    uint32_t slot = note_resizing(old);
    errno = 0;
    void *block = next.realloc(old, bytes);
    bool failed = block == NULL && (bytes != 0 || errno != 0);
    errno = errno == 0 ? error : errno;
    if (slot == LIVE_NO_SLOT)
        note_new(TRACE_MALLOC, block, bytes, 0);
    else
        note_resized(failed ? TRACE_MALLOC : TRACE_REALLOC, slot, failed ? old : block, bytes);
    call_end();
    return block;
}

void *reallocarray(void *old, size_t count, size_t bytes)
{
    size_t total = 0;
    if (!__builtin_mul_overflow(count, bytes, &total))
        return realloc(old, total);
    errno = ENOMEM;
    return NULL;
}

int posix_memalign(void **block, size_t alignment, size_t bytes)
{
    bool noted = call_begin();
    int error = next.posix_memalign == NULL ? ENOMEM : next.posix_memalign(block, alignment, bytes);
    if (noted) {
        if (error == 0)
            note_aligned(*block, bytes, alignment);
        call_end();
    }
    return error;
}

static size_t os_page_bytes(void)
{
    return (size_t)getpagesize();
}

/* The others that align: the function, its parameters and arguments, size and alignment to note. */
#define ALIGNED(name, parameters, arguments, size, alignment)                                      \
    void *name parameters                                                                          \
    {                                                                                              \
        bool noted = call_begin();                                                                 \
        void *block = next.name == NULL ? NULL : next.name arguments;                              \
        if (noted) {                                                                               \
            note_aligned(block, size, alignment);                                                  \
            call_end();                                                                            \
        }                                                                                          \
        return block;                                                                              \
    }

ALIGNED(aligned_alloc, (size_t align, size_t bytes), (align, bytes), bytes, align)
ALIGNED(memalign, (size_t align, size_t bytes), (align, bytes), bytes, align)
ALIGNED(valloc, (size_t bytes), (bytes), bytes, os_page_bytes())
ALIGNED(pvalloc, (size_t bytes), (bytes), (bytes + os_page_bytes() - 1) & -os_page_bytes(),
        os_page_bytes())

/* A free with more arguments: the next malloc's own, or its free where it has none. */
#define FREE(name, parameters, arguments)                                                          \
    void name parameters                                                                           \
    {                                                                                              \
        bool noted = block != NULL && !arena_holds(block) && next.name != NULL && call_begin();    \
        if (!noted) {                                                                              \
            free(block);                                                                           \
            return;                                                                                \
        }                                                                                          \
        note_free(block);                                                                          \
        next.name arguments;                                                                       \
        call_end();                                                                                \
    }

FREE(free_sized, (void *block, size_t bytes), (block, bytes))
FREE(free_aligned_sized, (void *block, size_t align, size_t bytes), (block, align, bytes))

void cfree(void *block)
{
    free(block);
}

size_t malloc_usable_size(void *block)
{
    if (block != NULL && arena_holds(block))
        return arena_size(block);
    if (next.malloc_usable_size == NULL)
        start();
    return next.malloc_usable_size == NULL ? 0 : next.malloc_usable_size(block);
}

/* ---- C++ ---- */

/* libc's operator has called our malloc, libhakmem.so's has not. */
static bool block_is_noted(const void *block)
{
    bool noted = false;
    recording_lock();
    if (recording_is_on() && recording->live.cells != 0)
        noted = live_find(&recording->live, (uintptr_t)block)->address != 0;
    recording_unlock();
    return noted;
}

/* The next operator, which calls the new-handler and tries again, or throws. */
static void *operator_next(const char *name)
{
    static const char line[] = "hakmem record: operator new without memory and without libstdc++\n";
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        (void)quiet_write(STDERR_FILENO, line, sizeof line - 1);
        abort();
    }
    return found;
}

static void *noted_if_new(void *block, size_t bytes, size_t align)
{
    if (call_begin()) {
        if (!block_is_noted(block) && align == 0)
            note_new(TRACE_MALLOC, block, bytes, 0);
        else if (!block_is_noted(block))
            note_aligned(block, bytes, align);
        call_end();
    }
    return block;
}

void *_Znwm(size_t bytes)
{
    void *(*next_new)(size_t);
    void *block = malloc(bytes == 0 ? 1 : bytes); /* as libstdc++ does: never NULL for no bytes */
    if (block != NULL)
        return block;
    *(void **)&next_new = operator_next("_Znwm");
    return noted_if_new(next_new(bytes), bytes, 0);
}

void _ZdlPv(void *block)
{
    free(block);
}

void *_ZnwmSt11align_val_t(size_t bytes, size_t align)
{
    void *(*next_new)(size_t, size_t);
    /* as libstdc++ does */
    void *block = aligned_alloc(align, (bytes == 0 ? align : bytes + align - 1) & -align);
    if (block != NULL)
        return block;
    *(void **)&next_new = operator_next("_ZnwmSt11align_val_t");
    return noted_if_new(next_new(bytes, align), bytes, align);
}

void _ZdlPvSt11align_val_t(void *block, size_t align)
{
    (void)align;
    free(block);
}
