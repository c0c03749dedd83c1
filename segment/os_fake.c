/*
 * os for tests: a kernel that does as it is told; see os_fake.h.
 *
 *   every call → call_on → hak_fake_begin    counts it, and says whether it is to fail
 *                          looks at its arguments
 *              → real memory, on kernel pages of the size that there are
 */
#include "segment/os_fake_huge.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "segment/count.h"
#include "segment/os.h"
#include "segment/os_fake_map.h"

#define RESERVATIONS_MAX 8

/* [one thread, while the library starts; others read what they got an address of] */
struct reservation {
    uintptr_t start;
    size_t bytes; /* 0: not in use */
};

/* [set by the test while one thread runs] */
static struct {
    bool awake;
    size_t os_page_bytes;
    size_t physical_bytes, address_limit_bytes, reserve_max_bytes, memory_allowed_bytes;
    enum hak_fake_call fail_call;
    size_t fail_from, fail_times; /* by the count of calls of that kind; 0 times: none fails */
} kernel = {
    .os_page_bytes = 4096,
    .physical_bytes = 16 * HAK_GIB,
    .address_limit_bytes = SIZE_MAX,
    .reserve_max_bytes = SIZE_MAX,
    .memory_allowed_bytes = SIZE_MAX,
};

static struct reservation reservations[RESERVATIONS_MAX];
static _Atomic(size_t) counts[HAK_FAKE_CALLS];   /* [any, atomic] */
static _Atomic(size_t) failures[HAK_FAKE_CALLS]; /* [any, atomic] */
static _Atomic(size_t) mistakes;                 /* [any, atomic] */
static _Atomic(uint64_t) clock_ms = 1000;        /* [any, atomic] */

static const char *const call_names[HAK_FAKE_CALLS] = {
    "reserve",   "commit",   "purge",     "renew",       "move",     "barrier", "any",
    "unreserve", "huge_map", "huge_hold", "huge_advise", "populate", "hide",    "wipe",
};

/* ---- what the test says and asks ------------------------------------------------------------ */

void hak_fake_wake(size_t os_page_bytes)
{
    kernel.os_page_bytes = os_page_bytes;
    kernel.awake = true;
    for (size_t i = 0; i < HAK_FAKE_CALLS; i++) {
        /* relaxed: figures. */
        atomic_store_explicit(&counts[i], 0, memory_order_relaxed);
    }
}

void hak_fake_set_machine(size_t physical_bytes, size_t address_limit_bytes)
{
    kernel.physical_bytes = physical_bytes;
    kernel.address_limit_bytes = address_limit_bytes;
}

void hak_fake_set_reserve_max(size_t bytes)
{
    kernel.reserve_max_bytes = bytes;
}

void hak_fake_set_memory_allowed(size_t bytes)
{
    kernel.memory_allowed_bytes = bytes;
}

void hak_fake_advance_ms(uint64_t ms)
{
    /* relaxed: a clock orders nothing. */
    (void)atomic_fetch_add_explicit(&clock_ms, ms, memory_order_relaxed);
}

static void (*at_barrier)(void); /* [set by the test while one thread runs] */
static void (*at_yield)(void);   /* [set by the test while one thread runs] */
bool hak_fake_purge_keeps;

void hak_fake_at_barrier(void (*step)(void))
{
    at_barrier = step;
}

void hak_fake_at_yield(void (*step)(void))
{
    at_yield = step;
}

size_t hak_fake_count(enum hak_fake_call call)
{
    return hak_figure(&counts[call]);
}

void hak_fake_fail(enum hak_fake_call call, size_t at, size_t times)
{
    kernel.fail_call = call;
    kernel.fail_from = hak_fake_count(call) + at;
    kernel.fail_times = times;
}

void hak_fake_heal(void)
{
    kernel.fail_times = 0;
}

size_t hak_fake_failures(enum hak_fake_call call)
{
    return hak_figure(&failures[call]);
}

size_t hak_fake_mistakes(void)
{
    return hak_figure(&mistakes);
}

size_t hak_fake_reserved_bytes(void)
{
    size_t bytes = 0;
    for (size_t i = 0; i < RESERVATIONS_MAX; i++) {
        bytes += reservations[i].bytes;
    }
    return bytes;
}

/* ---- every call ----------------------------------------------------------------------------- */

bool hak_fake_begin(enum hak_fake_call call)
{
    /* relaxed: figures. */
    size_t number = atomic_fetch_add_explicit(&counts[call], 1, memory_order_relaxed) + 1;
    size_t any = atomic_fetch_add_explicit(&counts[HAK_FAKE_ANY], 1, memory_order_relaxed) + 1;
    if (kernel.fail_call == HAK_FAKE_ANY) {
        number = any;
    } else if (kernel.fail_call != call) {
        return false;
    }
    if (number < kernel.fail_from || number - kernel.fail_from >= kernel.fail_times) {
        return false;
    }
    hak_figure_add(&failures[call], 1);
    hak_figure_add(&failures[HAK_FAKE_ANY], 1);
    return true;
}

void hak_fake_mistake(enum hak_fake_call call, const char *what)
{
    const char *parts[] = {"os_fake: ", call_names[call], ": ", what, "\n"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        hak_os_write_error(parts[i], strlen(parts[i]));
    }
    hak_figure_add(&mistakes, 1);
}

static bool is_multiple(size_t value)
{
    return value % kernel.os_page_bytes == 0;
}

uintptr_t hak_fake_reservation(uintptr_t start, size_t bytes)
{
    for (size_t i = 0; i < RESERVATIONS_MAX; i++) {
        const struct reservation *at = &reservations[i];
        if (start >= at->start && bytes <= at->bytes && start - at->start <= at->bytes - bytes) {
            return at->start;
        }
    }
    return 0;
}

enum answer { SERVED, FAILS, MISTAKE };

/* Counts a call on a range, and looks at it. */
static enum answer call_on(enum hak_fake_call call, const void *start, size_t bytes)
{
    bool fails = hak_fake_begin(call);
    if (!is_multiple((uintptr_t)start) || !is_multiple(bytes) || bytes == 0) {
        hak_fake_mistake(call, "no multiple of the kernel's page");
        return MISTAKE;
    }
    if (hak_fake_reservation((uintptr_t)start, bytes) == 0) {
        hak_fake_mistake(call, "outside of what is reserved");
        return MISTAKE;
    }
    enum hak_fake_touch touch = hak_fake_huge_touch(start, bytes);
    bool by_whole_pages = call == HAK_FAKE_COMMIT || call == HAK_FAKE_RENEW;
    if (touch == HAK_FAKE_TOUCHES_HOLE) {
        hak_fake_mistake(call, "where nothing is mapped");
        return MISTAKE;
    }
    if (touch == HAK_FAKE_TOUCHES_PART || (touch == HAK_FAKE_TOUCHES_WHOLE && !by_whole_pages)) {
        hak_fake_mistake(call, "on pages of the pool, or on a part of one");
        return MISTAKE;
    }
    return fails ? FAILS : SERVED;
}

/* What a kernel may leave behind that unmaps before it finds that it cannot map. */
void hak_fake_unmap(void *start, size_t bytes)
{
    int saved = errno;
    (void)mmap(start, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
               0);
    errno = saved;
}

/* Changes the first entry that is { start, bytes } to { new_start, new_bytes }. */
static bool reservation_change(uintptr_t start, size_t bytes, uintptr_t new_start, size_t new_bytes)
{
    for (size_t i = 0; i < RESERVATIONS_MAX; i++) {
        if (reservations[i].start == start && reservations[i].bytes == bytes) {
            reservations[i].start = new_start;
            reservations[i].bytes = new_bytes;
            return true;
        }
    }
    return false;
}

/* ---- os.h ----------------------------------------------------------------------------------- */

size_t hak_os_page_bytes(void)
{
    return kernel.os_page_bytes;
}

void *hak_os_reserve(size_t bytes, size_t alignment)
{
    bool fails = hak_fake_begin(HAK_FAKE_RESERVE);
    if (!is_multiple(bytes) || !is_multiple(alignment) || !hak_is_power_of_two(alignment)) {
        hak_fake_mistake(HAK_FAKE_RESERVE, "no multiple of the kernel's page");
    }
    size_t limit = hak_min(kernel.address_limit_bytes, kernel.reserve_max_bytes);
    size_t reserved = hak_fake_reserved_bytes();
    /* While it aligns, a kernel has the slack mapped too. */
    if (fails || !kernel.awake || bytes > SIZE_MAX - alignment || reserved > limit ||
        bytes + alignment > limit - reserved) {
        return NULL;
    }
    int saved = errno;
    char *start = mmap(NULL, bytes + alignment, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) {
        errno = saved;
        return NULL;
    }
    size_t head_bytes = hak_align_up((uintptr_t)start, alignment) - (uintptr_t)start;
    (void)munmap(start, head_bytes); /* refused if there is nothing */
    (void)munmap(start + head_bytes + bytes, alignment - head_bytes);
    errno = saved;
    start += head_bytes;
    HAK_CHECK(reservation_change(0, 0, (uintptr_t)start, bytes), "os_fake: too many reservations");
    return start;
}

void hak_os_unreserve(void *start, size_t bytes)
{
    hak_figure_add(&counts[HAK_FAKE_UNRESERVE], 1);
    if (hak_fake_huge_unhold(start, bytes)) {
        return;
    }
    if (!reservation_change((uintptr_t)start, bytes, 0, 0)) {
        hak_fake_mistake(HAK_FAKE_UNRESERVE, "not a whole reservation");
        return;
    }
    int saved = errno;
    (void)munmap(start, bytes);
    errno = saved;
}

static bool protect(enum hak_fake_call call, void *start, size_t bytes, int access)
{
    if (call_on(call, start, bytes) != SERVED) {
        return false;
    }
    int saved = errno;
    bool done = mprotect(start, bytes, access) == 0;
    errno = saved;
    return done;
}

bool hak_os_commit(void *start, size_t bytes)
{
    return protect(HAK_FAKE_COMMIT, start, bytes, PROT_READ | PROT_WRITE);
}

bool hak_os_hide(void *start, size_t bytes)
{
    return protect(HAK_FAKE_HIDE, start, bytes, PROT_NONE);
}

bool hak_os_purge(void *start, size_t bytes)
{
    enum answer answer = call_on(HAK_FAKE_PURGE, start, bytes);
    if (answer != SERVED) {
        if (answer == FAILS && !hak_fake_purge_keeps) {
            memset(start, 0xa5, hak_min(bytes, 256));
        }
        return false;
    }
    int saved = errno;
    bool done = madvise(start, bytes, MADV_DONTNEED) == 0;
    errno = saved;
    return done;
}

bool hak_os_wipe_in_child(void *start, size_t bytes)
{
    return call_on(HAK_FAKE_WIPE, start, bytes) == SERVED &&
           madvise(start, bytes, MADV_WIPEONFORK) == 0;
}

bool hak_os_renew(void *start, size_t bytes)
{
    enum answer answer = call_on(HAK_FAKE_RENEW, start, bytes);
    if (answer != SERVED) {
        if (answer == FAILS) {
            hak_fake_huge_gone(start, bytes, true);
            hak_fake_unmap(start, bytes);
        }
        return false;
    }
    hak_fake_huge_gone(start, bytes, false);
    hak_fake_map_renewed(hak_fake_reservation((uintptr_t)start, bytes), start, bytes);
    int saved = errno;
    void *result = mmap(start, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    errno = saved;
    return result == start;
}

/* A copy, with the same result as mremap(): so it works on every kernel below. */
enum hak_os_moved hak_os_move(void *from, void *to, size_t bytes)
{
    enum answer answer = call_on(HAK_FAKE_MOVE, from, bytes);
    uintptr_t base = hak_fake_reservation((uintptr_t)to, bytes);
    const char *mistake = hak_fake_map_is_one(base, from, bytes) ? NULL : "of several mappings";
    if (!is_multiple((uintptr_t)to) || base == 0 ||
        ((uintptr_t)from < (uintptr_t)to + bytes && (uintptr_t)to < (uintptr_t)from + bytes)) {
        mistake = "not to a place of its own";
    } else if (hak_fake_huge_touch(to, bytes) != HAK_FAKE_TOUCHES_NONE) {
        mistake = "to pages of the pool";
    }
    if (mistake != NULL) {
        hak_fake_mistake(HAK_FAKE_MOVE, mistake);
        answer = MISTAKE;
    }
    if (answer != SERVED) {
        if (answer == FAILS) {
            hak_fake_unmap(to, bytes);
        }
        return hak_os_renew(to, bytes) ? HAK_OS_KEPT : HAK_OS_HOLE;
    }
    int saved = errno;
    memcpy(to, from, bytes);
    hak_fake_map_moved(base, from, to, bytes);
    bool done = madvise(from, bytes, MADV_DONTNEED) == 0;
    errno = saved;
    return done ? HAK_OS_MOVED : HAK_OS_KEPT;
}

uint64_t hak_os_now_ms(void)
{
    /* relaxed: a clock orders nothing. */
    return atomic_load_explicit(&clock_ms, memory_order_relaxed);
}

size_t hak_os_physical_bytes(void)
{
    return kernel.physical_bytes;
}

size_t hak_os_address_limit_bytes(void)
{
    return kernel.address_limit_bytes;
}

size_t hak_os_memory_allowed_bytes(void)
{
    return kernel.memory_allowed_bytes;
}

size_t hak_os_file_read(const char *path, char *text, size_t capacity)
{
    (void)path;
    (void)capacity;
    text[0] = '\0';
    return SIZE_MAX; /* there are no files here */
}

void hak_os_barrier_prepare(void)
{
    int saved = errno;
    (void)syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
    errno = saved;
}

/* The kernel's own, so that programs of several threads may run on this file. */
bool hak_os_barrier_all(void)
{
    if (at_barrier != NULL) {
        void (*step)(void) = at_barrier;
        at_barrier = NULL;
        step();
    }
    if (hak_fake_begin(HAK_FAKE_BARRIER)) {
        return false;
    }
    int saved = errno;
    bool done = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
    errno = saved;
    return done;
}

void hak_os_yield(void)
{
    if (at_yield != NULL) {
        at_yield();
    }
    int saved = errno;
    (void)sched_yield();
    errno = saved;
}

void *hak_os_share(const char *path, size_t bytes)
{
    (void)path;
    (void)bytes;
    return NULL;
}

enum hak_os_place hak_os_look(const void *address)
{
    return address != NULL ? HAK_OS_MAPPED : HAK_OS_NOTHING;
}

void hak_os_write_error(const char *text, size_t bytes)
{
    int saved = errno;
    for (ssize_t written; bytes > 0 && (written = write(STDERR_FILENO, text, bytes)) > 0;) {
        text += written;
        bytes -= (size_t)written;
    }
    errno = saved;
}
