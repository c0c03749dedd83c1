/*
 * huge: which pages back a segment, and the pool of huge pages.
 *
 * Purpose   A TLB entry for 2 MiB in place of 4 KiB. A segment is backed by the kernel's own pages,
 *           by transparent huge pages (THP), or by pages of the pool (hugetlb), which are asked for
 *           in this order backwards: what the pool does not have is THP, what THP does not give is
 *           4 KiB. Each step down is counted, and the first said on standard error.
 *           A touch that the pool cannot serve is a SIGBUS. So no segment of it is handed out
 *           before every page of it is there, it goes back as a whole, and a fork finds room for
 *           copies: see hak_huge_fork_prepare().
 * Owner     the process. Only the commit at the arena's end and the purge of a whole segment change
 *           what backs it.
 * Threads   any. One at a time maps pages of the pool: see arena.c.
 * Source    Documentation/admin-guide/mm/hugetlbpage.rst, transhuge.rst; man 2 madvise.
 */
#ifndef HAK_HUGE_H
#define HAK_HUGE_H

#include "segment/arena.h"
#include "segment/os.h"

enum hak_huge_mode {
    HAK_HUGE_OFF,
    HAK_HUGE_THP,
    HAK_HUGE_HUGETLB, /* and THP where the pool has nothing */
    HAK_HUGE_AUTO,    /* the same if the pool has pages when the heap grows above the threshold */
    HAK_HUGE_MODES,
};

enum hak_backing {
    HAK_BACKED_SMALL,
    HAK_BACKED_THP,      /* asked for; smaps says what the kernel gave */
    HAK_BACKED_HUGETLB,  /* a page of the pool */
    HAK_BACKED_GIGANTIC, /* a part of a page of 1 GiB, which never goes back */
    HAK_BACKINGS,
};

struct hak_huge_config {
    enum hak_huge_mode mode;
    size_t threshold_segments; /* of a heap, below which it has pages of the kernel's own size */
    size_t reserve_segments;   /* the arena's first, which are of the pool whatever the threshold */
    const char *mount;         /* of a hugetlbfs; NULL: anonymous pages of the pool */
    bool fork_safe;            /* as many pages as are mapped are kept free for a child's copies */
};

/* Called once, before the arena commits anything. */
void hak_huge_init(const struct hak_huge_config *config);

/*
 * Keeps transparent huge pages out of the segments from `from` to `to` that lie below the
 * threshold. Where the system gives them unasked (`enabled` is `always`), a program that touches
 * one page of each of ten segments would take 20 MiB. Mappings merge only if all of them say the
 * same: for the reservation, and for what is mapped anew in it.
 */
void hak_huge_forbid(size_t from, size_t to);

/* Segments of a reserve that are populated with ordinary pages, or THP, at most: half of the
 * physical memory. More would not be refused; the kernel would end some process. */
static inline size_t hak_huge_populate_max(void)
{
    return hak_os_physical_bytes() / 2 / HAK_SEGMENT_BYTES;
}

/* What a segment that is committed next should be backed by; the same for all of them from it up to
 * `*border`, which it does not reach. */
enum hak_backing hak_huge_goal(size_t segment_idx, size_t *border);

/* Backs segments from `from` up to `to`, of one goal, which nobody has yet. Returns up to where
 * that was done: `from` when memory is out. For goal HUGETLB, called by one thread at a time. */
size_t hak_huge_back(size_t from, size_t to, enum hak_backing goal);

/* What backs a segment now, and how many there are of a kind. */
enum hak_backing hak_segment_backing(size_t segment_idx);
size_t hak_huge_count(enum hak_backing backing);

/* Whether some of these pages lie in segments of the pool; and whether all of them lie in segments
 * of one kind, and not of the pool: then no mapping ends between them because of what is here. */
bool hak_pages_pooled(size_t page_idx, size_t count);
bool hak_pages_alike(size_t page_idx, size_t count);

/* Gives a segment of HAK_BACKED_HUGETLB back, all of whose slots the caller holds: it has pages of
 * the kernel's own size then, and reads as zero. False: the range may be unmapped, and nobody may
 * have it any more. */
bool hak_huge_release(size_t segment_idx);

/* After a turn: room that is held for what was given back meanwhile is given back too. */
void hak_huge_settle(void);

/* Bytes of segments of HAK_BACKED_HUGETLB that are free: kept, so that the pool does not run dry in
 * between, until a trim or until it has. */
size_t hak_huge_pinned_bytes(void);

/* Segments of the pool that lie on another node than the thread's that first needed them. */
size_t hak_huge_spilled(void);

/* Whether the pool has nothing left, so that what is free here is better given back. */
bool hak_huge_is_short(void);

/*
 * For the modes that take pages of the pool. Before a fork: parent and child share every page, and
 * who writes first takes a copy out of the pool. What was held for that is let go, and if it does
 * not suffice, some time is waited for other children to end; then a warning is written, once.
 * Until the parent's call, who grows leaves room for the child that is to come. In the child: what
 * the parent did is forgotten.
 */
void hak_huge_fork_prepare(void);
void hak_huge_fork_parent(void);
void hak_huge_fork_child(void);

#endif
