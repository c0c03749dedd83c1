/*
 * doctor_pool.c: judges what can be had of hugetlb.
 *
 * What segments may take is the least of: free pages of the pool that nobody reserved and those
 * that the kernel may add; what each cgroup limit leaves; what the mount's quota leaves. With
 * HAKMEM_HUGE_FORK=safe every page in use needs another one that stays free: a child that writes
 * to its copy of the heap takes it, and is killed if there is none. The copies count in the same
 * groups and in the same quota.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "doctor_judge.h"

static struct doctor_figure known(uint64_t value)
{
    return (struct doctor_figure){.state = FIGURE_KNOWN, .value = value};
}

static uint64_t segments_to_pages(uint64_t segments, uint64_t page_bytes)
{
    return (segments * DOCTOR_SEGMENT_BYTES + page_bytes - 1) / page_bytes;
}

/* How many segments fit into pages, of which half is head-room if fork is to be safe. */
static uint64_t pages_to_segments(const struct doctor_case *its, uint64_t pages,
                                  uint64_t page_bytes)
{
    return (its->asked->fork_safe ? pages / 2 : pages) * page_bytes / DOCTOR_SEGMENT_BYTES;
}

static uint64_t need_pages(const struct doctor_case *its)
{
    return its->verdict->pages_wanted + its->verdict->headroom_pages;
}

static uint64_t need_bytes(const struct doctor_case *its)
{
    return need_pages(its) * its->verdict->pool->page_bytes;
}

/* Lowers what is available to what another bound leaves. */
static void available_lower(struct doctor_verdict *verdict, uint64_t bytes)
{
    uint64_t pages = bytes / verdict->pool->page_bytes;
    if (verdict->pages_available.state == FIGURE_KNOWN && pages < verdict->pages_available.value) {
        verdict->pages_available.value = pages;
    }
}

/* ---- the directory of HAKMEM_HUGETLBFS ------------------------------------------------------- */

/* Says why the directory cannot be used; false: it can. */
static bool place_is_refused(const struct doctor_case *its)
{
    const struct doctor_place *place = &its->system->place;
    const char *asked = its->asked->hugetlbfs;
    const char *path = doctor_quoted(asked);
    unsigned user = (unsigned)geteuid();
    if (asked[0] != '/') {
        doctor_find(its->verdict, true, "HAKMEM_HUGETLBFS=%s is not an absolute path.", asked);
    } else if (place->exists == ANSWER_NO) {
        doctor_find(its->verdict, true, "HAKMEM_HUGETLBFS=%s is not there.", asked);
        doctor_fix(its->verdict, true,
                   "mkdir -p %s && mount -t hugetlbfs -o pagesize=2M,uid=%u none %s", path, user,
                   path);
    } else if (place->type[0] == '\0') {
        doctor_find(its->verdict, true,
                    "HAKMEM_HUGETLBFS=%s: /proc/self/mountinfo does not tell what it lies on.",
                    asked);
    } else if (strcmp(place->type, "hugetlbfs") != 0) {
        doctor_find(its->verdict, true,
                    "HAKMEM_HUGETLBFS=%s is not on a hugetlbfs mount but on %s.", asked,
                    place->type);
        doctor_fix(its->verdict, true, "mount -t hugetlbfs -o pagesize=2M,uid=%u none %s", user,
                   path);
    } else if (place->mount.page_bytes.state != FIGURE_KNOWN ||
               place->mount.page_bytes.value == 0) {
        doctor_find(its->verdict, true,
                    "HAKMEM_HUGETLBFS=%s: the size of the mount's pages is not known.", asked);
    } else if (place->mount.read_only) {
        doctor_find(its->verdict, true, "HAKMEM_HUGETLBFS=%s is mounted read-only.", asked);
        doctor_fix(its->verdict, true, "mount -o remount,rw %s", doctor_quoted(place->mount.path));
    } else if (place->mount.writable == ANSWER_NO) {
        doctor_find(its->verdict, true, "HAKMEM_HUGETLBFS=%s: user %u may not write there.", asked,
                    user);
        doctor_fix(its->verdict, true, "chown %u %s", user, path);
    } else {
        return false;
    }
    return true;
}

/* A quota cannot be changed by remounting: the kernel ignores it without a word. */
static void quota_judge(const struct doctor_case *its)
{
    const struct doctor_mount *mount = &its->system->place.mount;
    if (mount->size_bytes.state == FIGURE_UNKNOWN) {
        doctor_find(its->verdict, false, "The quota of %s is not known.", mount->path);
    }
    if (mount->size_bytes.state != FIGURE_KNOWN) {
        return;
    }
    bool is_told = mount->free_bytes.state == FIGURE_KNOWN;
    uint64_t left = is_told ? mount->free_bytes.value : mount->size_bytes.value;
    available_lower(its->verdict, left);
    if (need_bytes(its) <= left) {
        return;
    }
    const char *path = doctor_quoted(mount->path);
    uint64_t page_kb = its->verdict->pool->page_bytes / 1024;
    doctor_find(its->verdict, true,
                "The mount %s has a quota of %s, of which %s is free%s; %s is needed. Its quota is "
                "changed by mounting it anew, when nobody uses it.",
                mount->path, doctor_bytes(mount->size_bytes.value).text, doctor_bytes(left).text,
                is_told ? "" : " at most", doctor_bytes(need_bytes(its)).text);
    uint64_t size = mount->size_bytes.value + need_bytes(its) - left;
    doctor_fix(its->verdict, true,
               "umount %s && mount -t hugetlbfs -o pagesize=%lluK,size=%llu,min_size=%llu,uid=%u "
               "none %s",
               path, (unsigned long long)page_kb, (unsigned long long)size,
               (unsigned long long)(mount->min_size_bytes.state == FIGURE_KNOWN
                                        ? mount->min_size_bytes.value
                                        : 0),
               (unsigned)geteuid(), path);
}

/* ---- cgroups --------------------------------------------------------------------------------- */

static void limit_judge(const struct doctor_case *its, const struct doctor_limit *limit)
{
    bool is_memory = limit->page_bytes == 0;
    bool counts = is_memory ? its->system->memory.counts_huge == ANSWER_YES
                            : limit->page_bytes == its->verdict->pool->page_bytes;
    if (!counts || limit->limit_bytes.state == FIGURE_UNLIMITED) {
        return;
    }
    if (limit->limit_bytes.state == FIGURE_UNKNOWN) {
        doctor_find(its->verdict, false,
                    "%s cannot be read: nothing tells whether this limit leaves enough.",
                    limit->file);
        return;
    }
    /* Memory in use may be cache, which gives way. */
    uint64_t used = is_memory ? 0 : limit->used_bytes.value;
    uint64_t most = limit->limit_bytes.value;
    uint64_t left = most > used ? most - used : 0;
    available_lower(its->verdict, left);
    if (need_bytes(its) <= left) {
        return;
    }
    doctor_find(its->verdict, true,
                "The cgroup limit %s allows %s, of which %s is in use; %s more is needed. Beyond "
                "it a first touch would be killed, so segments are populated before use and fall "
                "back. In a container this is set from outside.",
                limit->file, doctor_bytes(most).text, doctor_bytes(used).text,
                doctor_bytes(need_bytes(its)).text);
    doctor_fix(its->verdict, true, "echo %llu >%s", (unsigned long long)(used + need_bytes(its)),
               doctor_quoted(limit->file));
}

/* ---- the pool -------------------------------------------------------------------------------- */

/* What the pool can give. */
struct pool_room {
    bool is_known;
    uint64_t own_pages;  /* free and not reserved by others */
    uint64_t more_pages; /* that the kernel may add on demand */
};

static struct pool_room pool_room(const struct doctor_case *its)
{
    const struct doctor_pool *pool = its->verdict->pool;
    const struct doctor_system *system = its->system;
    struct pool_room room = {.is_known = false};
    if (pool->free.state != FIGURE_KNOWN || pool->reserved.state != FIGURE_KNOWN) {
        return room;
    }
    uint64_t reserved = pool->reserved.value;
    if (its->asked->hugetlbfs != NULL && system->place.mount.min_size_bytes.state == FIGURE_KNOWN) {
        uint64_t ours = system->place.mount.min_size_bytes.value / pool->page_bytes;
        reserved -= ours < reserved ? ours : reserved;
    }
    room.is_known = true;
    room.own_pages = pool->free.value > reserved ? pool->free.value - reserved : 0;
    if (pool->overcommit.state == FIGURE_KNOWN && pool->surplus.state == FIGURE_KNOWN &&
        pool->overcommit.value > pool->surplus.value) {
        room.more_pages = pool->overcommit.value - pool->surplus.value;
    }
    if (system->available_bytes.state == FIGURE_KNOWN &&
        room.more_pages > system->available_bytes.value / pool->page_bytes) {
        room.more_pages = system->available_bytes.value / pool->page_bytes;
    }
    return room;
}

static void need_find(const struct doctor_case *its, struct pool_room room)
{
    struct doctor_verdict *verdict = its->verdict;
    doctor_find(verdict, true,
                "%s of 2 MiB on hugetlb (%s) %s %s of %s%s: %llu in all. The pool has %llu that "
                "are free and not reserved%s.",
                doctor_count(verdict->segments_wanted, "segment").text,
                its->asked->reserve_given ? "HAKMEM_HUGE_RESERVE" : "the least that is of use",
                verdict->segments_wanted == 1 ? "needs" : "need",
                doctor_count(verdict->pages_wanted, "page").text,
                doctor_bytes(verdict->pool->page_bytes).text,
                verdict->headroom_pages > 0 ? ", and as many again must stay free as head-room "
                                              "for fork (HAKMEM_HUGE_FORK=safe)"
                                            : "",
                (unsigned long long)need_pages(its), (unsigned long long)room.own_pages,
                room.more_pages > 0 ? ", and may grow on demand, but not by enough" : "");
}

/* The pool cannot grow to what is asked: there is not that much memory. */
static void shortage_of_memory(const struct doctor_case *its, struct pool_room room)
{
    uint64_t page_bytes = its->verdict->pool->page_bytes;
    uint64_t available = its->system->available_bytes.value;
    uint64_t segments = pages_to_segments(its, room.own_pages + available / page_bytes, page_bytes);
    need_find(its, room);
    if (segments > 0 && its->asked->reserve_given) {
        doctor_fix(its->verdict, false, "export HAKMEM_HUGE_RESERVE=%llu",
                   (unsigned long long)segments);
    }
    doctor_find(its->verdict, false,
                "Only %s of memory is available: the pool cannot grow by what is missing.",
                doctor_bytes(available).text);
}

/* The kernel stops without an error where it finds no more memory in one piece. */
static void fragmentation_tell(const struct doctor_case *its, const char *file, uint64_t pages)
{
    const struct doctor_pool *pool = its->verdict->pool;
    uint64_t page_mb = pool->page_bytes >> 20;
    doctor_find(
        its->verdict, false,
        "If %s then reads less than %llu, memory is in too small pieces: compact it and "
        "write the number again, or start the kernel with hugepagesz=%lluM hugepages=%llu%s.",
        file, (unsigned long long)pages, (unsigned long long)page_mb, (unsigned long long)pages,
        page_mb >= 1024 ? ", which pages of this size nearly always need" : "");
    doctor_fix(its->verdict, true, "echo 1 >/proc/sys/vm/compact_memory");
}

/* vm.overcommit_memory=2 promises a part of the memory that is not hugetlb. */
static void commit_tell(const struct doctor_case *its, uint64_t missing_pages)
{
    const struct doctor_system *system = its->system;
    if (system->overcommit_mode.value != 2 || system->overcommit_ratio.value == 0) {
        return;
    }
    uint64_t lost =
        missing_pages * its->verdict->pool->page_bytes / 100 * system->overcommit_ratio.value;
    doctor_find(its->verdict, false,
                "vm.overcommit_memory is 2: growing the pool by %s lowers CommitLimit, which all "
                "other memory counts against, by %s.",
                doctor_count(missing_pages, "page").text, doctor_bytes(lost).text);
}

static void shortage_judge(const struct doctor_case *its, struct pool_room room)
{
    const struct doctor_pool *pool = its->verdict->pool;
    const struct doctor_system *system = its->system;
    uint64_t missing = need_pages(its) - room.own_pages - room.more_pages;
    if (system->available_bytes.state == FIGURE_KNOWN &&
        missing > system->available_bytes.value / pool->page_bytes) {
        shortage_of_memory(its, room);
        return;
    }
    need_find(its, room);
    if (pool->pages.state != FIGURE_KNOWN) {
        return;
    }
    char file[128] = "/proc/sys/vm/nr_hugepages";
    if (!pool->is_default) {
        snprintf(file, sizeof file, "/sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
                 (unsigned long long)(pool->page_bytes / 1024));
    }
    uint64_t target = pool->pages.value + missing;
    doctor_fix(its->verdict, true, "echo %llu >%s", (unsigned long long)target, file);
    fragmentation_tell(its, file, target);
    commit_tell(its, missing);
}

/* ---- what is worth knowing ------------------------------------------------------------------- */

static void nodes_tell(const struct doctor_case *its)
{
    const struct doctor_pool *pool = its->verdict->pool;
    for (size_t i = 0; i < pool->node_count && pool->node_count > 1; i++) {
        const struct doctor_node_pool *part = &pool->nodes[i];
        if (part->free.state == FIGURE_KNOWN && part->free.value == 0 && pool->free.value > 0) {
            doctor_find(its->verdict, false,
                        "Node %u has no free page of %s: its threads get pages of other nodes.",
                        part->node, doctor_bytes(pool->page_bytes).text);
        }
    }
}

static void fork_tell(const struct doctor_case *its, struct pool_room room)
{
    uint64_t wanted = its->verdict->pages_wanted;
    uint64_t all = room.own_pages + room.more_pages;
    if (its->asked->fork_safe || wanted == 0 || all < wanted || all >= 2 * wanted) {
        return;
    }
    doctor_find(its->verdict, false,
                "HAKMEM_HUGE_FORK=warn: with %s in use %llu stay free, so a child after fork that "
                "writes to the heap can be killed (SIGBUS); posix_spawn and vfork are safe.",
                doctor_count(wanted, "page").text, (unsigned long long)(all - wanted));
    doctor_fix(its->verdict, false, "export HAKMEM_HUGE_FORK=safe");
}

/* ---- all together ---------------------------------------------------------------------------- */

static const struct doctor_pool *pool_find(const struct doctor_system *system, uint64_t page_bytes)
{
    for (size_t i = 0; i < system->pool_count; i++) {
        if (system->pools[i].page_bytes == page_bytes) {
            return &system->pools[i];
        }
    }
    return NULL;
}

/* Finds the pool of the mount, or of 2 MiB; says so if there is none and one was asked for. */
static bool pool_choose(const struct doctor_case *its, bool is_asked)
{
    uint64_t page_bytes = its->asked->hugetlbfs != NULL ? its->system->place.mount.page_bytes.value
                                                        : DOCTOR_SEGMENT_BYTES;
    its->verdict->pool = pool_find(its->system, page_bytes);
    if (its->verdict->pool == NULL && is_asked) {
        doctor_find(
            its->verdict, true,
            its->system->pools_read == ANSWER_YES
                ? "The kernel has no pool of %s pages."
                : "No pool of %s pages: /sys/kernel/mm/hugepages cannot be read. The kernel "
                  "was built without hugetlb, or /sys is not mounted.",
            doctor_bytes(page_bytes).text);
    }
    return its->verdict->pool != NULL;
}

/* Counts what is wanted; a segment at least if hugetlb was asked for by its name. */
static void want(const struct doctor_case *its)
{
    struct doctor_verdict *verdict = its->verdict;
    uint64_t least = its->asked->huge == HUGE_HUGETLB ? 1 : 0;
    verdict->segments_wanted = its->asked->reserve_given ? its->asked->reserve_segments : least;
}

static void bounds_judge(const struct doctor_case *its, struct pool_room room)
{
    struct doctor_verdict *verdict = its->verdict;
    verdict->pages_available = known(room.own_pages + room.more_pages);
    if (need_pages(its) > verdict->pages_available.value) {
        shortage_judge(its, room);
    }
    for (size_t i = 0; i < its->system->limit_count; i++) {
        limit_judge(its, &its->system->limits[i]);
    }
    if (its->asked->hugetlbfs != NULL) {
        quota_judge(its);
    }
    verdict->segments_possible =
        known(pages_to_segments(its, verdict->pages_available.value, verdict->pool->page_bytes));
    fork_tell(its, room);
    nodes_tell(its);
}

void doctor_judge_pool(const struct doctor_case *its)
{
    struct doctor_verdict *verdict = its->verdict;
    want(its);
    bool is_asked = verdict->segments_wanted > 0;
    verdict->segments_possible = known(0);
    if ((its->asked->hugetlbfs != NULL && place_is_refused(its)) || !pool_choose(its, is_asked)) {
        if (its->system->pools_read != ANSWER_YES) {
            verdict->segments_possible.state = FIGURE_UNKNOWN;
        }
        return;
    }
    verdict->pages_wanted = segments_to_pages(verdict->segments_wanted, verdict->pool->page_bytes);
    verdict->headroom_pages = its->asked->fork_safe ? verdict->pages_wanted : 0;
    struct pool_room room = pool_room(its);
    if (room.is_known) {
        bounds_judge(its, room);
        return;
    }
    verdict->segments_possible.state = FIGURE_UNKNOWN;
    doctor_find(verdict, is_asked,
                "The pool of %s pages cannot be read: nothing tells how many are free.",
                doctor_bytes(verdict->pool->page_bytes).text);
}
