/*
 * info: totals of the process, in glibc's forms.
 *
 * They are those of stats.h. "fast" and the sizes in malloc_info() are free slots, "mmap" are large
 * blocks, "rest" are free pages whose memory was not given back, "resting" is what a hardened
 * process keeps from use; in mallinfo() that is fsmblks, which is 0 in glibc.
 */
#include <errno.h>
#include <limits.h>

#include "front/observe/stats.h"
#include "hakmem.h"

static uint64_t all_resting_bytes(const struct hak_stats *stats)
{
    return stats->memory.resting_bytes + stats->memory.retired_bytes;
}

struct mallinfo2 hak_mallinfo2(void)
{
    struct hak_stats stats;
    hak_stats_read(&stats);
    return (struct mallinfo2){
        .arena = stats.memory.page_bytes + stats.memory.dirty_bytes,
        .ordblks = stats.memory.free_slots,
        .fsmblks = all_resting_bytes(&stats),
        .hblks = stats.memory.large_blocks,
        .hblkhd = stats.memory.large_bytes,
        .uordblks = stats.memory.used_bytes,
        .fordblks = stats.memory.free_bytes + stats.memory.dirty_bytes,
        .keepcost = stats.memory.dirty_bytes,
    };
}

static int clamp_int(size_t value)
{
    return value > INT_MAX ? INT_MAX : (int)value;
}

struct mallinfo hak_mallinfo(void)
{
    struct mallinfo2 wide = hak_mallinfo2();
    return (struct mallinfo){
        .arena = clamp_int(wide.arena),
        .ordblks = clamp_int(wide.ordblks),
        .fsmblks = clamp_int(wide.fsmblks),
        .hblks = clamp_int(wide.hblks),
        .hblkhd = clamp_int(wide.hblkhd),
        .uordblks = clamp_int(wide.uordblks),
        .fordblks = clamp_int(wide.fordblks),
        .keepcost = clamp_int(wide.keepcost),
    };
}

void hak_malloc_stats(void)
{
    hak_stats_text(false);
}

/* A class is a range of sizes, as a bin is in glibc; `total` and `count` are of free slots. */
static int sizes_write(FILE *stream, const struct hak_stats *stats)
{
    int written = fputs("<sizes>\n", stream);
    size_t from = 1;
    for (size_t bin_idx = 1; written >= 0 && bin_idx < HAK_BINS; bin_idx++) {
        const struct hak_class_stats *class = &stats->classes[bin_idx];
        size_t to = hak_classes[bin_idx].geometry.slot_bytes;
        uint64_t count = class->slots - class->live - class->resting;
        if (class->slots != 0) {
            written = fprintf(stream,
                              "<size from=\"%zu\" to=\"%zu\" total=\"%" PRIu64 "\" count=\"%" PRIu64
                              "\" live=\"%" PRIu64 "\"/>\n",
                              from, to, count * to, count, class->live);
        }
        from = to + 1;
    }
    return written < 0 ? written : fputs("</sizes>\n", stream);
}

int hak_malloc_info(int options, FILE *stream)
{
    struct hak_stats stats;
    if (options != 0) {
        return EINVAL; /* as glibc has it */
    }
    hak_stats_read(&stats);
    const uint64_t *backed = stats.backed_bytes;
    if (fputs("<malloc version=\"1\">\n<heap nr=\"0\">\n", stream) < 0 ||
        sizes_write(stream, &stats) < 0) {
        return -1;
    }
    int written =
        fprintf(stream,
                "<total type=\"fast\" count=\"%" PRIu64 "\" size=\"%" PRIu64 "\"/>\n"
                "<total type=\"mmap\" count=\"%" PRIu64 "\" size=\"%" PRIu64 "\"/>\n"
                "<system type=\"current\" size=\"%" PRIu64 "\"/>\n"
                "</heap>\n"
                "<total type=\"rest\" count=\"%" PRIu64 "\" size=\"%" PRIu64 "\"/>\n"
                "<aspace type=\"1g\" size=\"%" PRIu64 "\"/>\n"
                "<aspace type=\"2m\" size=\"%" PRIu64 "\"/>\n"
                "<aspace type=\"thp\" size=\"%" PRIu64 "\"/>\n"
                "<aspace type=\"ordinary\" size=\"%" PRIu64 "\"/>\n"
                "<aspace type=\"resting\" size=\"%" PRIu64 "\"/>\n"
                "</malloc>\n",
                stats.memory.free_slots, stats.memory.free_bytes, stats.memory.large_blocks,
                stats.memory.large_bytes,
                stats.memory.page_bytes + stats.memory.large_bytes + stats.memory.dirty_bytes,
                stats.memory.dirty_bytes / HAK_PAGE_BYTES, stats.memory.dirty_bytes,
                backed[HAK_BACKED_GIGANTIC], backed[HAK_BACKED_HUGETLB], backed[HAK_BACKED_THP],
                backed[HAK_BACKED_SMALL], all_resting_bytes(&stats));
    return written < 0 ? -1 : 0;
}
