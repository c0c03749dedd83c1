/*
 * os for tests: the pool of huge pages; see os_fake.h.
 *
 *   hak_os_huge_map  → pool_take     first the pages, then memory that can be touched
 *   hak_os_huge_hold → pool_take     and a place without memory
 *   hak_os_renew     → hak_fake_huge_gone
 */
#include "segment/os_fake_huge.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "segment/count.h"
#include "segment/os.h"

#define HUGE_SHIFT 21
#define HUGE_BYTES ((size_t)1 << HUGE_SHIFT)
/* Places that can have huge pages: those of one reservation of 128 GiB. */
#define PLACES_MAX ((size_t)65536)
#define FAKE_NODES 4

/* [set by the test while one thread runs] */
static struct {
    bool shared;
    unsigned nodes;                /* 0: one, which is not looked at */
    int node;                      /* of the thread */
    size_t node_pages[FAKE_NODES]; /* what each still has */
    const char *mount_fault;
    enum hak_fake_refusal refusal;
    void (*at_map)(void), (*at_gone)(void);
} told;

static _Atomic(size_t) pool_pages; /* [test, atomic] */
static _Atomic(size_t) taken;      /* [any, atomic] pages: mapped + held, but for a moment */
static _Atomic(size_t) mapped;     /* [any, atomic] pages */
static _Atomic(size_t) held;       /* [any, atomic] pages; of one room, there are no two */

static _Atomic(uintptr_t) room_start;        /* [who holds, atomic] 0: none */
static _Atomic(const char *) mount_named;    /* [any, atomic] */
static _Atomic(uintptr_t) first_place;       /* [any, atomic] 0: no page was ever mapped */
static _Atomic(uint32_t) places[PLACES_MAX]; /* [any, atomic] see below */
enum { PLACE_HUGE = 1, PLACE_HOLE = 2, PLACE_MAPS = 4 }; /* from bit 2 on: how often mapped */

/* ---- what the test says and asks ------------------------------------------------------------ */

void hak_fake_set_huge_pool(size_t pages)
{
    /* relaxed: a figure. */
    atomic_store_explicit(&pool_pages, pages, memory_order_relaxed);
}

size_t hak_fake_huge_mapped(void)
{
    return hak_figure(&mapped);
}

size_t hak_fake_huge_held(void)
{
    return hak_figure(&held);
}

void hak_fake_set_huge_shared(bool shared)
{
    told.shared = shared;
}

void hak_fake_set_node(unsigned nodes, int node, size_t pages)
{
    told.nodes = nodes;
    told.node = node;
    told.node_pages[node] = pages;
}

void hak_fake_set_huge_mount_fault(const char *fault)
{
    told.mount_fault = fault;
}

void hak_fake_set_huge_refusal(enum hak_fake_refusal refusal)
{
    told.refusal = refusal;
}

void hak_fake_at_huge_map(void (*step)(void))
{
    told.at_map = step;
}

void hak_fake_at_huge_gone(void (*step)(void))
{
    told.at_gone = step;
}

const char *hak_fake_huge_mount(void)
{
    /* relaxed: a string that does not change. */
    return atomic_load_explicit(&mount_named, memory_order_relaxed);
}

/* ---- places --------------------------------------------------------------------------------- */

/* The place that an address lies in; PLACES_MAX: none that ever had a page. */
static size_t place_of(uintptr_t address)
{
    /* relaxed: set once; who has huge memory was told by who mapped it. */
    uintptr_t first = atomic_load_explicit(&first_place, memory_order_relaxed);
    size_t place = (address - first) >> HUGE_SHIFT;
    return first == 0 || address < first ? PLACES_MAX : hak_min(place, PLACES_MAX);
}

static uint32_t place_state(size_t place)
{
    /* relaxed: changed by who holds the memory there. */
    return place == PLACES_MAX ? 0 : atomic_load_explicit(&places[place], memory_order_relaxed);
}

static void place_set(size_t place, uint32_t state)
{
    /* relaxed: see place_state(). */
    atomic_store_explicit(&places[place], state, memory_order_relaxed);
}

bool hak_fake_is_huge(const void *start)
{
    return (place_state(place_of((uintptr_t)start)) & PLACE_HUGE) != 0;
}

size_t hak_fake_huge_maps(const void *start)
{
    return place_state(place_of((uintptr_t)start)) / PLACE_MAPS;
}

enum hak_fake_touch hak_fake_huge_touch(const void *start, size_t bytes)
{
    enum hak_fake_touch touch = HAK_FAKE_TOUCHES_NONE;
    uintptr_t from = (uintptr_t)start;
    uintptr_t end = from + bytes;
    while (from < end) {
        uintptr_t to = hak_min(hak_align_down(from, HUGE_BYTES) + HUGE_BYTES, end);
        uint32_t state = place_state(place_of(from));
        if ((state & PLACE_HOLE) != 0) {
            return HAK_FAKE_TOUCHES_HOLE;
        }
        if ((state & PLACE_HUGE) != 0) {
            touch = to - from < HUGE_BYTES ? HAK_FAKE_TOUCHES_PART
                                           : hak_max(touch, HAK_FAKE_TOUCHES_WHOLE);
        }
        from = to;
    }
    return touch;
}

/* ---- the pool ------------------------------------------------------------------------------- */

/* Takes so many pages out. False: there are not so many. */
static bool pool_take(size_t pages)
{
    size_t old = hak_figure(&taken);
    do {
        size_t all = hak_figure(&pool_pages);
        if (old > all || pages > all - old) {
            return false;
        }
        /* relaxed: a figure; the pages are made by the caller. */
    } while (!atomic_compare_exchange_weak_explicit(&taken, &old, old + pages, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static void pool_give(size_t pages)
{
    hak_figure_add(&taken, 0 - pages);
}

void hak_fake_huge_gone(const void *start, size_t bytes, bool lost)
{
    if (told.at_gone != NULL && hak_fake_huge_touch(start, bytes) != HAK_FAKE_TOUCHES_NONE) {
        told.at_gone();
    }
    for (size_t at = 0; at < bytes; at += HUGE_BYTES) {
        size_t place = place_of((uintptr_t)start + at);
        uint32_t state = place_state(place);
        if ((state & PLACE_HUGE) != 0) {
            place_set(place, (state & ~(uint32_t)PLACE_HUGE) | (lost ? PLACE_HOLE : 0));
            hak_figure_add(&mapped, (size_t)0 - 1);
            pool_give(1);
        }
    }
}

static bool is_whole(enum hak_fake_call call, uintptr_t start, size_t bytes)
{
    bool whole = bytes != 0 && start % HUGE_BYTES == 0 && bytes % HUGE_BYTES == 0;
    if (!whole) {
        hak_fake_mistake(call, "no multiple of 2 MiB");
    }
    return whole;
}

static void name_mount(const char *mount)
{
    /* relaxed: a string that does not change. */
    atomic_store_explicit(&mount_named, mount, memory_order_relaxed);
}

/* ---- os.h ----------------------------------------------------------------------------------- */

/* New zero memory at the place. */
static bool memory_make(void *start, size_t bytes)
{
    int saved = errno;
    void *result = mmap(start, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    errno = saved;
    return result == start;
}

/* Looks at the arguments of a map, and notes where places begin. */
static bool map_is_right(uintptr_t start, size_t bytes)
{
    if (!is_whole(HAK_FAKE_HUGE_MAP, start, bytes)) {
        return false;
    }
    uintptr_t reservation = hak_fake_reservation(start, bytes);
    if (reservation == 0) {
        hak_fake_mistake(HAK_FAKE_HUGE_MAP, "outside of what is reserved");
        return false;
    }
    uintptr_t none = 0;
    /* relaxed: set once, by who maps first. */
    (void)atomic_compare_exchange_strong_explicit(&first_place, &none, reservation,
                                                  memory_order_relaxed, memory_order_relaxed);
    if (place_of(start + bytes - 1) == PLACES_MAX) {
        hak_fake_mistake(HAK_FAKE_HUGE_MAP, "of a second reservation, or of a too long one");
        return false;
    }
    if (hak_fake_huge_touch((void *)start, bytes) != HAK_FAKE_TOUCHES_NONE) {
        hak_fake_mistake(HAK_FAKE_HUGE_MAP, "where pages of the pool are, or nothing is mapped");
        return false;
    }
    return true;
}

/* A map fails as the test said. */
static enum hak_os_backing map_fail(void *start, size_t bytes)
{
    if (told.refusal == HAK_FAKE_LOST) {
        hak_fake_unmap(start, bytes);
        size_t place = place_of((uintptr_t)start);
        for (size_t i = 0; i < bytes >> HUGE_SHIFT; i++) {
            place_set(place + i, place_state(place + i) | PLACE_HOLE);
        }
        return HAK_OS_LOST;
    }
    if (told.refusal == HAK_FAKE_RENEWED) {
        HAK_CHECK(memory_make(start, bytes), "os_fake: no memory");
    }
    return HAK_OS_REFUSED;
}

enum hak_os_backing hak_os_huge_map(void *start, size_t bytes, const struct hak_os_pool *pool)
{
    bool fails = hak_fake_begin(HAK_FAKE_HUGE_MAP);
    name_mount(pool->mount);
    if (told.at_map != NULL) {
        told.at_map();
    }
    if (!map_is_right((uintptr_t)start, bytes)) {
        return HAK_OS_REFUSED;
    }
    if (fails) {
        return map_fail(start, bytes);
    }
    size_t pages = bytes >> HUGE_SHIFT;
    if (pool->page_bytes != HUGE_BYTES ||
        (pool->node >= 0 && told.node_pages[pool->node] < pages) || !pool_take(pages)) {
        return HAK_OS_REFUSED;
    }
    if (pool->node >= 0) {
        told.node_pages[pool->node] -= pages;
    }
    HAK_CHECK(memory_make(start, bytes), "os_fake: no memory");
    size_t place = place_of((uintptr_t)start);
    for (size_t i = 0; i < pages; i++) {
        place_set(place + i, (place_state(place + i) | PLACE_HUGE) + PLACE_MAPS);
    }
    hak_figure_add(&mapped, pages);
    return HAK_OS_BACKED;
}

void *hak_os_huge_hold(size_t bytes, const struct hak_os_pool *pool)
{
    bool fails = hak_fake_begin(HAK_FAKE_HUGE_HOLD);
    name_mount(pool->mount);
    if (!is_whole(HAK_FAKE_HUGE_HOLD, 0, bytes)) {
        return NULL;
    }
    if (hak_figure(&held) != 0) {
        hak_fake_mistake(HAK_FAKE_HUGE_HOLD, "of a second room");
        return NULL;
    }
    if (fails || pool->page_bytes != HUGE_BYTES || !pool_take(bytes >> HUGE_SHIFT)) {
        return NULL;
    }
    int saved = errno;
    void *start = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    errno = saved;
    HAK_CHECK(start != MAP_FAILED, "os_fake: no memory");
    /* relaxed: one at a time holds. */
    atomic_store_explicit(&room_start, (uintptr_t)start, memory_order_relaxed);
    hak_figure_add(&held, bytes >> HUGE_SHIFT);
    return start;
}

bool hak_fake_huge_unhold(void *start, size_t bytes)
{
    size_t pages = hak_figure(&held);
    /* relaxed: one at a time holds. */
    uintptr_t room = atomic_load_explicit(&room_start, memory_order_relaxed);
    uintptr_t end = room + (pages << HUGE_SHIFT);
    if (pages == 0 || (uintptr_t)start < room || (uintptr_t)start >= end) {
        return false;
    }
    if (!is_whole(HAK_FAKE_UNRESERVE, (uintptr_t)start - room, bytes) ||
        (uintptr_t)start + bytes != end) {
        hak_fake_mistake(HAK_FAKE_UNRESERVE, "not to the room's end");
        return true;
    }
    int saved = errno;
    (void)munmap(start, bytes);
    errno = saved;
    hak_figure_add(&held, 0 - (bytes >> HUGE_SHIFT));
    pool_give(bytes >> HUGE_SHIFT);
    return true;
}

size_t hak_os_huge_free_bytes(const struct hak_os_pool *pool)
{
    size_t all = pool->page_bytes == HUGE_BYTES ? hak_figure(&pool_pages) : 0;
    return (all - hak_min(all, hak_figure(&taken))) * HUGE_BYTES;
}

bool hak_os_page_is_shared(const void *page)
{
    (void)page;
    return told.shared;
}

size_t hak_os_huge_allowed_bytes(const struct hak_os_pool *pool, size_t reservations)
{
    (void)pool;
    (void)reservations;
    return SIZE_MAX;
}

const char *hak_os_huge_mount_fault(const char *mount)
{
    (void)mount;
    return told.mount_fault;
}

/* The kernel below may make huge pages of it or not. */
bool hak_os_huge_advise(void *start, size_t bytes)
{
    bool fails = hak_fake_begin(HAK_FAKE_HUGE_ADVISE);
    if (!is_whole(HAK_FAKE_HUGE_ADVISE, (uintptr_t)start, bytes)) {
        return false;
    }
    if (hak_fake_reservation((uintptr_t)start, bytes) == 0 ||
        hak_fake_huge_touch(start, bytes) != HAK_FAKE_TOUCHES_NONE) {
        hak_fake_mistake(HAK_FAKE_HUGE_ADVISE, "not on ordinary memory");
        return false;
    }
    return !fails;
}

size_t hak_os_huge_advised_bytes(void)
{
    return 0;
}

/* Memory is always there. */
bool hak_os_populate(void *start, size_t bytes)
{
    bool fails = hak_fake_begin(HAK_FAKE_POPULATE);
    if (hak_fake_reservation((uintptr_t)start, bytes) == 0 ||
        hak_fake_huge_touch(start, bytes) != HAK_FAKE_TOUCHES_NONE) {
        hak_fake_mistake(HAK_FAKE_POPULATE, "not of ordinary memory");
        return false;
    }
    for (volatile char *at = start; !fails && at < (char *)start + bytes; at += hak_os_page_bytes())
        *at = *at;
    return !fails;
}

void hak_os_huge_forbid(void *start, size_t bytes)
{
    if (hak_fake_reservation((uintptr_t)start, bytes) == 0) {
        hak_fake_mistake(HAK_FAKE_HUGE_ADVISE, "outside of what is reserved");
    }
}

unsigned hak_os_nodes(void)
{
    return told.nodes == 0 ? 1 : told.nodes;
}

int hak_os_node(void)
{
    return told.node;
}
