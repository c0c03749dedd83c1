/*
 * huge: what backs segments.
 *
 *   hak_huge_back → back_from_pool → segments_map     pages of the pool, as many as there are
 *                 → back_ordinary                     the rest
 *   segments_map  → room_hold                         first the room for copies, then the pages
 */
#include "segment/huge.h"

#include <string.h>

#include "segment/segment.h"

/* After the pool had nothing it is not asked again for so long. */
#define SHORT_MS 1000
/* A fork waits so long for room, in naps of hak_os_yield(). */
#define WAIT_MS 50
/* Reserved pages that a copy replaced go on counting as reserved, beside the next copy's. */
#define COPY_RESERVATIONS ((size_t)2)

static struct hak_huge_config config; /* [const after init] */

static _Atomic(size_t) counts[HAK_BACKINGS]; /* [any, atomic] segments; of SMALL, less all */
static _Atomic(uint32_t) said;               /* [any, atomic] messages that were written */
static _Atomic(size_t) forking;              /* [any, atomic] forks between prepare and parent */

/* The pools: 2 MiB, and 1 GiB where a reserve is that large. */
enum { POOL_2M, POOL_1G, POOLS };

static struct pool {
    struct hak_os_pool os;            /* [const after init] but its node, see near_map() */
    enum hak_backing backing;         /* [const after init] */
    _Atomic(uint64_t) short_until_ms; /* [who grows, atomic] it had nothing lately */
    /* Room for copies: as many pages as are mapped, reserved and not used. */
    void *room;        /* [whose turn it is] NULL: none */
    size_t room_bytes; /* [whose turn it is] */
} pools[POOLS];

/* What follows belongs to whose turn it is, see hak_arena_turn_try(). */
static bool lost;              /* the arena's next place is not mapped: it grows no more */
static size_t sharers;         /* relatives by forks, at least, if any still lives */
static bool forked;            /* from a process that had pages of the pool, see room_hold() */
static char *token;            /* a page that nobody writes after the first fork; NULL: none yet */
static unsigned nodes;         /* of memory; 0: not asked yet */
static uint64_t vain_until_ms; /* a fork waited for room in vain lately */

static _Atomic(size_t) spilled; /* [whose turn it is, atomic] segments on another node */
static _Atomic(bool) unsettled; /* [any, atomic] pages went back, and their room is still held */

static void say_once(uint32_t bit, const char *text)
{
    /* relaxed: whoever sets it first writes. */
    if ((atomic_fetch_or_explicit(&said, bit, memory_order_relaxed) & bit) == 0) {
        hak_os_write_error(text, strlen(text));
    }
}

enum { SAID_FALLBACK = 1, SAID_FORK = 2 };

void hak_huge_init(const struct hak_huge_config *wanted)
{
    config = *wanted;
    pools[POOL_2M].os = (struct hak_os_pool){HAK_SEGMENT_BYTES, config.mount, -1};
    pools[POOL_2M].backing = HAK_BACKED_HUGETLB;
    pools[POOL_1G].os = (struct hak_os_pool){HAK_GIB, NULL, -1};
    pools[POOL_1G].backing = HAK_BACKED_GIGANTIC;
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
    } else if (segment_idx < config.threshold_segments) {
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
        /* relaxed: figures; unsigned wrap-around subtracts. */
        (void)atomic_fetch_sub_explicit(&counts[before], 1, memory_order_relaxed);
        (void)atomic_fetch_add_explicit(&counts[backing], 1, memory_order_relaxed);
    }
}

size_t hak_huge_count(enum hak_backing backing)
{
    /* relaxed: a figure. */
    return atomic_load_explicit(&counts[backing], memory_order_relaxed) +
           (backing == HAK_BACKED_SMALL ? hak_arena_committed() : 0);
}

size_t hak_huge_pinned_bytes(void)
{
    size_t pinned = 0, end = hak_huge_count(HAK_BACKED_HUGETLB) == 0 ? 0 : hak_arena_end();
    for (size_t i = 0; i < end; i++) {
        enum hak_pool pool;
        pinned += hak_segment_backing(i) == HAK_BACKED_HUGETLB && hak_segment_taken(i, &pool) == 0;
    }
    return pinned * HAK_SEGMENT_BYTES;
}

bool hak_pages_pooled(size_t page_idx, size_t count)
{
    if (!pool_is_wanted()) {
        return false;
    }
    size_t last = (page_idx + count - 1) / HAK_SEGMENT_PAGES;
    for (size_t i = page_idx / HAK_SEGMENT_PAGES; i <= last; i++) {
        if (hak_segment_backing(i) >= HAK_BACKED_HUGETLB) {
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
    size_t i = page_idx / HAK_SEGMENT_PAGES, last = (page_idx + count - 1) / HAK_SEGMENT_PAGES;
    enum hak_backing backing = hak_segment_backing(i);
    while (++i <= last) {
        if (hak_segment_backing(i) != backing) {
            return false;
        }
    }
    return backing < HAK_BACKED_HUGETLB;
}

static char *segment_start(size_t segment_idx)
{
    return hak_arena.base + segment_idx * HAK_SEGMENT_BYTES;
}

void hak_huge_forbid(size_t from, size_t to)
{
    from = hak_max(from, config.mode == HAK_HUGE_OFF ? 0 : config.reserve_segments);
    to = hak_min(to, config.threshold_segments);
    if (from < to) {
        hak_os_huge_forbid(segment_start(from), (to - from) * HAK_SEGMENT_BYTES);
    }
}

/* ---- room for copies ------------------------------------------------------------------------ */

static size_t mapped_bytes(const struct pool *pool)
{
    return hak_huge_count(pool->backing) * HAK_SEGMENT_BYTES;
}

static void room_drop(struct pool *pool)
{
    void *room = pool->room;
    pool->room = NULL; /* first: in a child of a fork the place may be another's by then */
    if (room != NULL) {
        hak_os_unreserve(room, pool->room_bytes);
    }
}

static bool room_take(struct pool *pool, size_t bytes)
{
    pool->room = bytes == 0 ? NULL : hak_os_huge_hold(bytes, &pool->os);
    pool->room_bytes = bytes;
    return pool->room != NULL;
}

/* Before a fork. Who shares the page afterwards is a relative that lives, and has run no other
 * program: that the pages of the heap are not shared any more would say that of this process's
 * only, and two children may still share theirs. */
static void token_make(void)
{
    size_t bytes = hak_os_page_bytes();
    if (token == NULL && (token = hak_os_reserve(bytes, bytes)) != NULL) {
        if (hak_os_commit(token, bytes)) {
            hak_os_huge_forbid(token, bytes);
            *token = 1;
        } else {
            hak_os_unreserve(token, bytes);
            token = NULL;
        }
    }
}

/* What relatives may still ask this pool for. A child that is about to be shares nothing yet. */
static size_t owed_bytes(const struct pool *pool)
{
    /* acquire: pairs with the release in hak_huge_fork_parent(): the child shares the token. */
    bool settled = atomic_load_explicit(&forking, memory_order_acquire) == 0;
    if (sharers != 0 && settled && token != NULL && !hak_os_page_is_shared(token)) {
        sharers = 0;
        forked = false;
    }
    return sharers * mapped_bytes(pool);
}

/* Takes that much room if `more` and what relatives may ask for can be had beside it. Without
 * relatives the pool is not asked: it may have more than it shows (nr_overcommit_hugepages). */
static bool room_take_beside(struct pool *pool, size_t bytes, size_t more, size_t owed)
{
    size_t wanted = bytes + more + owed;
    return hak_os_huge_allowed_bytes(&pool->os, COPY_RESERVATIONS) >= wanted &&
           (owed == 0 || hak_os_huge_free_bytes(&pool->os) >= wanted) && room_take(pool, bytes);
}

/* Room for what is mapped and `more`, beside `more` itself. False: for what is mapped, if that can
 * be had. A child takes nothing while relatives live: how much they may still ask for, it does not
 * know. */
static bool room_hold(struct pool *pool, size_t more)
{
    size_t mapped = mapped_bytes(pool);
    if (!config.fork_safe) {
        return true;
    }
    room_drop(pool);
    size_t owed = owed_bytes(pool);
    if (forked && owed != 0) {
        return false;
    }
    if (room_take_beside(pool, mapped + more, more, owed)) {
        return true;
    }
    (void)room_take_beside(pool, mapped, 0, owed);
    return false;
}

/* ---- backing -------------------------------------------------------------------------------- */

static bool back_ordinary(size_t from, size_t to)
{
    size_t bytes = (to - from) * HAK_SEGMENT_BYTES;
    if (!hak_os_commit(segment_start(from), bytes)) {
        return false;
    }
    if (hak_os_huge_advise(segment_start(from), bytes)) {
        backing_set(from, to, HAK_BACKED_THP);
    }
    to = hak_min(to, hak_min(config.reserve_segments, hak_huge_populate_max()));
    if (from < to) { /* ordinary memory: later is no error */
        (void)hak_os_populate(segment_start(from), (to - from) * HAK_SEGMENT_BYTES);
    }
    return true;
}

/* On the node of this thread if there are several, else on any. */
static enum hak_os_backing near_map(struct pool *pool, size_t at, size_t count)
{
    size_t bytes = count * HAK_SEGMENT_BYTES;
    enum hak_os_backing backing = HAK_OS_REFUSED;
    nodes = nodes != 0 ? nodes : hak_os_nodes();
    if (nodes > 1) {
        pool->os.node = hak_os_node();
        backing = hak_os_huge_map(segment_start(at), bytes, &pool->os);
        pool->os.node = -1;
    }
    if (backing == HAK_OS_REFUSED) {
        backing = hak_os_huge_map(segment_start(at), bytes, &pool->os);
        if (nodes > 1 && backing == HAK_OS_BACKED) {
            /* relaxed: a figure. */
            (void)atomic_fetch_add_explicit(&spilled, count, memory_order_relaxed);
        }
    }
    return backing;
}

size_t hak_huge_spilled(void)
{
    /* relaxed: a figure. */
    return atomic_load_explicit(&spilled, memory_order_relaxed);
}

static enum hak_os_backing segments_map(struct pool *pool, size_t at, size_t count)
{
    if (!room_hold(pool, count * HAK_SEGMENT_BYTES)) {
        return HAK_OS_REFUSED;
    }
    enum hak_os_backing backing = near_map(pool, at, count);
    if (backing == HAK_OS_BACKED) {
        backing_set(at, at + count, pool->backing);
    } else {
        (void)room_hold(pool, 0);
    }
    return backing;
}

static bool pool_is_short(const struct pool *pool)
{
    /* relaxed: a time. */
    return hak_os_now_ms() < atomic_load_explicit(&pool->short_until_ms, memory_order_relaxed);
}

/* As many segments from `from` on as the pool has pages for, in pieces of its page. */
static size_t back_from_pool(struct pool *pool, size_t from, size_t to)
{
    size_t page = pool->os.page_bytes / HAK_SEGMENT_BYTES;
    size_t at = from;
    size_t pages = (to - from) / page;
    while (pages > 0 && at + page <= to && !pool_is_short(pool)) {
        pages = hak_min(pages, (to - at) / page);
        enum hak_os_backing backing = segments_map(pool, at, pages * page);
        if (backing == HAK_OS_LOST) {
            lost = true;
            return at;
        }
        at += backing == HAK_OS_BACKED ? pages * page : 0;
        pages = backing == HAK_OS_BACKED ? pages : pages / 2;
        if (pages == 0) {
            /* relaxed: a time. */
            atomic_store_explicit(&pool->short_until_ms, hak_os_now_ms() + SHORT_MS,
                                  memory_order_relaxed);
        }
    }
    return at;
}

/* Pages of 1 GiB for the part of a reserve that they fit into, the rest of 2 MiB. */
static size_t back_from_pools(size_t from, size_t to)
{
    size_t gib = HAK_GIB / HAK_SEGMENT_BYTES;
    size_t at = from;
    bool aligned = (uintptr_t)segment_start(from) % HAK_GIB == 0;
    if (from < config.reserve_segments && aligned && to - from >= gib && config.mount == NULL) {
        at = back_from_pool(&pools[POOL_1G], from, to);
    }
    if (at < to && !lost) {
        at = back_from_pool(&pools[POOL_2M], at, to);
    }
    /* A short reserve is told of by who asked for it, and auto asks for nothing. */
    bool expected = config.mode == HAK_HUGE_HUGETLB ? from >= config.reserve_segments : at > from;
    if (at < to && expected) {
        say_once(SAID_FALLBACK, "hakmem: no more huge pages can be had from the pool, going on "
                                "with other pages (hakmem doctor says why)\n");
    }
    return at;
}

bool hak_huge_is_short(void)
{
    return pool_is_short(&pools[POOL_2M]);
}

size_t hak_huge_back(size_t from, size_t to, enum hak_backing goal)
{
    if (goal == HAK_BACKED_SMALL) {
        return hak_os_commit(segment_start(from), (to - from) * HAK_SEGMENT_BYTES) ? to : from;
    }
    bool pooled = goal == HAK_BACKED_HUGETLB;
    size_t at = pooled && !lost ? back_from_pools(from, to) : from;
    if (pooled && lost) {
        return at;
    }
    return at == to || back_ordinary(at, to) ? to : at;
}

bool hak_huge_release(size_t segment_idx)
{
    if (!hak_os_renew(segment_start(segment_idx), HAK_SEGMENT_BYTES)) {
        return false;
    }
    bool advised = hak_os_huge_advise(segment_start(segment_idx), HAK_SEGMENT_BYTES);
    backing_set(segment_idx, segment_idx + 1, advised ? HAK_BACKED_THP : HAK_BACKED_SMALL);
    /* seq_cst: a turn's end sees it, or the turn is free; an exchange, so all releases are seen. */
    (void)atomic_exchange_explicit(&unsettled, true, memory_order_seq_cst);
    hak_huge_settle();
    return true;
}

void hak_huge_settle(void)
{
    /* seq_cst: see hak_huge_release(), and the end of the turn that was before this. */
    while (atomic_load_explicit(&unsettled, memory_order_seq_cst) && hak_arena_turn_try()) {
        /* acquire: what is mapped, as of whoever set it. */
        (void)atomic_exchange_explicit(&unsettled, false, memory_order_acquire);
        (void)room_hold(&pools[POOL_2M], 0);
        hak_arena_turn_end();
    }
}

/* ---- fork ----------------------------------------------------------------------------------- */

static bool fork_has_room(void)
{
    for (unsigned i = 0; i < POOLS; i++) {
        const struct pool *pool = &pools[i];
        size_t mapped = mapped_bytes(pool), wanted = mapped + owed_bytes(pool);
        if (mapped != 0 && (hak_os_huge_free_bytes(&pool->os) < wanted ||
                            hak_os_huge_allowed_bytes(&pool->os, 1) < wanted)) {
            return false;
        }
    }
    return true;
}

static void rooms_drop(void)
{
    for (unsigned i = 0; i < POOLS; i++) {
        room_drop(&pools[i]);
    }
}

/* Lets go of the room, and waits for more if that is not enough. Called in turn. */
static void room_make(void)
{
    rooms_drop();
    uint64_t start_ms = hak_os_now_ms();
    uint64_t until_ms = config.fork_safe && start_ms >= vain_until_ms ? start_ms + WAIT_MS : 0;
    bool has_room;
    while (!(has_room = fork_has_room()) && hak_os_now_ms() < until_ms) {
        hak_os_yield();
    }
    if (!has_room) {
        vain_until_ms = hak_os_now_ms() + SHORT_MS;
        say_once(SAID_FORK, "hakmem: fork without free huge pages for what the child may write: it "
                            "may end by SIGBUS (hakmem doctor says more)\n");
    }
    token_make();
    sharers++;
}

void hak_huge_fork_prepare(void)
{
    bool pooled = mapped_bytes(&pools[POOL_2M]) != 0 || mapped_bytes(&pools[POOL_1G]) != 0;
    uint64_t start_ms = hak_os_now_ms();
    bool turn = false;
    while (pooled && !(turn = hak_arena_turn_try()) && !hak_arena_in_turn &&
           hak_os_now_ms() - start_ms < WAIT_MS) {
        hak_os_yield();
    }
    if (turn) { /* else it is this thread's own, a signal handler forks; or another is slow */
        room_make();
    }
    /* relaxed: the turn hands it over with `sharers`. */
    (void)atomic_fetch_add_explicit(&forking, 1, memory_order_relaxed);
    if (turn) {
        hak_arena_turn_end();
    }
}

void hak_huge_fork_parent(void)
{
    /* release: pairs with the acquire in owed_bytes(). */
    (void)atomic_fetch_sub_explicit(&forking, 1, memory_order_release);
    hak_huge_settle();
}

void hak_huge_fork_child(void)
{
    forked = forked || mapped_bytes(&pools[POOL_2M]) != 0 || mapped_bytes(&pools[POOL_1G]) != 0;
    /* relaxed: the child has one thread. */
    atomic_store_explicit(&forking, 0, memory_order_relaxed);
    if (forked && hak_arena_turn_try()) { /* else who has it drops them before the next ones */
        rooms_drop(); /* what another thread took again is mapped here, without pages */
        hak_arena_turn_end();
    }
}
