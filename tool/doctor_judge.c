/*
 * doctor_judge.c: what the allocator would do now, and what keeps it from what is asked.
 *
 * Each segment goes down the chain hugetlb, transparent huge pages, ordinary pages, from where
 * HAKMEM_HUGE lets it in. A finding is a problem if the environment asks for something that cannot
 * be had, or nothing tells that it can; everything else is worth knowing.
 */
#include "doctor_judge.h"

#include <string.h>

#define THP "/sys/kernel/mm/transparent_hugepage"

/* Mappings of a program that are not segments: libraries, stacks; the kernel's usual maximum. */
#define MAPPINGS_OTHERS UINT64_C(65530)

static uint64_t reserve_bytes(const struct doctor_case *its)
{
    return its->asked->reserve_segments * DOCTOR_SEGMENT_BYTES;
}

/* ---- transparent huge pages ------------------------------------------------------------------ */

/* What decides whether 2 MiB of advised memory get a transparent huge page. */
struct thp_view {
    enum doctor_answer can;
    const char *mode;                   /* the word that decides */
    const struct doctor_thp_size *size; /* the file of that size; NULL: there is none */
};

static struct thp_view thp_view(const struct doctor_thp *thp)
{
    struct thp_view view = {.mode = thp->enabled};
    for (size_t i = 0; i < thp->size_count; i++) {
        if (thp->sizes[i].page_bytes == DOCTOR_SEGMENT_BYTES) {
            view.size = &thp->sizes[i];
        }
    }
    if (view.size != NULL && strcmp(view.size->enabled, "inherit") != 0) {
        view.mode = view.size->enabled;
    }
    bool is_other_size = view.size == NULL && thp->pmd_bytes.state == FIGURE_KNOWN &&
                         thp->pmd_bytes.value != DOCTOR_SEGMENT_BYTES;
    if (is_other_size || thp->process == ANSWER_NO || strcmp(view.mode, "never") == 0) {
        view.can = ANSWER_NO;
    } else if (view.mode[0] != '\0') {
        view.can = ANSWER_YES;
    }
    return view;
}

/* Says why there are none. */
static void thp_problem(const struct doctor_case *its, struct thp_view view)
{
    const struct doctor_thp *thp = &its->system->thp;
    struct doctor_verdict *verdict = its->verdict;
    if (view.can == ANSWER_UNKNOWN) {
        doctor_find(verdict, true,
                    "Nothing tells whether THP can be had: " THP "/enabled cannot be read.");
    } else if (thp->process == ANSWER_NO) {
        doctor_find(verdict, true,
                    "THP is off for this process and what it starts: a program before it called "
                    "prctl(PR_SET_THP_DISABLE).");
    } else if (strcmp(view.mode, "never") != 0) {
        doctor_find(verdict, true,
                    "THP comes in pages of %s here, which a segment of 2 MiB is not.",
                    doctor_bytes(thp->pmd_bytes.value).text);
    } else if (view.size != NULL) {
        doctor_find(verdict, true, "THP of 2 MiB is set to never.");
        doctor_fix(verdict, true, "echo madvise >" THP "/hugepages-2048kB/enabled");
    } else {
        doctor_find(verdict, true, "THP is set to never.");
        doctor_fix(verdict, true, "echo madvise >" THP "/enabled");
    }
}

static void thp_tell(const struct doctor_case *its, struct thp_view view)
{
    const struct doctor_thp *thp = &its->system->thp;
    struct doctor_verdict *verdict = its->verdict;
    if (view.can != ANSWER_YES) {
        return;
    }
    if (strcmp(thp->defrag, "never") == 0 || strcmp(thp->defrag, "defer") == 0) {
        doctor_find(verdict, false,
                    "THP defrag is %s: where no free memory lies in one piece, a first touch gets "
                    "ordinary pages.",
                    thp->defrag);
        doctor_fix(verdict, true, "echo madvise >" THP "/defrag");
    }
    if (strcmp(view.mode, "always") == 0 && thp->max_ptes_none.value > 0) {
        doctor_find(verdict, false,
                    "THP is always, and khugepaged may fill up to %llu untouched pages of each "
                    "huge page: programs that use little of what they map grow.",
                    (unsigned long long)thp->max_ptes_none.value);
        doctor_fix(verdict, true, "echo madvise >" THP "/enabled");
    }
}

static enum doctor_backing thp_backing(struct thp_view view)
{
    return view.can == ANSWER_YES  ? BACKING_THP
           : view.can == ANSWER_NO ? BACKING_SMALL
                                   : BACKING_UNKNOWN;
}

/* ---- bounds that do not depend on the kind of pages ------------------------------------------ */

/* vm.overcommit_memory=2: populated ordinary memory counts against CommitLimit. */
static void commit_judge(const struct doctor_case *its)
{
    const struct doctor_system *system = its->system;
    if (system->overcommit_mode.value != 2 || system->commit_limit_bytes.state != FIGURE_KNOWN ||
        system->committed_bytes.state != FIGURE_KNOWN) {
        return;
    }
    uint64_t limit = system->commit_limit_bytes.value;
    uint64_t needed = system->committed_bytes.value + reserve_bytes(its);
    if (needed <= limit) {
        return;
    }
    doctor_find(its->verdict, true,
                "vm.overcommit_memory is 2 and %s of CommitLimit %s are promised: %s more are not "
                "to be had.",
                doctor_bytes(system->committed_bytes.value).text, doctor_bytes(limit).text,
                doctor_bytes(reserve_bytes(its)).text);
    uint64_t swap = system->swap_bytes.value; /* comes on top of the setting */
    uint64_t setting = needed > swap ? needed - swap : 0;
    doctor_fix(its->verdict, true, "echo %llu >/proc/sys/vm/overcommit_kbytes",
               (unsigned long long)((setting + 1023) / 1024));
}

static void memory_limits_judge(const struct doctor_case *its)
{
    for (size_t i = 0; i < its->system->limit_count; i++) {
        const struct doctor_limit *limit = &its->system->limits[i];
        if (limit->page_bytes != 0 || limit->limit_bytes.state != FIGURE_KNOWN ||
            limit->limit_bytes.value >= reserve_bytes(its)) {
            continue;
        }
        doctor_find(its->verdict, true,
                    "The cgroup limit %s allows %s; HAKMEM_HUGE_RESERVE asks for %s.", limit->file,
                    doctor_bytes(limit->limit_bytes.value).text,
                    doctor_bytes(reserve_bytes(its)).text);
        doctor_fix(its->verdict, true, "echo %llu >%s",
                   (unsigned long long)(limit->used_bytes.value + reserve_bytes(its)),
                   doctor_quoted(limit->file));
    }
}

/* The arena takes half of a limit on address space at most. */
static void address_space_judge(const struct doctor_case *its)
{
    struct doctor_figure limit = its->system->address_space_bytes;
    if (limit.state == FIGURE_KNOWN && reserve_bytes(its) > limit.value / 2) {
        doctor_find(its->verdict, true,
                    "The limit on address space (RLIMIT_AS) is %s, of which the allocator takes "
                    "half at most; HAKMEM_HUGE_RESERVE asks for %s.",
                    doctor_bytes(limit.value).text, doctor_bytes(reserve_bytes(its)).text);
        doctor_fix(its->verdict, false, "ulimit -v unlimited");
    }
}

/* A segment on huge pages is a mapping of its own, and may part one that was there. */
static void mappings_judge(const struct doctor_case *its)
{
    struct doctor_figure most = its->system->max_map_count;
    uint64_t segments = its->asked->reserve_segments;
    if (most.state == FIGURE_KNOWN && 2 * segments > most.value) {
        doctor_find(its->verdict, true, "%s can take %llu mappings; vm.max_map_count is %llu.",
                    doctor_count(segments, "segment").text, (unsigned long long)(2 * segments),
                    (unsigned long long)most.value);
        doctor_fix(its->verdict, true, "echo %llu >/proc/sys/vm/max_map_count",
                   (unsigned long long)(2 * segments + MAPPINGS_OTHERS));
    }
}

/* ---- the environment ------------------------------------------------------------------------- */

static void refusals_judge(const struct doctor_case *its)
{
    for (size_t i = 0; i < its->asked->refusal_count; i++) {
        const struct doctor_refusal *refusal = &its->asked->refusals[i];
        doctor_find(its->verdict, true, "%s=%.100s is not %s: %s is used.", refusal->name,
                    refusal->value, refusal->legal, refusal->used);
        doctor_fix(its->verdict, false, "unset %s", refusal->name);
    }
}

/* What is set but without effect under this HAKMEM_HUGE. */
static void unused_judge(const struct doctor_case *its)
{
    const struct doctor_asked *asked = its->asked;
    const struct {
        const char *name;
        bool is_unused;
    } settings[] = {
        {"HAKMEM_HUGE_RESERVE", asked->reserve_given && asked->huge == HUGE_OFF},
        {"HAKMEM_HUGE_REQUIRE", asked->require && asked->huge == HUGE_OFF},
        {"HAKMEM_HUGETLBFS",
         asked->hugetlbfs != NULL && (asked->huge == HUGE_OFF || asked->huge == HUGE_THP)},
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (settings[i].is_unused) {
            doctor_find(its->verdict, true, "%s is set but not used, because HAKMEM_HUGE is %s%s.",
                        settings[i].name, doctor_huge_names[asked->huge],
                        asked->huge_given ? "" : " if it is not set");
            doctor_fix(its->verdict, false, "export HAKMEM_HUGE=hugetlb");
        }
    }
}

/* ---- the verdict ----------------------------------------------------------------------------- */

static void off_judge(const struct doctor_case *its, struct thp_view view)
{
    its->verdict->first = its->verdict->then = BACKING_SMALL;
    its->verdict->starts = ANSWER_YES;
    if (view.can == ANSWER_YES && strcmp(view.mode, "always") == 0) {
        doctor_find(
            its->verdict, false,
            "THP is always: the kernel puts huge pages under programs that do not ask, too.");
    }
}

static void thp_judge(const struct doctor_case *its, struct thp_view view)
{
    its->verdict->first = its->verdict->then = thp_backing(view);
    its->verdict->starts = its->asked->require ? view.can : ANSWER_YES;
    if (view.can != ANSWER_YES) {
        thp_problem(its, view);
    }
    commit_judge(its);
    memory_limits_judge(its);
    thp_tell(its, view);
}

/* HAKMEM_HUGE=hugetlb with HAKMEM_HUGE_REQUIRE=1 wants hugetlb; auto takes huge pages of any kind.
 */
static enum doctor_answer starts_judge(const struct doctor_case *its, struct thp_view view)
{
    struct doctor_figure possible = its->verdict->segments_possible;
    if (!its->asked->require) {
        return ANSWER_YES;
    }
    bool is_enough = possible.state == FIGURE_KNOWN && possible.value > 0 &&
                     possible.value >= its->verdict->segments_wanted;
    if (is_enough || (its->asked->huge == HUGE_AUTO && view.can == ANSWER_YES)) {
        return ANSWER_YES;
    }
    bool is_open = possible.state != FIGURE_KNOWN ||
                   (its->asked->huge == HUGE_AUTO && view.can == ANSWER_UNKNOWN);
    return is_open ? ANSWER_UNKNOWN : ANSWER_NO;
}

static void hugetlb_judge(const struct doctor_case *its, struct thp_view view)
{
    struct doctor_verdict *verdict = its->verdict;
    doctor_judge_pool(its);
    verdict->then = thp_backing(view);
    verdict->first = verdict->segments_possible.state != FIGURE_KNOWN ? BACKING_UNKNOWN
                     : verdict->segments_possible.value > 0           ? BACKING_HUGETLB
                                                                      : verdict->then;
    verdict->starts = starts_judge(its, view);
    if (its->asked->huge == HUGE_AUTO && verdict->starts != ANSWER_YES) {
        thp_problem(its, view);
    }
    thp_tell(its, view);
}

void doctor_judge(const struct doctor_system *system, const struct doctor_asked *asked,
                  struct doctor_verdict *verdict)
{
    const struct doctor_case its = {.system = system, .asked = asked, .verdict = verdict};
    struct thp_view view = thp_view(&system->thp);
    memset(verdict, 0, sizeof *verdict);
    refusals_judge(&its);
    unused_judge(&its);
    if (asked->huge == HUGE_OFF) {
        off_judge(&its, view);
        return;
    }
    if (asked->huge == HUGE_THP) {
        thp_judge(&its, view);
    } else {
        hugetlb_judge(&its, view);
    }
    address_space_judge(&its);
    mappings_judge(&its);
}
