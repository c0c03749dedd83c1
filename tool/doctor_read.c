/*
 * doctor_read.c: pools, transparent huge pages, memory and kernel, from /proc and /sys.
 *
 * With a root directory other than "" the kernel's page size is that of /proc/self/smaps there: a
 * captured system may have another one than this machine.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "doctor_files.h"

#define HUGEPAGES "/sys/kernel/mm/hugepages"
#define THP "/sys/kernel/mm/transparent_hugepage"
#define NODES "/sys/devices/system/node"

/* ---- pools ----------------------------------------------------------------------------------- */

static void pool_take(struct doctor_system *system, uint64_t page_kb)
{
    const char *root = system->root;
    unsigned long long kb = page_kb;
    struct doctor_figure usual =
        doctor_file_key(doctor_path(root, "/proc/meminfo"), "Hugepagesize");
    system->pools = doctor_grow(system->pools, system->pool_count, sizeof *system->pools);
    struct doctor_pool *pool = &system->pools[system->pool_count++];
    pool->page_bytes = page_kb * 1024;
    pool->is_default = usual.state == FIGURE_KNOWN && usual.value == pool->page_bytes;
#define POOL_FILE(name)                                                                            \
    doctor_file_number(doctor_path(root, HUGEPAGES "/hugepages-%llukB/" name, kb))
    pool->pages = POOL_FILE("nr_hugepages");
    pool->free = POOL_FILE("free_hugepages");
    pool->reserved = POOL_FILE("resv_hugepages");
    pool->surplus = POOL_FILE("surplus_hugepages");
    pool->overcommit = POOL_FILE("nr_overcommit_hugepages");
#undef POOL_FILE
}

static void node_pool_read(const char *root, struct doctor_pool *pool, unsigned node)
{
    unsigned long long kb = pool->page_bytes / 1024;
    pool->nodes = doctor_grow(pool->nodes, pool->node_count, sizeof *pool->nodes);
    struct doctor_node_pool *part = &pool->nodes[pool->node_count++];
    part->node = node;
#define NODE_FILE(name)                                                                            \
    doctor_file_number(                                                                            \
        doctor_path(root, NODES "/node%u/hugepages/hugepages-%llukB/" name, node, kb))
    part->pages = NODE_FILE("nr_hugepages");
    part->free = NODE_FILE("free_hugepages");
    part->surplus = NODE_FILE("surplus_hugepages");
#undef NODE_FILE
}

static void node_take(struct doctor_system *system, uint64_t node)
{
    system->nodes.value++;
    for (size_t i = 0; i < system->pool_count; i++) {
        node_pool_read(system->root, &system->pools[i], (unsigned)node);
    }
}

static void pools_read(struct doctor_system *system)
{
    struct doctor_path pools = doctor_path(system->root, HUGEPAGES);
    bool is_read = doctor_numbered(pools, "hugepages-", "kB", pool_take, system);
    system->pools_read = is_read ? ANSWER_YES : ANSWER_NO;
    if (doctor_numbered(doctor_path(system->root, NODES), "node", "", node_take, system) &&
        system->nodes.value > 0) {
        system->nodes.state = FIGURE_KNOWN;
    }
}

/* ---- transparent huge pages ------------------------------------------------------------------ */

/* Sizes that only files in memory can have are left out: they have no "enabled". */
static void thp_size_take(struct doctor_system *system, uint64_t page_kb)
{
    struct doctor_thp *thp = &system->thp;
    struct doctor_path file =
        doctor_path(system->root, THP "/hugepages-%llukB/enabled", (unsigned long long)page_kb);
    if (access(file.text, F_OK) != 0) {
        return;
    }
    thp->sizes = doctor_grow(thp->sizes, thp->size_count, sizeof *thp->sizes);
    struct doctor_thp_size *size = &thp->sizes[thp->size_count++];
    size->page_bytes = page_kb * 1024;
    doctor_file_choice(file, size->enabled, sizeof size->enabled);
}

static void thp_read(struct doctor_system *system)
{
    const char *root = system->root;
    struct doctor_thp *thp = &system->thp;
    doctor_file_choice(doctor_path(root, THP "/enabled"), thp->enabled, sizeof thp->enabled);
    doctor_file_choice(doctor_path(root, THP "/defrag"), thp->defrag, sizeof thp->defrag);
    thp->max_ptes_none = doctor_file_number(doctor_path(root, THP "/khugepaged/max_ptes_none"));
    thp->pmd_bytes = doctor_file_number(doctor_path(root, THP "/hpage_pmd_size"));
    struct doctor_figure process =
        doctor_file_key(doctor_path(root, "/proc/self/status"), "THP_enabled");
    if (process.state == FIGURE_KNOWN) {
        thp->process = process.value != 0 ? ANSWER_YES : ANSWER_NO;
    }
    doctor_numbered(doctor_path(root, THP), "hugepages-", "kB", thp_size_take, system);
}

/* ---- memory, limits, kernel ------------------------------------------------------------------ */

static void memory_read(struct doctor_system *system)
{
    struct doctor_path info = doctor_path(system->root, "/proc/meminfo");
    system->total_bytes = doctor_file_key(info, "MemTotal");
    system->available_bytes = doctor_file_key(info, "MemAvailable");
    system->swap_bytes = doctor_file_key(info, "SwapTotal");
    system->commit_limit_bytes = doctor_file_key(info, "CommitLimit");
    system->committed_bytes = doctor_file_key(info, "Committed_AS");
#define VM_FILE(name) doctor_file_number(doctor_path(system->root, "/proc/sys/vm/" name))
    system->overcommit_mode = VM_FILE("overcommit_memory");
    system->overcommit_ratio = VM_FILE("overcommit_ratio");
    system->overcommit_kb = VM_FILE("overcommit_kbytes");
    system->max_map_count = VM_FILE("max_map_count");
#undef VM_FILE
    struct doctor_path limits = doctor_path(system->root, "/proc/self/limits");
    system->address_space_bytes = doctor_file_key(limits, "Max address space");
    system->locked_bytes = doctor_file_key(limits, "Max locked memory");
}

static void kernel_read(struct doctor_system *system)
{
    unsigned major, minor;
    doctor_file_line(doctor_path(system->root, "/proc/sys/kernel/osrelease"), system->release,
                     sizeof system->release);
    if (sscanf(system->release, "%u.%u", &major, &minor) == 2 && minor < 1000) {
        system->version = doctor_known(major * UINT64_C(1000) + minor);
    }
    if (system->root[0] == '\0') {
        system->os_page_bytes = doctor_known((uint64_t)sysconf(_SC_PAGESIZE));
    } else {
        system->os_page_bytes =
            doctor_file_key(doctor_path(system->root, "/proc/self/smaps"), "KernelPageSize");
    }
}

void doctor_read(struct doctor_system *system, const char *root, const char *hugetlbfs)
{
    memset(system, 0, sizeof *system);
    system->root = root;
    kernel_read(system);
    memory_read(system);
    pools_read(system);
    thp_read(system);
    doctor_read_mounts(system, hugetlbfs);
}
