/*
 * doctor: what `hakmem doctor` finds out about huge pages, in the order in which it does.
 *
 * Purpose   doctor_read.c and doctor_mounts.c fill struct doctor_system from files below a root
 *           directory, doctor_asked.c reads the environment, doctor_judge.c and doctor_pool.c make
 * a verdict of both, doctor_text.c and doctor_json.c print all three. Reading judges nothing;
 * judging and printing open no file. Owner     everything is built once and lives until the command
 * ends. Errors    what cannot be read is unknown, never zero.
 */
#ifndef HAK_DOCTOR_H
#define HAK_DOCTOR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DOCTOR_SCHEMA = 1, /* of the JSON; counts up when a name in it changes its meaning */
    DOCTOR_WRONG_CALL = 2,
};

/* The allocator's segment, which is what HAKMEM_HUGE_RESERVE counts. */
#define DOCTOR_SEGMENT_BYTES (UINT64_C(2) << 20)
#define DOCTOR_RESERVE_MAX (UINT64_C(1) << 20)

struct doctor_figure {
    enum { FIGURE_UNKNOWN, FIGURE_KNOWN, FIGURE_UNLIMITED } state;
    uint64_t value; /* if known */
};

enum doctor_answer { ANSWER_UNKNOWN, ANSWER_NO, ANSWER_YES };

/* ---- the system --------------------------------------------------------------------------- */

struct doctor_node_pool {
    unsigned node;
    struct doctor_figure pages, free, surplus;
};

/* The hugetlb pages of one size. To be had = free - reserved; the kernel may add surplus
 * pages while surplus < overcommit. */
struct doctor_pool {
    uint64_t page_bytes;
    bool is_default; /* the size that /proc/sys/vm/nr_hugepages is about */
    struct doctor_figure pages, free, reserved, surplus, overcommit;
    struct doctor_node_pool *nodes;
    size_t node_count;
};

/* A hugetlbfs mount. */
struct doctor_mount {
    char path[PATH_MAX];
    struct doctor_figure page_bytes;
    struct doctor_figure size_bytes;     /* its quota */
    struct doctor_figure min_size_bytes; /* reserved in the pool for this mount alone */
    struct doctor_figure free_bytes;     /* of the quota */
    bool read_only;
    enum doctor_answer writable; /* by this user */
};

/* The directory that HAKMEM_HUGETLBFS names. */
struct doctor_place {
    enum doctor_answer exists;
    char type[64];             /* of the file system that it lies on; "" unknown */
    struct doctor_mount mount; /* if that is hugetlbfs; `writable` is the directory's */
};

struct doctor_cgroup {
    struct doctor_figure version;   /* 1 or 2; unknown: no such controller was found */
    char path[PATH_MAX];            /* of the process's group, below the root directory */
    char top[PATH_MAX];             /* where the hierarchy is mounted */
    enum doctor_answer counts_huge; /* the memory limit bounds hugetlb, too */
};

/* A limit in the process's group or in one above it. */
struct doctor_limit {
    char file[PATH_MAX];
    uint64_t page_bytes; /* of the hugetlb pages that it limits; 0: it limits memory */
    struct doctor_figure limit_bytes, used_bytes;
};

struct doctor_thp_size {
    uint64_t page_bytes;
    char enabled[24];
};

/* Transparent huge pages. A word that could not be read is "". */
struct doctor_thp {
    char enabled[24], defrag[24];
    struct doctor_figure max_ptes_none, pmd_bytes;
    enum doctor_answer process; /* NO: prctl(PR_SET_THP_DISABLE), inherited by what is started */
    struct doctor_thp_size *sizes;
    size_t size_count;
};

struct doctor_system {
    const char *root; /* "" for this machine */
    char release[64];
    struct doctor_figure version; /* major * 1000 + minor */
    struct doctor_figure os_page_bytes, nodes;
    struct doctor_figure total_bytes, available_bytes, swap_bytes;
    struct doctor_figure commit_limit_bytes, committed_bytes;
    struct doctor_figure overcommit_mode, overcommit_ratio, overcommit_kb, max_map_count;
    struct doctor_figure address_space_bytes, locked_bytes; /* RLIMIT_AS, RLIMIT_MEMLOCK */
    struct doctor_pool *pools;                              /* by page size */
    size_t pool_count;
    enum doctor_answer pools_read, mounts_read;
    struct doctor_mount *mounts;
    size_t mount_count;
    struct doctor_place place;
    struct doctor_cgroup hugetlb, memory;
    struct doctor_limit *limits; /* innermost group first */
    size_t limit_count;
    struct doctor_thp thp;
};

/* ---- what the environment asks for --------------------------------------------------------- */

enum doctor_huge { HUGE_OFF, HUGE_THP, HUGE_HUGETLB, HUGE_AUTO };
extern const char *const doctor_huge_names[];

/* What the allocator does if HAKMEM_HUGE is not set. */
#define DOCTOR_HUGE_DEFAULT HUGE_OFF

/* A value that the allocator would not take. */
struct doctor_refusal {
    const char *name, *value, *legal, *used;
};

struct doctor_asked {
    enum doctor_huge huge;
    bool huge_given, reserve_given, require, fork_safe;
    uint64_t reserve_segments;
    const char *hugetlbfs; /* NULL: not given */
    struct doctor_refusal refusals[4];
    size_t refusal_count;
};

/* ---- the verdict --------------------------------------------------------------------------- */

enum doctor_backing { BACKING_UNKNOWN, BACKING_SMALL, BACKING_THP, BACKING_HUGETLB };

struct doctor_finding {
    bool problem; /* false: worth knowing */
    char *text;
    char *fix;    /* a command; NULL: none */
    bool as_root; /* the command needs root; else it belongs where the program is started */
};

struct doctor_verdict {
    enum doctor_backing first, then; /* first segments; those after them, if hugetlb runs out */
    enum doctor_answer starts;       /* NO: HAKMEM_HUGE_REQUIRE=1 ends the program before main */
    const struct doctor_pool *pool;  /* that would be drawn on; NULL: none */
    uint64_t segments_wanted;        /* from hugetlb */
    uint64_t pages_wanted, headroom_pages;
    struct doctor_figure pages_available; /* to segments and head-room together */
    struct doctor_figure segments_possible;
    struct doctor_finding *findings;
    size_t finding_count;
};

/* ---- the steps ----------------------------------------------------------------------------- */

/* The command; `arguments` are those after "doctor". Returns the exit status. */
int doctor(char **arguments);

void doctor_read(struct doctor_system *system, const char *root, const char *hugetlbfs);
void doctor_read_mounts(struct doctor_system *system, const char *hugetlbfs);
void doctor_read_asked(struct doctor_asked *asked);
void doctor_judge(const struct doctor_system *system, const struct doctor_asked *asked,
                  struct doctor_verdict *verdict);
void doctor_print_text(const struct doctor_system *system, const struct doctor_asked *asked,
                       const struct doctor_verdict *verdict);
void doctor_print_json(const struct doctor_system *system, const struct doctor_asked *asked,
                       const struct doctor_verdict *verdict);

bool doctor_has_problem(const struct doctor_verdict *verdict);

/* The array with room for one more item, which is zeroed. Ends the command if out of memory. */
void *doctor_grow(void *items, size_t count, size_t item_bytes);

#endif
