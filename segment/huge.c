/*
 * huge: what backs segments.
 *
 *   hak_huge_back → back_from_pool → segments_map     pages of the pool, as many as there are
 *                 → back_ordinary                     the rest
 *   segments_map  → room_hold                         first the room for copies, then the pages
 */
#include "segment/huge.h"

#include <string.h>

#include "segment/os.h"
#include "segment/segment.h"

/* After the pool had nothing it is not asked again for so long. */
#define SHORT_MS 1000
/* A fork waits so long for room, in naps of hak_os_yield(). */
#define WAIT_MS 50

static struct hak_huge_config config; /* [const after init] */

static _Atomic(size_t) counts[HAK_BACKINGS]; /* [any, atomic] segments; of SMALL, less all */
static _Atomic(uint64_t) short_until_ms;     /* [who grows, atomic] */
static _Atomic(uint32_t) said;               /* [any, atomic] messages that were written */

/* What follows belongs to whose turn it is, see hak_arena_turn_begin(). */
static bool lost;      /* the arena's next place is not mapped: it grows no more */
static size_t sharers; /* children of earlier forks that may still share pages */
/* Room for copies: as many pages as are mapped, reserved and not used. */
static struct {
    void *start; /* NULL: none */
    size_t bytes;
} room;

static void count_move(enum hak_backing from, enum hak_backing to, size_t segments)
{
    /* relaxed: figures; unsigned wrap-around subtracts. */
    (void)atomic_fetch_add_explicit(&counts[from], 0 - segments, memory_order_relaxed);
    /* relaxed: the same. */
    (void)atomic_fetch_add_explicit(&counts[to], segments, memory_order_relaxed);
}

static void say_once(uint32_t bit, const char *text)
{
    /* relaxed: whoever sets it first writes. */
    uint32_t before = atomic_fetch_or_explicit(&said, bit, memory_order_relaxed);
    if ((before & bit) == 0) {
        hak_os_write_error(text, strlen(text));
    }
}

enum { SAID_FALLBACK = 1, SAID_FORK = 2 };

void hak_huge_init(const struct hak_huge_config *wanted)
{
    config = *wanted;
}

static bool pool_is_wanted(void)
{
    return config.mode == HAK_HUGE_HUGETLB || config.mode == HAK_HUGE_AUTO;
}

enum hak_backing hak_huge_goal(size_t segment_idx, size_t *border)
{
    *border = SIZE_MAX;
    if (config.mode == HAK_HUGE_OFF) {
        return HAK_BACKED_SMALL;
    }
    if (segment_idx < config.reserve_segments) {
        *border = config.reserve_segments;
        return HAK_BACKED_HUGETLB;
    }
    if (segment_idx < config.threshold_segments) {
        *border = config.threshold_segments;
        return HAK_BACKED_SMALL;
    }
    return pool_is_wanted() ? HAK_BACKED_HUGETLB : HAK_BACKED_THP;
}

enum hak_backing hak_segment_backing(size_t segment_idx)
{
    /* relaxed: set before the segment is handed out, and by who holds all of its slots. */
    return (enum hak_backing)atomic_load_explicit(&hak_arena.segments[segment_idx].backing,
                                                  memory_order_relaxed);
}

static void backing_set(size_t from, size_t to, enum hak_backing backing)
{
    for (size_t i = from; i < to; i++) {
        /* relaxed: see hak_segment_backing(). */
        enum hak_backing before = (enum hak_backing)atomic_exchange_explicit(
            &hak_arena.segments[i].backing, (uint32_t)backing, memory_order_relaxed);
        if (before != backing) {
            count_move(before, backing, 1);
        }
    }
}

size_t hak_huge_count(enum hak_backing backing)
{
    /* relaxed: a figure. */
    size_t segments = atomic_load_explicit(&counts[backing], memory_order_relaxed);
    return backing == HAK_BACKED_SMALL ? hak_arena_committed() + segments : segments;
}

bool hak_pages_pooled(size_t page_idx, size_t count)
{
    /* relaxed: whose pages these are knows of their segments. */
    if (atomic_load_explicit(&counts[HAK_BACKED_HUGETLB], memory_order_relaxed) == 0) {
        return false;
    }
    size_t last = (page_idx + count - 1) / HAK_SEGMENT_PAGES;
    for (size_t i = page_idx / HAK_SEGMENT_PAGES; i <= last; i++) {
        if (hak_segment_backing(i) == HAK_BACKED_HUGETLB) {
            return true;
        }
    }
    return false;
}

bool hak_pages_alike(size_t page_idx, size_t count)
{
    if (config.mode == HAK_HUGE_OFF) {
        return true;
    }
    size_t first = page_idx / HAK_SEGMENT_PAGES;
    size_t last = (page_idx + count - 1) / HAK_SEGMENT_PAGES;
    enum hak_backing backing = hak_segment_backing(first);
    for (size_t i = first + 1; i <= last; i++) {
        if (hak_segment_backing(i) != backing) {
            return false;
        }
    }
    return backing != HAK_BACKED_HUGETLB;
}

/* ---- room for copies ------------------------------------------------------------------------ */

static size_t pooled_bytes(void)
{
    return hak_huge_count(HAK_BACKED_HUGETLB) * HAK_SEGMENT_BYTES;
}

static void room_drop(void)
{
    if (room.start != NULL) {
        hak_os_unreserve(room.start, room.bytes);
        room.start = NULL;
    }
}

static bool room_take(size_t bytes)
{
    room.start = bytes == 0 ? NULL : hak_os_huge_hold(bytes, config.mount);
    room.bytes = bytes;
    return room.start != NULL;
}

/* Pages that children of earlier forks may still ask for. */
static size_t sharers_bytes(void)
{
    if (sharers != 0 && hak_os_huge_shared_bytes() == 0) {
        sharers = 0;
    }
    return sharers * pooled_bytes();
}

/* Room for what is mapped and `more`, beside `more` itself. False: as it was. */
static bool room_hold(size_t more)
{
    size_t mapped = pooled_bytes();
    if (!config.fork_safe) {
        return true;
    }
    room_drop();
    size_t owed = sharers_bytes();
    if ((owed == 0 || hak_os_huge_free_bytes() >= owed + mapped + 2 * more) &&
        room_take(mapped + more)) {
        return true;
    }
    if (owed == 0) {
        (void)room_take(mapped);
    }
    return false;
}

/* ---- backing -------------------------------------------------------------------------------- */

static char *segment_start(size_t segment_idx)
{
    return hak_arena.base + segment_idx * HAK_SEGMENT_BYTES;
}

static bool back_ordinary(size_t from, size_t to)
{
    size_t bytes = (to - from) * HAK_SEGMENT_BYTES;
    if (!hak_os_commit(segment_start(from), bytes)) {
        return false;
    }
    if (hak_os_huge_advise(segment_start(from), bytes)) {
        backing_set(from, to, HAK_BACKED_THP);
    }
    return true;
}

static enum hak_os_backing segments_map(size_t at, size_t count)
{
    size_t bytes = count * HAK_SEGMENT_BYTES;
    if (!room_hold(bytes)) {
        return HAK_OS_REFUSED;
    }
    enum hak_os_backing backing = hak_os_huge_map(segment_start(at), bytes, config.mount);
    if (backing == HAK_OS_BACKED) {
        backing_set(at, at + count, HAK_BACKED_HUGETLB);
    } else {
        (void)room_hold(0);
    }
    return backing;
}

/* As many segments from `from` on as the pool has pages for. */
static size_t back_from_pool(size_t from, size_t to)
{
    size_t at = from;
    size_t batch = to - from;
    while (at < to && batch > 0) {
        batch = hak_min(batch, to - at);
        enum hak_os_backing backing = segments_map(at, batch);
        if (backing == HAK_OS_LOST) {
            lost = true;
            return at;
        }
        if (backing == HAK_OS_BACKED) {
            at += batch;
        } else {
            batch /= 2;
        }
    }
    if (at < to) {
        /* relaxed: a time. */
        atomic_store_explicit(&short_until_ms, hak_os_now_ms() + SHORT_MS, memory_order_relaxed);
        /* A short reserve is told of by who asked for it. */
        bool expected = config.mode == HAK_HUGE_HUGETLB && from >= config.reserve_segments;
        if (expected || (config.mode == HAK_HUGE_AUTO && at > from)) {
            say_once(SAID_FALLBACK, "hakmem: no more huge pages can be had from the pool, going on "
                                    "with other pages (hakmem doctor says why)\n");
        }
    }
    return at;
}

bool hak_huge_is_short(void)
{
    /* relaxed: a time. */
    return hak_os_now_ms() < atomic_load_explicit(&short_until_ms, memory_order_relaxed);
}

size_t hak_huge_back(size_t from, size_t to, enum hak_backing goal)
{
    if (goal == HAK_BACKED_SMALL) {
        return hak_os_commit(segment_start(from), (to - from) * HAK_SEGMENT_BYTES) ? to : from;
    }
    size_t at = from;
    if (goal == HAK_BACKED_HUGETLB) {
        at = lost || hak_huge_is_short() ? from : back_from_pool(from, to);
        if (lost) {
            return at;
        }
    }
    return at == to || back_ordinary(at, to) ? to : at;
}

bool hak_huge_release(size_t segment_idx)
{
    if (!hak_os_renew(segment_start(segment_idx), HAK_SEGMENT_BYTES)) {
        return false;
    }
    backing_set(segment_idx, segment_idx + 1, HAK_BACKED_SMALL);
    return true;
}

/* ---- fork ----------------------------------------------------------------------------------- */

static bool fork_has_room(void)
{
    return hak_os_huge_free_bytes() >= pooled_bytes() + sharers_bytes();
}

void hak_huge_fork_prepare(void)
{
    if (pooled_bytes() == 0) {
        return;
    }
    hak_arena_turn_begin();
    room_drop();
    uint64_t start_ms = hak_os_now_ms();
    while (config.fork_safe && !fork_has_room() && hak_os_now_ms() - start_ms < WAIT_MS) {
        hak_os_yield();
    }
    if (!fork_has_room()) {
        say_once(SAID_FORK, "hakmem: fork without free huge pages for what the child may write: it "
                            "may end by SIGBUS (hakmem doctor says more)\n");
    }
    sharers++;
    hak_arena_turn_end();
}

void hak_huge_fork_child(void)
{
    room_drop(); /* another thread may have taken it again; the mapping is here, its pages are not
                  */
}
