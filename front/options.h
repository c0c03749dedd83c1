/*
 * options: what the environment may choose. One table makes the struct, the parser and the texts.
 *
 * Owner     read once at start, constant after.
 * Errors    a value out of range or no number is named on standard error with its range, and the
 *           default is used.
 */
#ifndef HAK_OPTIONS_H
#define HAK_OPTIONS_H

#include "hak_base.h"

/* X(field, name, old name or NULL, default, minimum, maximum, unit, help): a number. A default
 * below the minimum means that the library chooses. A unit that starts with a digit lists the
 * values. */
#define HAK_OPTIONS(X)                                                                             \
    X(arena_gib, "HAKMEM_ARENA_GIB", NULL, 0, 1, 65536, "GiB",                                     \
      "address space to reserve, in GiB; without it four times the physical memory, rounded up "   \
      "to a power of two, 64 GiB at least, and half of a limit on address space at most")          \
    X(arena_mb_init, "HAKMEM_ARENA_MB_INIT", "HAKMEM_POOL_TLS_ARENA_MB_INIT", 2, 1, 1024, "MiB",   \
      "first step in which the arena commits memory, in MiB")                                      \
    X(arena_mb_max, "HAKMEM_ARENA_MB_MAX", "HAKMEM_POOL_TLS_ARENA_MB_MAX", 64, 1, 4096, "MiB",     \
      "largest such step, in MiB")                                                                 \
    X(arena_growth_levels, "HAKMEM_ARENA_GROWTH_LEVELS", "HAKMEM_POOL_TLS_ARENA_GROWTH_LEVELS", 8, \
      0, 16, "doublings", "how often the step doubles at most")                                    \
    X(tiny_max_class, "HAKMEM_TINY_MAX_CLASS", NULL, 7, 5, 7, "5 or 7",                            \
      "where the Tiny tier ends: 7 is 1024 bytes, 5 is 256")                                       \
    X(smallmid_enable, "HAKMEM_SMALLMID_ENABLE", NULL, 1, 0, 1, "0 or 1",                          \
      "0 gives the band up to 4 KiB to the neighbouring tiers")                                    \
    X(prewarm, "HAKMEM_PREWARM", NULL, 0, 0, 1, "0 or 1",                                          \
      "1 fills a new thread's magazines of 8 to 52 KiB before its first allocation")               \
    X(purge_decay_ms, "HAKMEM_PURGE_DECAY_MS", NULL, 100, 0, 3600000, "ms",                        \
      "how long free memory is kept before it goes back to the system, in ms")                     \
    X(purge_thread, "HAKMEM_PURGE_THREAD", NULL, 0, 0, 1, "0 or 1",                                \
      "1 starts a thread that gives memory back while the program idles")                          \
    X(huge_threshold_mb, "HAKMEM_HUGE_THRESHOLD_MB", NULL, 64, 0, 1048576, "MiB",                  \
      "size of the heap from which on it has huge pages, in MiB")                                  \
    X(huge_reserve, "HAKMEM_HUGE_RESERVE", NULL, 0, 0, 1048576, "segments of 2 MiB",               \
      "huge pages of 2 MiB that are populated at start, whatever the threshold")                   \
    X(huge_require, "HAKMEM_HUGE_REQUIRE", NULL, 0, 0, 1, "0 or 1",                                \
      "1 ends the program at start if the reserve, or one page, cannot be had; ignored in "        \
      "privileged programs")                                                                       \
    X(harden, "HAKMEM_HARDEN", NULL, 0, 0, 1, "0 or 1",                                            \
      "1 stops the program at misuse of the heap; ignored in privileged programs")                 \
    X(live, "HAKMEM_LIVE", NULL, 0, 0, 1, "0 or 1",                                                \
      "1 publishes figures in /dev/shm for `hakmem top`; ignored in privileged programs")          \
    X(prof, "HAKMEM_PROF", NULL, 0, 0, 1, "0 or 1",                                                \
      "1 profiles the heap by samples, for `hakmem prof`; ignored in privileged programs")         \
    X(prof_bytes, "HAKMEM_PROF_BYTES", NULL, 524288, 1, 1099511627776, "bytes",                    \
      "how many bytes are allocated from one sample to the next, on average")                      \
    X(prof_signal, "HAKMEM_PROF_SIGNAL", NULL, 0, 0, 64, "a signal's number",                      \
      "the signal at which a profiled program writes its profile; 0: none")                        \
    X(prof_leaks, "HAKMEM_PROF_LEAKS", NULL, 0, 0, 1, "0 or 1",                                    \
      "1 has a profiled program say at exit what it did not free")                                 \
    X(learner_interval, "HAKMEM_LEARNER_INTERVAL", NULL, 128, 1, 1000000, "pages",                 \
      "how many pages close before the learner looks at them again")                               \
    X(lock_stats, "HAKMEM_LOCK_STATS", "HAKMEM_SHARED_POOL_LOCK_STATS", 0, 0, 1, "0 or 1",         \
      "1 says at exit how often threads locked, waited or claimed again; ignored in privileged "   \
      "programs")                                                                                  \
    X(guard_report, "HAKMEM_GUARD_REPORT", NULL, 0, 0, 1000000000, "pointers",                     \
      "a report of foreign pointers at this many, and at exit if there were more; 0 for none; "    \
      "ignored in privileged programs")                                                            \
    X(guard_stats, "HAKMEM_GUARD_STATS", "HAKMEM_EXTERNAL_GUARD_STATS", 0, 0, 1, "0 or 1",         \
      "1 reports foreign pointers at exit, if there were any; ignored in privileged programs")     \
    X(guard_log, "HAKMEM_GUARD_LOG", "HAKMEM_EXTERNAL_GUARD_LOG", 0, 0, 1, "0 or 1",               \
      "1 writes a line for each foreign pointer; ignored in privileged programs")

/* X(field, name, default, words, help): one of several words, whose number is the value; the
 * default is the first. */
#define HAK_WORD_OPTIONS(X)                                                                        \
    X(huge, "HAKMEM_HUGE", 0, "off|thp|hugetlb|auto", "what large heaps are backed by")            \
    X(huge_fork, "HAKMEM_HUGE_FORK", 0, "safe|warn",                                               \
      "safe keeps as many huge pages free as are used, for what a forked child may write")         \
    X(learner, "HAKMEM_LEARNER", 0, "off|observe|on",                                              \
      "on finds a better policy while the program runs; observe only notes it")                    \
    X(prof_stacks, "HAKMEM_PROF_STACKS", 0, "tables|frames",                                       \
      "how a profile's stacks are found: by unwind tables, or by frame pointers")                  \
    X(stats, "HAKMEM_STATS", 0, "off|text|json|prometheus",                                        \
      "how the statistics are written to standard error at exit; 0 is off, 1 is text; ignored in " \
      "privileged programs")                                                                       \
    X(guard, "HAKMEM_GUARD", 0, "leak|forward|abort",                                              \
      "what free does with a foreign pointer: leaves it alone, passes it on to libc, or ends the " \
      "program; ignored in privileged programs")

/* X(name, default, range, help): what is read where it is used. */
#define HAK_TEXT_OPTIONS(X)                                                                        \
    X("HAKMEM_HUGETLBFS", "none", "a directory",                                                   \
      "hugetlbfs mount that the pages come from, for its quota; ignored in privileged programs")   \
    X("HAKMEM_LIMIT", "none", "4M to 65536G (bytes, or K, M, G), or cgroup",                       \
      "how much memory the process may have from here; beyond it NULL and ENOMEM")                 \
    X("HAKMEM_PROF_FILE", "hakmem-prof", "a file name's start",                                    \
      "what a profile is written to: .PROCESS.NUMBER.heap is appended")                            \
    X("HAKMEM_PROF_WHEN", "none", "a file",                                                        \
      "a profiled program writes its profile when this file appears, and removes it")              \
    X("HAKMEM_POLICY", "balanced", "a profile, statements, or a file with a / in its name",        \
      "which way the blocks of a size go and how many a thread keeps; a file is ignored in "       \
      "privileged programs")

struct hak_options {
#define HAK_OPTION_FIELD(field, ...) uint64_t field;
    HAK_OPTIONS(HAK_OPTION_FIELD)
    HAK_WORD_OPTIONS(HAK_OPTION_FIELD)
#undef HAK_OPTION_FIELD
    const char *hugetlbfs; /* HAKMEM_HUGETLBFS; NULL: not set, or set for a privileged program */
};

extern HAK_HIDDEN struct hak_options hak_options;

/* Reads the environment; called once at start. Allocates nothing. */
void hak_options_read(void);

/* "hakmem: NAME=TEXT is out of range RANGE, using INSTEAD" on standard error; of `instead`, what
 * comes before the first |. */
void hak_options_refuse(const char *name, const char *text, const char *range, const char *instead);

/* On standard error: "hakmem: NAME=TEXT FAULT"; "hakmem: NAME: FAULT, using INSTEAD"; and
 * "hakmem: NAME=ASKED: only GOT could be had". */
void hak_options_say(const char *name, const char *text, const char *fault);
void hak_options_say_fault(const char *name, const char *fault, const char *instead);
void hak_options_say_short(const char *name, uint64_t asked, uint64_t got);

#endif
