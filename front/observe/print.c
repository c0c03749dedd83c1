/*
 * print: the statistics as JSON, for Prometheus, and as text.
 *
 * Each form walks the same table of groups, whose rows are those of stats.h and count.h.
 */
#include "front/harden/harden.h"
#include "front/layout.h"
#include "front/observe/stats.h"
#include "front/options.h"
#include "front/policy/learner.h"
#include "segment/os.h"

struct row {
    const char *name, *help;
};

struct group {
    const char *name;   /* in JSON */
    const char *family; /* in Prometheus: of the whole group, or what its rows' names begin with */
    const char *label;  /* what the rows are values of; NULL: each row is a family of its own */
    const char *help;   /* of the whole group */
    const struct row *rows;
    size_t count, offset; /* of the figures, in struct hak_stats */
    bool counter;
};

#define ROW(name, help) {#name, help},
#define COUNT_ROW(counter, name, help) {#name, help},
static const struct row memory_rows[] = {HAK_STATS_MEMORY(ROW)};
static const struct row heap_rows[] = {HAK_STATS_HEAPS(ROW)};
static const struct row pool_rows[] = {HAK_STATS_POOLS(ROW)};
static const struct row backing_rows[] = {HAK_STATS_BACKINGS(ROW)};
static const struct row event_rows[] = {HAK_COUNT_EVENTS(COUNT_ROW)};
static const struct row lock_rows[] = {HAK_COUNT_LOCKS(COUNT_ROW)};
static const struct row call_rows[] = {HAK_COUNT_CALLS(COUNT_ROW)};
static const struct row class_rows[] = {HAK_STATS_CLASS(ROW) HAK_STATS_CLASS_COUNTS(ROW)};
#define CLASS_GAUGES (offsetof(struct hak_class_stats, refills) / sizeof(uint64_t))

#define COUNT_OF(rows) (sizeof(rows) / sizeof((rows)[0]))
#define GROUP(name, family, label, help, rows, field, counter)                                     \
    {                                                                                              \
        name, family, label, help, rows, COUNT_OF(rows), offsetof(struct hak_stats, field),        \
            counter                                                                                \
    }
static const struct group groups[] = {
    GROUP("memory", "memory_", NULL, NULL, memory_rows, memory, false),
    GROUP("heaps", "heaps", "state", "heaps, one for each thread there was at once", heap_rows,
          heaps, false),
    GROUP("segments", "segments", "pool", "segments of 2 MiB", pool_rows, segments, false),
    GROUP("taken_pages", "taken_pages", "pool", "page slots of 64 KiB in use", pool_rows,
          taken_pages, false),
    GROUP("backed_bytes", "backed_bytes", "by", "committed memory, by the kind of its pages",
          backing_rows, backed_bytes, false),
    GROUP("events", "", NULL, NULL, event_rows, counts, true),
    GROUP("locks", "lock_", NULL, NULL, lock_rows, counts[HAK_COUNT_POOL_CLAIMS], true),
    GROUP("calls", "system_calls", "call", "system calls that change mappings or wait", call_rows,
          counts[HAK_COUNT_MMAP], true),
};
#define LOCKS_GROUP 6
#define LEARNER_TRIES 1000 /* of 20 us at least */

_Static_assert(sizeof((struct hak_stats){0}.memory) / sizeof(uint64_t) == COUNT_OF(memory_rows) &&
                   COUNT_OF(heap_rows) == HAK_HEAP_FROZEN + 1 &&
                   COUNT_OF(pool_rows) == HAK_POOL_COUNT && COUNT_OF(backing_rows) == HAK_BACKINGS,
               "each figure has a row");

static uint64_t figure(const void *stats, size_t offset, size_t i)
{
    return ((const uint64_t *)(const void *)((const char *)stats + offset))[i];
}

static unsigned slot_bytes(size_t bin_idx)
{
    return hak_classes[bin_idx].geometry.slot_bytes;
}

static const char *tier(size_t bin_idx)
{
    return pool_rows[hak_classes[bin_idx].geometry.pool].name;
}

/* ---- JSON ---- */

static void json_object(struct hak_out *out, const struct row *rows, size_t count,
                        const void *stats, size_t offset)
{
    for (size_t i = 0; i < count; i++) {
        hak_out(out, "%s\"%s\":%" PRIu64, i == 0 ? "" : ",", rows[i].name,
                figure(stats, offset, i));
    }
}

static void json_classes(struct hak_out *out, const struct hak_stats *stats)
{
    bool first = true;
    hak_out(out, ",\n\"classes\":[");
    for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
        if (hak_stats_has(&stats->classes[bin_idx])) {
            hak_out(out, "%s\n{\"slot_bytes\":%u,\"tier\":\"%s\",", first ? "" : ",",
                    slot_bytes(bin_idx), tier(bin_idx));
            json_object(out, class_rows, COUNT_OF(class_rows), &stats->classes[bin_idx], 0);
            hak_out(out, "}");
            first = false;
        }
    }
    hak_out(out, "]");
}

void hak_stats_json(hak_stats_writer *write, void *to)
{
    struct hak_stats stats;
    struct hak_out out = {.write = write, .to = to};
    hak_stats_read(&stats);
    /* relaxed: a word in a report. */
    bool hardened = atomic_load_explicit(&hak_hardened, memory_order_relaxed);
    hak_out(&out, "{\"schema\":\"hakmem\",\"version\":%d,\"mode\":\"%s\",\"header_bytes\":%zu",
            HAK_STATS_VERSION, hardened ? "hardened" : "default", HAK_LAYOUT_BYTES);
    for (size_t i = 0; i < COUNT_OF(groups); i++) {
        hak_out(&out, ",\n\"%s\":{", groups[i].name);
        json_object(&out, groups[i].rows, groups[i].count, &stats, groups[i].offset);
        hak_out(&out, "}");
    }
    json_classes(&out, &stats);
    hak_out(&out, "}\n");
    hak_out_end(&out);
}

/* ---- Prometheus ---- */

static void family(struct hak_out *out, const char *prefix, const char *name, const char *help,
                   bool counter)
{
    const char *end = counter ? "_total" : "";
    hak_out(out, "# HELP hakmem_%s%s%s %s\n", prefix, name, end, help);
    hak_out(out, "# TYPE hakmem_%s%s%s %s\n", prefix, name, end, counter ? "counter" : "gauge");
}

static void prometheus_group(struct hak_out *out, const struct group *group,
                             const struct hak_stats *stats)
{
    const char *end = group->counter ? "_total" : "";
    if (group->label != NULL) {
        family(out, group->family, "", group->help, group->counter);
    }
    for (size_t i = 0; i < group->count; i++) {
        const struct row *row = &group->rows[i];
        if (group->label != NULL) {
            hak_out(out, "hakmem_%s%s{%s=\"%s\"}", group->family, end, group->label, row->name);
        } else {
            family(out, group->family, row->name, row->help, group->counter);
            hak_out(out, "hakmem_%s%s%s", group->family, row->name, end);
        }
        hak_out(out, " %" PRIu64 "\n", figure(stats, group->offset, i));
    }
}

void hak_stats_prometheus(hak_stats_writer *write, void *to)
{
    struct hak_stats stats;
    struct hak_out out = {.write = write, .to = to};
    hak_stats_read(&stats);
    family(&out, "", "stats_version", "version of these figures", false);
    hak_out(&out, "hakmem_stats_version %d\n", HAK_STATS_VERSION);
    for (size_t i = 0; i < COUNT_OF(groups); i++) {
        prometheus_group(&out, &groups[i], &stats);
    }
    for (size_t i = 0; i < COUNT_OF(class_rows); i++) {
        bool counter = i >= CLASS_GAUGES;
        family(&out, "class_", class_rows[i].name, class_rows[i].help, counter);
        for (size_t bin_idx = 1; bin_idx < HAK_BINS; bin_idx++) {
            if (hak_stats_has(&stats.classes[bin_idx])) {
                hak_out(&out, "hakmem_class_%s%s{slot_bytes=\"%u\",tier=\"%s\"} %" PRIu64 "\n",
                        class_rows[i].name, counter ? "_total" : "", slot_bytes(bin_idx),
                        tier(bin_idx), figure(&stats.classes[bin_idx], 0, i));
            }
        }
    }
    hak_out_end(&out);
}

/* ---- text ---- */

/* A line of what is not zero. */
static void text_line(struct hak_out *out, const struct row *rows, size_t count, const void *stats,
                      size_t offset)
{
    bool first = true;
    for (size_t i = 0; i < count; i++) {
        if (figure(stats, offset, i) != 0) {
            hak_out(out, "%s %s %" PRIu64, first ? "" : ",", rows[i].name,
                    figure(stats, offset, i));
            first = false;
        }
    }
    hak_out(out, "%s\n", first ? " -" : "");
}

/* What the learner judged. Who folds at this moment may be what this thread was interrupted in. */
static void learner_print(struct hak_out *out)
{
    hak_out(out, "hakmem: learner: %s\n", hak_options.learner == HAK_LEARNER_ON ? "on" : "observe");
    for (unsigned i = 0; i < LEARNER_TRIES && !hak_learner_say(out, "hakmem: learner: "); i++) {
        hak_os_yield();
    }
}

void hak_stats_text(bool locks_only)
{
    struct hak_stats stats;
    struct hak_out out = {.write = hak_out_error};
    size_t end = locks_only ? LOCKS_GROUP + 1 : COUNT_OF(groups);
    hak_stats_read(&stats);
    for (size_t i = locks_only ? LOCKS_GROUP : 0; i < end; i++) {
        hak_out(&out, "hakmem: %s:", groups[i].name);
        text_line(&out, groups[i].rows, groups[i].count, &stats, groups[i].offset);
    }
    for (size_t bin_idx = 1; !locks_only && bin_idx < HAK_BINS; bin_idx++) {
        if (hak_stats_has(&stats.classes[bin_idx])) {
            hak_out(&out, "hakmem: class of %u bytes (%s):", slot_bytes(bin_idx), tier(bin_idx));
            text_line(&out, class_rows, COUNT_OF(class_rows), &stats.classes[bin_idx], 0);
        }
    }
    if (!locks_only && hak_learner_is_on) {
        learner_print(&out);
    }
    hak_out_end(&out);
}

/* HAKMEM_STATS, HAKMEM_LOCK_STATS. */
__attribute__((destructor)) static void stats_at_exit(void)
{
    if (hak_options.stats == HAK_STATS_AS_TEXT) {
        hak_stats_text(false);
    } else if (hak_options.stats == HAK_STATS_AS_JSON) {
        hak_stats_json(hak_out_error, NULL);
    } else if (hak_options.stats == HAK_STATS_AS_PROMETHEUS) {
        hak_stats_prometheus(hak_out_error, NULL);
    }
    if (hak_options.lock_stats != 0) {
        hak_stats_text(true);
    }
}
