/*
 * doctor_text.c: prints system, environment and verdict in sentences for whoever deploys.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "doctor_words.h"

static struct doctor_words figure_bytes(struct doctor_figure figure)
{
    if (figure.state == FIGURE_KNOWN) {
        return doctor_bytes(figure.value);
    }
    struct doctor_words words;
    strcpy(words.text, figure.state == FIGURE_UNLIMITED ? "unlimited" : "unknown");
    return words;
}

static struct doctor_words figure_number(struct doctor_figure figure)
{
    struct doctor_words words;
    if (figure.state == FIGURE_KNOWN) {
        snprintf(words.text, sizeof words.text, "%" PRIu64, figure.value);
    } else {
        strcpy(words.text, figure.state == FIGURE_UNLIMITED ? "unlimited" : "unknown");
    }
    return words;
}

static const char *word_or_unknown(const char *word)
{
    return word[0] != '\0' ? word : "unknown";
}

/* ---- the system ------------------------------------------------------------------------------ */

/* What a kernel has since a version, and what is done without it. */
static void feature_print(const struct doctor_system *system, unsigned since, const char *with,
                          const char *without)
{
    if (system->version.state == FIGURE_KNOWN) {
        bool has = system->version.value >= since;
        printf("  %s (Linux %u.%u).\n", has ? with : without, since / 1000, since % 1000);
    }
}

static void kernel_print(const struct doctor_system *system)
{
    printf("Kernel\n  Linux %s, pages of %s, memory nodes: %s.\n", word_or_unknown(system->release),
           figure_bytes(system->os_page_bytes).text, figure_number(system->nodes).text);
    feature_print(system, 5014,
                  "Segments are populated with MADV_POPULATE_WRITE: a shortage is an error, not a "
                  "signal",
                  "No MADV_POPULATE_WRITE: segments are populated by read(2) into them, slower");
    feature_print(system, 4014, "Idle threads' memory is taken over with membarrier",
                  "No membarrier for this: idle threads keep their memory");
}

static void memory_print(const struct doctor_system *system)
{
    printf("Memory\n  %s, of which %s is available.\n", figure_bytes(system->total_bytes).text,
           figure_bytes(system->available_bytes).text);
    printf("  vm.overcommit_memory is %s, overcommit_ratio %s, overcommit_kbytes %s; %s of "
           "CommitLimit %s are promised%s.\n",
           figure_number(system->overcommit_mode).text,
           figure_number(system->overcommit_ratio).text, figure_number(system->overcommit_kb).text,
           figure_bytes(system->committed_bytes).text,
           figure_bytes(system->commit_limit_bytes).text,
           system->overcommit_mode.value == 2              ? ", and more is refused"
           : system->overcommit_mode.state == FIGURE_KNOWN ? ", which binds nobody in this mode"
                                                           : "");
    printf("  vm.max_map_count is %s. RLIMIT_AS is %s. RLIMIT_MEMLOCK is %s; hugetlb pages do not "
           "count in it.\n",
           figure_number(system->max_map_count).text,
           figure_bytes(system->address_space_bytes).text, figure_bytes(system->locked_bytes).text);
}

static void pool_print(const struct doctor_pool *pool)
{
    printf("  %s%s: pages %s, free %s, reserved %s, surplus %s, surplus at most %s.\n",
           doctor_bytes(pool->page_bytes).text, pool->is_default ? " (the default)" : "",
           figure_number(pool->pages).text, figure_number(pool->free).text,
           figure_number(pool->reserved).text, figure_number(pool->surplus).text,
           figure_number(pool->overcommit).text);
    for (size_t i = 0; i < pool->node_count; i++) {
        const struct doctor_node_pool *part = &pool->nodes[i];
        printf("    node %u: pages %s, free %s, surplus %s.\n", part->node,
               figure_number(part->pages).text, figure_number(part->free).text,
               figure_number(part->surplus).text);
    }
}

static void pools_print(const struct doctor_system *system)
{
    puts("Pools of hugetlb pages");
    for (size_t i = 0; i < system->pool_count; i++) {
        pool_print(&system->pools[i]);
    }
    if (system->pools_read != ANSWER_YES) {
        puts("  Unknown: /sys/kernel/mm/hugepages cannot be read.");
    } else if (system->pool_count == 0) {
        puts("  None.");
    }
}

static void mounts_print(const struct doctor_system *system)
{
    puts("Mounts of hugetlbfs");
    for (size_t i = 0; i < system->mount_count; i++) {
        const struct doctor_mount *mount = &system->mounts[i];
        printf("  %s: pages of %s, quota %s, free of it %s, kept for it %s, %s.\n", mount->path,
               figure_bytes(mount->page_bytes).text, figure_bytes(mount->size_bytes).text,
               figure_bytes(mount->free_bytes).text, figure_bytes(mount->min_size_bytes).text,
               mount->read_only                ? "read-only"
               : mount->writable == ANSWER_YES ? "this user may write"
               : mount->writable == ANSWER_NO  ? "this user may not write"
                                               : "unknown who may write");
    }
    if (system->mounts_read != ANSWER_YES) {
        puts("  Unknown: /proc/self/mountinfo cannot be read.");
    } else if (system->mount_count == 0) {
        puts("  None. MAP_HUGETLB needs none; a mount is for quotas.");
    }
}

static void limits_print(const struct doctor_system *system)
{
    bool any = false;
    puts("Limits of cgroups");
    for (size_t i = 0; i < system->limit_count; i++) {
        const struct doctor_limit *limit = &system->limits[i];
        if (limit->limit_bytes.state != FIGURE_UNLIMITED) {
            printf("  %s: %s, in use %s.\n", limit->file, figure_bytes(limit->limit_bytes).text,
                   figure_bytes(limit->used_bytes).text);
            any = true;
        }
    }
    if (system->hugetlb.version.state != FIGURE_KNOWN &&
        system->memory.version.state != FIGURE_KNOWN) {
        puts("  Unknown: no group of this process can be found.");
    } else if (!any) {
        puts("  None on memory or hugetlb that can be seen from here.");
    }
    if (system->memory.counts_huge == ANSWER_YES) {
        puts("  Limits on memory count hugetlb pages, too (memory_hugetlb_accounting).");
    }
}

static void thp_print(const struct doctor_system *system)
{
    const struct doctor_thp *thp = &system->thp;
    printf("Transparent huge pages\n  enabled is %s, defrag %s, khugepaged/max_ptes_none %s; a "
           "huge page is %s.\n",
           word_or_unknown(thp->enabled), word_or_unknown(thp->defrag),
           figure_number(thp->max_ptes_none).text, figure_bytes(thp->pmd_bytes).text);
    if (thp->process == ANSWER_NO) {
        puts("  They are off for this process and what it starts (PR_SET_THP_DISABLE).");
    }
    for (size_t i = 0; i < thp->size_count; i++) {
        printf("%s%s %s", i == 0 ? "  By size: " : ", ",
               doctor_bytes(thp->sizes[i].page_bytes).text, word_or_unknown(thp->sizes[i].enabled));
    }
    fputs(thp->size_count > 0 ? ".\n" : "", stdout);
}

/* ---- environment and verdict ----------------------------------------------------------------- */

static void asked_print(const struct doctor_asked *asked)
{
    printf("Asked for\n  HAKMEM_HUGE=%s%s, HAKMEM_HUGE_RESERVE=%" PRIu64
           " (%s), HAKMEM_HUGETLBFS=%s, HAKMEM_HUGE_REQUIRE=%d, HAKMEM_HUGE_FORK=%s.\n",
           doctor_huge_names[asked->huge], asked->huge_given ? "" : " (not set: the default)",
           asked->reserve_segments,
           doctor_bytes(asked->reserve_segments * DOCTOR_SEGMENT_BYTES).text,
           asked->hugetlbfs != NULL ? asked->hugetlbfs : "", asked->require,
           asked->fork_safe ? "safe" : "warn");
}

static const char *backing_words(enum doctor_backing backing)
{
    static const char *const words[] = {
        [BACKING_UNKNOWN] = "pages of a kind that nothing here tells",
        [BACKING_SMALL] = "ordinary pages",
        [BACKING_THP] = "transparent huge pages, advised with MADV_HUGEPAGE",
        [BACKING_HUGETLB] = "hugetlb pages",
    };
    return words[backing];
}

static void hugetlb_print(const struct doctor_asked *asked, const struct doctor_verdict *verdict)
{
    uint64_t possible = verdict->segments_possible.value;
    uint64_t pages = verdict->pages_available.value;
    printf("  Segments that can be on hugetlb now: %" PRIu64 " (%s); after them, %s.\n", possible,
           doctor_bytes(possible * DOCTOR_SEGMENT_BYTES).text, backing_words(verdict->then));
    if (asked->fork_safe) {
        printf("  %s of %s can be had: half for segments, half stays free for fork.\n",
               doctor_count(pages, "page").text, doctor_bytes(verdict->pool->page_bytes).text);
    }
    if (asked->reserve_given) {
        uint64_t got = possible < asked->reserve_segments ? possible : asked->reserve_segments;
        printf("  Populated at start: %" PRIu64 " of %" PRIu64 " segments asked for.\n", got,
               asked->reserve_segments);
    }
}

static void verdict_print(const struct doctor_asked *asked, const struct doctor_verdict *verdict)
{
    puts("What the allocator would do now");
    if (verdict->starts == ANSWER_NO) {
        puts("  The program would not start: HAKMEM_HUGE_REQUIRE=1 and not all can be had.");
        return;
    }
    if (verdict->starts == ANSWER_UNKNOWN) {
        puts("  Nothing tells whether the program would start (HAKMEM_HUGE_REQUIRE=1).");
    }
    printf("  Segments are on %s.\n", backing_words(verdict->first));
    if (verdict->first == BACKING_HUGETLB) {
        hugetlb_print(asked, verdict);
    } else if (verdict->first == BACKING_THP && asked->huge == HUGE_THP && asked->reserve_given) {
        printf("  Populated at start: all %s asked for.\n",
               doctor_count(asked->reserve_segments, "segment").text);
    }
}

/* Prints findings of one kind under a title, each with its command on a line of its own. */
static void findings_print(const struct doctor_verdict *verdict, bool problems, const char *title)
{
    for (size_t i = 0; i < verdict->finding_count; i++) {
        const struct doctor_finding *finding = &verdict->findings[i];
        if (finding->problem != problems) {
            continue;
        }
        printf("%s  %s\n", title, finding->text);
        title = "";
        if (finding->fix != NULL) {
            printf("  %s:\n\n    %s\n\n",
                   finding->as_root ? "As root" : "Where the program is started", finding->fix);
        }
    }
}

void doctor_print_text(const struct doctor_system *system, const struct doctor_asked *asked,
                       const struct doctor_verdict *verdict)
{
    kernel_print(system);
    memory_print(system);
    pools_print(system);
    mounts_print(system);
    limits_print(system);
    thp_print(system);
    asked_print(asked);
    verdict_print(asked, verdict);
    findings_print(verdict, true, "To fix\n");
    findings_print(verdict, false, "Worth knowing\n");
    if (!doctor_has_problem(verdict)) {
        puts("Nothing to fix.");
    }
}
