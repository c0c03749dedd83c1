/*
 * prof_dump: writes the profile.
 *
 * The form is the text that gperftools writes, which `go tool pprof` opens as it is: a line a stack
 * with estimates, and then the mappings, by which `hakmem prof` finds names without the process.
 * No lock is taken and nothing is allocated, so a signal handler may do it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "front/observe/out.h"
#include "front/options.h"
#include "front/profile/inside.h"
#include "segment/os.h"

#define NAME_BYTES 512
#define NAME_TRIES 1000 /* files that an earlier process of this number may have left */
#define POLL_MS 250

static const char *name_start = "hakmem-prof"; /* [const after start] */
static const char *when;                       /* [const after start] NULL: nothing is waited for */
static _Atomic(pid_t) writer;                  /* [any, atomic] the process that is at it, or 0 */
static _Atomic(uint64_t) due_ms;               /* [any, atomic] when to look for `when` again */
static _Atomic(uint32_t) dumps;                /* [any, atomic] numbers given to files */

struct figures {
    uint64_t live_bytes, live_objects, taken_bytes, taken_objects;
};

static uint64_t figure(const _Atomic(uint64_t) *value)
{
    /* relaxed: a figure. */
    return atomic_load_explicit(value, memory_order_relaxed);
}

static uint64_t whole_objects(uint64_t parts)
{
    return parts == 0 ? 0 : hak_max((parts + HAK_PROF_OBJECT / 2) / HAK_PROF_OBJECT, 1);
}

static struct figures site_figures(const struct hak_prof_site *site)
{
    uint64_t freed_bytes = figure(&site->freed_bytes);
    uint64_t freed_objects = figure(&site->freed_objects);
    uint64_t taken_bytes = figure(&site->taken_bytes);
    uint64_t taken_objects = figure(&site->taken_objects);
    return (struct figures){
        .live_bytes = taken_bytes - hak_min(freed_bytes, taken_bytes),
        .live_objects = whole_objects(taken_objects - hak_min(freed_objects, taken_objects)),
        .taken_bytes = taken_bytes,
        .taken_objects = whole_objects(taken_objects),
    };
}

static struct figures all_figures(void)
{
    struct figures all = {0};
    const struct hak_prof_site *site = NULL;
    while ((site = hak_prof_site_after(site)) != NULL) {
        struct figures one = site_figures(site);
        all.live_bytes += one.live_bytes;
        all.live_objects += one.live_objects;
        all.taken_bytes += one.taken_bytes;
        all.taken_objects += one.taken_objects;
    }
    return all;
}

/* ---- the file ---- */

static void file_write(void *to, const char *text, size_t bytes)
{
    ssize_t written = 1;
    for (; bytes > 0 && written > 0; text += written, bytes -= (size_t)written) {
        written = (ssize_t)syscall(SYS_write, *(const int *)to, text, bytes);
        written = written < 0 ? 0 : written; /* a full disk cuts the file */
    }
}

static int file_open(char name[NAME_BYTES])
{
    for (unsigned i = 0; i < NAME_TRIES; i++) {
        /* relaxed: a number that nobody else gets. */
        uint32_t number = atomic_fetch_add_explicit(&dumps, 1, memory_order_relaxed);
        (void)snprintf(name, NAME_BYTES, "%s.%d.%u.heap", name_start, getpid(), number);
        int file = (int)syscall(SYS_openat, AT_FDCWD, name,
                                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (file >= 0 || errno != EEXIST) {
            return file;
        }
    }
    return -1;
}

static void figures_write(struct hak_out *out, const char *before, struct figures all)
{
    hak_out(out, "%s%" PRIu64 ": %" PRIu64 " [%" PRIu64 ": %" PRIu64 "] @", before,
            all.live_objects, all.live_bytes, all.taken_objects, all.taken_bytes);
}

static void sites_write(struct hak_out *out)
{
    figures_write(out, "heap profile: ", all_figures());
    hak_out(out, " heapprofile\n# hakmem: %s, process %d, a sample each %" PRIu64 " bytes\n",
            program_invocation_short_name, getpid(), hak_options.prof_bytes);
    const struct hak_prof_site *site = NULL;
    while ((site = hak_prof_site_after(site)) != NULL) {
        struct figures one = site_figures(site);
        if (one.taken_objects != 0) {
            figures_write(out, "", one);
            for (size_t i = 0; i < site->count; i++) {
                hak_out(out, " 0x%" PRIxPTR, site->callers[i]);
            }
            hak_out(out, "\n");
        }
    }
    hak_out(out, "\nMAPPED_LIBRARIES:\n");
    hak_out_end(out);
}

static void maps_write(int to)
{
    char text[1024];
    int from = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
    ssize_t bytes = from < 0 ? 0 : 1;
    while (bytes > 0 && (bytes = (ssize_t)syscall(SYS_read, from, text, sizeof text)) > 0) {
        file_write(&to, text, (size_t)bytes);
    }
    if (from >= 0) {
        (void)syscall(SYS_close, from);
    }
}

/* False: somebody else is at it, or there can be no file, which is said. */
static bool dump(char name[NAME_BYTES])
{
    pid_t self = getpid(), other = 0;
    /* acquire, release below: one dump after the other. What a parent began is nothing here. */
    if (!atomic_compare_exchange_strong_explicit(&writer, &other, self, memory_order_acquire,
                                                 memory_order_relaxed) &&
        (other == self || !atomic_compare_exchange_strong_explicit(
                              &writer, &other, self, memory_order_acquire, memory_order_relaxed))) {
        return false;
    }
    int saved = errno;
    int file = file_open(name);
    if (file >= 0) {
        struct hak_out out = {.write = file_write, .to = &file};
        sites_write(&out);
        maps_write(file);
        (void)syscall(SYS_close, file);
    } else {
        hak_options_say("HAKMEM_PROF_FILE", name, "cannot be written");
    }
    /* release: see above. */
    atomic_store_explicit(&writer, 0, memory_order_release);
    errno = saved;
    return file >= 0;
}

/* ---- when ---- */

static void signal_came(int number)
{
    char name[NAME_BYTES];
    (void)number;
    (void)dump(name);
}

void hak_prof_poll(void)
{
    char name[NAME_BYTES];
    uint64_t now_ms = when == NULL ? 0 : hak_os_now_ms();
    /* relaxed: a time that saves work. */
    if (when == NULL || now_ms < atomic_load_explicit(&due_ms, memory_order_relaxed)) {
        return;
    }
    /* relaxed: the same. */
    atomic_store_explicit(&due_ms, now_ms + POLL_MS, memory_order_relaxed);
    int saved = errno;
    if (syscall(SYS_unlinkat, AT_FDCWD, when, 0) == 0) { /* of several who look, one takes it */
        (void)dump(name);
    }
    errno = saved;
}

void hak_prof_dump_start(void)
{
    const char *given = secure_getenv("HAKMEM_PROF_FILE");
    struct sigaction action = {.sa_handler = signal_came, .sa_flags = SA_RESTART};
    name_start = given != NULL && given[0] != '\0' ? given : name_start;
    when = secure_getenv("HAKMEM_PROF_WHEN");
    if (hak_options.prof_signal != 0 &&
        sigaction((int)hak_options.prof_signal, &action, NULL) != 0) {
        hak_options_say_fault("HAKMEM_PROF_SIGNAL", "no such signal can be had", "none");
    }
}

__attribute__((destructor)) static void prof_ends(void)
{
    char name[NAME_BYTES];
    struct figures all = all_figures();
    if (!hak_prof_is_on() || !dump(name) || hak_options.prof_leaks == 0 || all.live_bytes == 0) {
        return;
    }
    struct hak_out out = {.write = hak_out_error};
    hak_out(&out,
            "hakmem: %s: about %" PRIu64 " bytes in %" PRIu64 " blocks were not freed; "
            "hakmem prof --leaks %s says where\n",
            program_invocation_short_name, all.live_bytes, all.live_objects, name);
    hak_out_end(&out);
}
