#!/usr/bin/env bash
# `hakmem doctor` on trees of /proc and /sys made here: its sentences, fixes, JSON and exit status.
#
# ctest: labels=quick timeout=60
set -euo pipefail
command -v python3 >/dev/null || { echo "skipped: no python3 to read the JSON with"; exit 77; }
hakmem=${HAKMEM_BIN:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
runs=0
root=$work/root
case_name=none
pools=/sys/kernel/mm/hugepages
thp=/sys/kernel/mm/transparent_hugepage
unset HAKMEM_HUGE HAKMEM_HUGE_RESERVE HAKMEM_HUGETLBFS HAKMEM_HUGE_REQUIRE HAKMEM_HUGE_FORK

# ---- trees ---------------------------------------------------------------------------------------

# put PATH TEXT: a file of the tree.
put() {
    mkdir -p "$root${1%/*}"
    printf '%s\n' "$2" >"$root$1"
}

# spoil PATH...: files that are there and that nobody can read, root neither.
spoil() {
    local path
    for path; do
        rm -rf "${root:?}$path"
        mkdir -p "$root$path"
    done
}

# pool KB PAGES FREE RESERVED SURPLUS OVERCOMMIT
pool() {
    local folder=$pools/hugepages-$1kB
    put "$folder/nr_hugepages" "$2"
    put "$folder/free_hugepages" "$3"
    put "$folder/resv_hugepages" "$4"
    put "$folder/surplus_hugepages" "$5"
    put "$folder/nr_overcommit_hugepages" "$6"
}

# node_pool NODE KB PAGES FREE
node_pool() {
    local folder=/sys/devices/system/node/node$1/hugepages/hugepages-$2kB
    put "$folder/nr_hugepages" "$3"
    put "$folder/free_hugepages" "$4"
    put "$folder/surplus_hugepages" 0
}

mounted() {
    printf '%s\n' "$*" >>"$root/proc/self/mountinfo"
}

# tree NAME: a new case, on a sound machine of 8 GiB with an empty pool of 2 MiB pages.
tree() {
    case_name=$1
    rm -rf "$root"
    put /proc/sys/kernel/osrelease 6.1.0-13-amd64
    put /proc/meminfo "MemTotal:        8388608 kB
MemAvailable:    4194304 kB
SwapTotal:       1048576 kB
CommitLimit:     5242880 kB
Committed_AS:    1048576 kB
Hugepagesize:       2048 kB"
    put /proc/sys/vm/overcommit_memory 0
    put /proc/sys/vm/overcommit_ratio 50
    put /proc/sys/vm/overcommit_kbytes 0
    put /proc/sys/vm/max_map_count 65530
    put /proc/self/limits "Limit                     Soft Limit           Hard Limit           Units
Max locked memory         8388608              8388608              bytes
Max address space         unlimited            unlimited            bytes"
    put /proc/self/smaps "00400000-00401000 r--p 00000000 00:00 0
KernelPageSize:        4 kB"
    put /proc/self/status "THP_enabled:	1"
    put /proc/self/cgroup "0::/app/db"
    put /proc/self/mountinfo "1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw"
    mounted "30 1 0:26 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw"
    put $thp/enabled "always [madvise] never"
    put $thp/defrag "always defer defer+madvise [madvise] never"
    put $thp/khugepaged/max_ptes_none 511
    put $thp/hpage_pmd_size 2097152
    pool 2048 0 0 0 0 0
    node_pool 0 2048 0 0
}

# ---- what is expected ----------------------------------------------------------------------------

# doctor STATUS [SETTING...]: runs it both ways; `output` is the text, $work/json.$runs the object.
doctor() {
    local expected=$1 status=0
    shift
    runs=$((runs + 1))
    output=$(env "$@" "$hakmem" doctor --root "$root" 2>&1) || status=$?
    [[ $status == "$expected" ]] || fail "status $status, expected $expected"
    status=0
    env "$@" "$hakmem" doctor --json --root "$root" >"$work/json.$runs" || status=$?
    [[ $status == "$expected" ]] || fail "status with --json $status, expected $expected"
    json "d['schema'] == 1"
}

fail() {
    printf '%s: %s\n%s\n' "$case_name" "$*" "${output:-}"
    failures=$((failures + 1))
}

says() {
    grep -qF -- "$1" <<<"$output" || fail "it does not say: $1"
}

says_not() {
    ! grep -qF -- "$1" <<<"$output" || fail "it says: $1"
}

# fix COMMAND: the command stands on a line of its own, ready to be pasted, and in the JSON.
fix() {
    grep -qxF -- "    $1" <<<"$output" || fail "no such fix: $1"
    json "[f for f in d['findings'] if f['fix'] == '''$1''']"
}

# json EXPRESSION...: true of the last object, `d`. They are looked at in json_check.
json() {
    printf '%s\n' "${@/#/$case_name	$work/json.$runs	}" >>"$work/expressions"
}

# All objects and expressions by one python3: to start it takes longer than all of them.
json_check() {
    python3 - "$work/expressions" <<'END'
import json
import sys

failed = False
for line in open(sys.argv[1]):
    case, path, expression = line.rstrip("\n").split("\t")
    try:
        with open(path, encoding="utf-8") as file:
            is_so = eval(expression, {"d": json.load(file)})
    except Exception as error:
        is_so = False
        print(repr(error))
    if not is_so:
        print(f"{case}: {path}: not so: {expression}")
        failed = True
sys.exit(failed)
END
}

# ---- nothing asked -------------------------------------------------------------------------------

tree nothing_asked
doctor 0
# The allocator's default, by its table of options.
default=$(sed -nE 's/.*"HAKMEM_HUGE", ([0-9]+), "([a-z|]+)".*/\1 \2/p' \
    "${HAKMEM_SOURCE_DIR:?}/front/options.h" | awk '{ split($2, words, "|"); print words[$1 + 1] }')
says "HAKMEM_HUGE=$default (not set: the default)"
says "Segments are on ordinary pages."
says "Nothing to fix."
says "Linux 6.1.0-13-amd64, pages of 4 KiB, memory nodes: 1."
json "d['schema'] == 1" "d['root'].endswith('/root')" "d['asked']['huge'] == 'off'" \
    "d['asked']['huge_is_default']" "d['verdict']['ok'] and d['findings'] == []" \
    "d['verdict']['first'] == 'small' and d['verdict']['starts']" \
    "d['kernel']['page_bytes'] == 4096 and d['kernel']['nodes'] == 1" \
    "d['memory']['rlimit_as_bytes'] == 'unlimited'" \
    "d['memory']['rlimit_memlock_bytes'] == 8388608" \
    "d['memory']['available_bytes'] == 4 << 30" "d['thp']['max_ptes_none'] == 511"

tree auto_on_empty_pool
doctor 0 HAKMEM_HUGE=auto
says "Segments are on transparent huge pages, advised with MADV_HUGEPAGE."
json "d['verdict']['segments_wanted'] == 0" "d['verdict']['first'] == 'thp'"

tree settings_without_effect
doctor 1 HAKMEM_HUGE_RESERVE=4 HAKMEM_HUGETLBFS=/mnt HAKMEM_HUGE_REQUIRE=1
says "HAKMEM_HUGE_RESERVE is set but not used, because HAKMEM_HUGE is off if it is not set."
says "HAKMEM_HUGETLBFS is set but not used"
says "HAKMEM_HUGE_REQUIRE is set but not used"
fix "export HAKMEM_HUGE=hugetlb"

tree refused_values
doctor 1 HAKMEM_HUGE=yes HAKMEM_HUGE_RESERVE=1x HAKMEM_HUGE_REQUIRE=2 HAKMEM_HUGE_FORK=never
says "HAKMEM_HUGE=yes is not off, thp, hugetlb or auto: off is used."
says "HAKMEM_HUGE_RESERVE=1x is not a number from 0 to 1048576: 0 is used."
says "HAKMEM_HUGE_REQUIRE=2 is not 0 or 1: 0 is used."
says "HAKMEM_HUGE_FORK=never is not safe or warn: safe is used."
fix "unset HAKMEM_HUGE"
doctor 1 HAKMEM_HUGE=thp HAKMEM_HUGE_RESERVE=1048577
says "HAKMEM_HUGE_RESERVE=1048577 is not a number from 0 to 1048576: 0 is used."
doctor 0 HAKMEM_HUGE=off HAKMEM_HUGE_RESERVE=0

# ---- pools ---------------------------------------------------------------------------------------

tree empty_pool
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=64
says "need 64 pages of 2 MiB, and as many again must stay free as head-room for fork"
says "128 in all. The pool has 0 that"
fix "echo 128 >/proc/sys/vm/nr_hugepages"
json "d['verdict']['pages_wanted'] == 64 and d['verdict']['headroom_pages'] == 64" \
    "d['verdict']['first'] == 'thp'" "d['verdict']['pages_available'] == 0"
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=64 HAKMEM_HUGE_FORK=warn
says_not "head-room"
fix "echo 64 >/proc/sys/vm/nr_hugepages"
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_REQUIRE=1
says "The program would not start: HAKMEM_HUGE_REQUIRE=1"
fix "echo 2 >/proc/sys/vm/nr_hugepages"
says "1 segment of 2 MiB on hugetlb (the least that is of use) needs 1 page of 2 MiB"
json "d['verdict']['starts'] is False"
doctor 1 HAKMEM_HUGE=auto HAKMEM_HUGE_RESERVE=1 HAKMEM_HUGE_REQUIRE=1
json "d['verdict']['starts'] is True and d['verdict']['first'] == 'thp'"

tree pool_partly_taken # 100 pages, of which 20 - 10 can be had: 5 segments beside their head-room
pool 2048 100 20 10 0 0
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=64
says "The pool has 10 that are free and not reserved."
says "Segments are on hugetlb pages."
says "Segments that can be on hugetlb now: 5 (10 MiB); after them, transparent huge pages"
says "Populated at start: 5 of 64 segments asked for."
fix "echo 218 >/proc/sys/vm/nr_hugepages"
json "d['verdict']['segments_possible'] == 5" "d['verdict']['starts'] is True"
doctor 0 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=5
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=6
doctor 0 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=10 HAKMEM_HUGE_FORK=warn
says "with 10 pages in use 0 stay free, so a child after fork"

doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=6 HAKMEM_HUGE_REQUIRE=1
json "d['verdict']['starts'] is False"
pool 2048 100 10 20 0 0 # read while they changed
doctor 1 HAKMEM_HUGE=hugetlb
json "d['verdict']['pages_available'] == 0"

tree full_pool
pool 2048 256 0 0 0 0
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=1
fix "echo 258 >/proc/sys/vm/nr_hugepages"

tree ample_pool
pool 2048 256 256 0 0 0
doctor 0 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=128 HAKMEM_HUGE_REQUIRE=1
says "Populated at start: 128 of 128 segments asked for."
says "256 pages of 2 MiB can be had: half for segments, half stays free for fork."
doctor 0 HAKMEM_HUGE=auto
json "d['verdict']['first'] == 'hugetlb' and d['verdict']['segments_possible'] == 128"

tree pool_grows_on_demand
pool 2048 0 0 0 2 10
doctor 0 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=4
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=5
fix "echo 2 >/proc/sys/vm/nr_hugepages"

tree more_than_memory # 4 GiB are available: 2048 pages, 1024 segments with their head-room
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=1025
says "Only 4 GiB of memory is available"
fix "export HAKMEM_HUGE_RESERVE=1024"
says_not "echo 2050"
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=1024
fix "echo 2048 >/proc/sys/vm/nr_hugepages"

tree other_default_size # then /proc/sys/vm/nr_hugepages is about another pool
put /proc/meminfo "MemAvailable:    4194304 kB
Hugepagesize:    1048576 kB"
doctor 1 HAKMEM_HUGE=hugetlb
fix "echo 2 >$pools/hugepages-2048kB/nr_hugepages"

tree no_such_pool
rm -r "${root:?}$pools/hugepages-2048kB"
doctor 1 HAKMEM_HUGE=hugetlb
says "The kernel has no pool of 2 MiB pages."
rm -r "${root:?}$pools"
doctor 1 HAKMEM_HUGE=hugetlb
says "/sys/kernel/mm/hugepages cannot be read"
json "d['pools'] is None" "d['verdict']['segments_possible'] is None"
doctor 0 HAKMEM_HUGE=thp

tree nodes
pool 2048 64 64 0 0 0
node_pool 0 2048 64 64
node_pool 1 2048 0 0
doctor 0 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=8
says "    node 1: pages 0, free 0, surplus 0."
says "Node 1 has no free page of 2 MiB"
json "d['kernel']['nodes'] == 2" "[n['free'] for n in d['pools'][0]['nodes']] == [64, 0]"

# ---- mounts --------------------------------------------------------------------------------------

tree gigantic_pages
pool 1048576 1 1 0 0 0
mounted "40 1 0:40 / /mnt/huge rw - hugetlbfs none rw,pagesize=1024M"
mkdir -p "$root/mnt/huge"
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGETLBFS=/mnt/huge HAKMEM_HUGE_RESERVE=100
says "need 1 page of 1 GiB, and as many again"
fix "echo 2 >$pools/hugepages-1048576kB/nr_hugepages"
says "hugepagesz=1024M hugepages=2, which pages of this size nearly always need"
json "d['verdict']['pool_page_bytes'] == 1 << 30" "[p['page_bytes'] for p in d['pools']] == [2 << 20, 1 << 30]"
doctor 0 HAKMEM_HUGE=hugetlb HAKMEM_HUGETLBFS=/mnt/huge HAKMEM_HUGE_RESERVE=512 HAKMEM_HUGE_FORK=warn
json "d['verdict']['segments_possible'] == 512"

tree mount_with_quota # 8 MiB: two segments and their head-room
pool 2048 64 64 0 0 0
mounted '41 1 0:41 / /mnt/my\040huge rw - hugetlbfs none rw,pagesize=2M,size=8388608,min_size=4194304'
mkdir -p "$root/mnt/my huge/part"
doctor 0 HAKMEM_HUGE=hugetlb "HAKMEM_HUGETLBFS=/mnt/my huge" HAKMEM_HUGE_RESERVE=2
says "/mnt/my huge: pages of 2 MiB, quota 8 MiB, free of it unknown, kept for it 4 MiB, this user may write."
json "d['mounts'][0]['path'] == '/mnt/my huge'" "d['mounts'][0]['size_bytes'] == 8 << 20" \
    "d['mounts'][0]['min_size_bytes'] == 4 << 20" "d['mounts'][0]['free_bytes'] is None"
doctor 1 HAKMEM_HUGE=hugetlb "HAKMEM_HUGETLBFS=/mnt/my huge/part" HAKMEM_HUGE_RESERVE=4
says "The mount /mnt/my huge has a quota of 8 MiB"
says "umount '/mnt/my huge' && mount -t hugetlbfs -o pagesize=2048K,size=16777216,min_size=4194304,"
json "d['verdict']['segments_possible'] == 2"

tree mount_keeps_its_pages # reserved by the mount itself, for whoever maps there
pool 2048 4 4 4 0 0
mounted "41 1 0:41 / /mnt/huge rw - hugetlbfs none rw,pagesize=2M,min_size=8388608"
mkdir -p "$root/mnt/huge"
doctor 0 HAKMEM_HUGE=hugetlb HAKMEM_HUGETLBFS=/mnt/huge HAKMEM_HUGE_RESERVE=2
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=2

tree mount_read_only
pool 2048 64 64 0 0 0
mounted "41 1 0:41 / /mnt/huge ro,relatime - hugetlbfs none ro,pagesize=2M"
mkdir -p "$root/mnt/huge"
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGETLBFS=/mnt/huge HAKMEM_HUGE_REQUIRE=1
says "HAKMEM_HUGETLBFS=/mnt/huge is mounted read-only."
says "The program would not start"
fix "mount -o remount,rw /mnt/huge"
json "d['mounts'][0]['read_only'] and d['mounts'][0]['writable'] is False"
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGETLBFS=/mnt/huge
says "Segments are on transparent huge pages"

tree mount_read_only_in_one_place # of several mounts of one file system, or all of them
pool 2048 64 64 0 0 0
mounted "41 1 0:41 / /mnt/a ro,relatime - hugetlbfs none rw,pagesize=2M"
mounted "42 1 0:42 / /mnt/b rw,relatime - hugetlbfs none ro,pagesize=2M"
mounted "43 1 0:43 / /mnt/c rw,errors=ro - hugetlbfs none rw,pagesize=2M,gid=1"
mkdir -p "$root/mnt/a" "$root/mnt/b" "$root/mnt/c"
doctor 0
json "[m['read_only'] for m in d['mounts']] == [True, True, False]"

tree mount_not_writable
pool 2048 64 64 0 0 0
mounted "41 1 0:41 / /mnt/huge rw,relatime - hugetlbfs none rw,pagesize=2M"
mkdir -p "$root/mnt/huge"
chmod 555 "$root/mnt/huge"
plain_hakmem=$hakmem
user=$(id -u)
if ((user == 0)); then # root may write everywhere
    user=65534
    cp "$hakmem" "$work/hakmem"
    chmod 755 "$work" "$work/hakmem"
    hakmem=$work/as_nobody
    printf '#!/bin/sh\nexec setpriv --reuid %s --clear-groups "%s" "$@"\n' "$user" \
        "$work/hakmem" >"$hakmem"
    chmod 755 "$hakmem"
fi
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGETLBFS=/mnt/huge
says "HAKMEM_HUGETLBFS=/mnt/huge: user $user may not write there."
fix "chown $user /mnt/huge"
json "d['mounts'][0]['writable'] is False and not d['mounts'][0]['read_only']"
hakmem=$plain_hakmem

tree mount_not_hugetlbfs
pool 2048 64 64 0 0 0
mounted "41 1 0:41 / /mnt rw - tmpfs tmpfs rw"
mounted "42 1 0:42 / /mnt/hugely rw - hugetlbfs none rw,pagesize=2M"
mkdir -p "$root/mnt/huge" "$root/mnt/hugely"
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGETLBFS=/mnt/huge
says "HAKMEM_HUGETLBFS=/mnt/huge is not on a hugetlbfs mount but on tmpfs."
fix "mount -t hugetlbfs -o pagesize=2M,uid=$(id -u) none /mnt/huge"
mounted "43 1 0:43 / /mnt/hugely rw - tmpfs tmpfs rw" # covers the one before
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGETLBFS=/mnt/hugely
says "but on tmpfs."

tree mount_of_a_like_name
pool 2048 64 64 0 0 0
mounted "41 1 0:41 / /mnt/huge rw - hugetlbfs none rw,pagesize=2M"
mounted "42 1 0:42 / /mnt rw - tmpfs tmpfs rw" # does not take what lies further inside
mkdir -p "$root/mnt/huge/part" "$root/mnt/hugely"
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGETLBFS=/mnt/hugely
says "but on tmpfs."
doctor 0 HAKMEM_HUGE=hugetlb HAKMEM_HUGETLBFS=/mnt/huge/part

tree mount_gone
doctor 1 HAKMEM_HUGE=auto "HAKMEM_HUGETLBFS=/mnt/it's gone"
says "HAKMEM_HUGETLBFS=/mnt/it's gone is not there."
says "mkdir -p '/mnt/it'\\''s gone' && mount -t hugetlbfs"
doctor 1 HAKMEM_HUGE=auto HAKMEM_HUGETLBFS=mnt
says "HAKMEM_HUGETLBFS=mnt is not an absolute path."

# ---- cgroups -------------------------------------------------------------------------------------

tree cgroup_2 # the group above leaves 12 - 8 MiB: one segment and its head-room
pool 2048 64 64 0 0 0
put /sys/fs/cgroup/app/db/hugetlb.2MB.max max
put /sys/fs/cgroup/app/db/hugetlb.2MB.current 0
put /sys/fs/cgroup/app/hugetlb.2MB.max 12582912
put /sys/fs/cgroup/app/hugetlb.2MB.current 8388608
put /sys/fs/cgroup/app/memory.max 1048576
put /sys/fs/cgroup/app/memory.current 524288
doctor 0 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=1
json "d['cgroups']['hugetlb'] == {'version': 2, 'path': '/sys/fs/cgroup/app/db'}" \
    "d['cgroups']['limits'][0]['limit_bytes'] == 'unlimited'" \
    "d['cgroups']['limits'][1]['limit_bytes'] == 12 << 20" \
    "d['cgroups']['limits'][1]['used_bytes'] == 8 << 20"
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=4
says "The cgroup limit /sys/fs/cgroup/app/hugetlb.2MB.max allows 12 MiB, of which 8 MiB is in use"
fix "echo 25165824 >/sys/fs/cgroup/app/hugetlb.2MB.max"
json "d['verdict']['segments_possible'] == 1"
doctor 1 HAKMEM_HUGE=thp HAKMEM_HUGE_RESERVE=1
says "The cgroup limit /sys/fs/cgroup/app/memory.max allows 1 MiB; HAKMEM_HUGE_RESERVE asks for 2 MiB."
fix "echo 2621440 >/sys/fs/cgroup/app/memory.max"
rm "$root/sys/fs/cgroup/app/hugetlb.2MB.max" "$root/sys/fs/cgroup/app/memory.max"
put /sys/fs/cgroup/app/db/hugetlb.2MB.rsvd.max 2097152
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=1
fix "echo 4194304 >/sys/fs/cgroup/app/db/hugetlb.2MB.rsvd.max"
spoil /sys/fs/cgroup/app/db/hugetlb.2MB.rsvd.max
doctor 0 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=1
says "/sys/fs/cgroup/app/db/hugetlb.2MB.rsvd.max cannot be read"
json "d['cgroups']['limits'][-1]['limit_bytes'] is None"

tree cgroup_2_counts_hugetlb_as_memory
pool 2048 64 64 0 0 0
mounted "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,memory_hugetlb_accounting"
put /sys/fs/cgroup/memory.max 4194304
put /sys/fs/cgroup/memory.current 4194304
doctor 0 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=1
says "Limits on memory count hugetlb pages, too"
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=2
fix "echo 8388608 >/sys/fs/cgroup/memory.max"

tree cgroup_1_in_a_container # of the hierarchy only /docker/c0 is mounted
pool 2048 64 64 0 0 0
put /proc/self/cgroup "5:hugetlb:/docker/c0
4:cpu,memory:/docker/c0/inner
0::/"
put /proc/self/mountinfo "1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw"
mounted "32 1 0:31 /docker/c0 /sys/fs/cgroup/hugetlb rw - cgroup cgroup rw,hugetlb"
mounted "33 1 0:32 /docker/c0 /sys/fs/cgroup/memory rw - cgroup cgroup rw,cpu,memory"
put /sys/fs/cgroup/hugetlb/hugetlb.2MB.limit_in_bytes 2097152
put /sys/fs/cgroup/hugetlb/hugetlb.2MB.usage_in_bytes 0
put /sys/fs/cgroup/memory/inner/memory.limit_in_bytes 9223372036854771712
put /sys/fs/cgroup/memory/memory.limit_in_bytes 1073741824
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=1
fix "echo 4194304 >/sys/fs/cgroup/hugetlb/hugetlb.2MB.limit_in_bytes"
json "d['cgroups']['hugetlb']['version'] == 1 and d['cgroups']['memory']['version'] == 1" \
    "d['cgroups']['memory']['path'] == '/sys/fs/cgroup/memory/inner'" \
    "[l['limit_bytes'] for l in d['cgroups']['limits']] == [2097152, 'unlimited', 1 << 30]" \
    "d['cgroups']['limits'][2]['used_bytes'] is None"

# ---- transparent huge pages ----------------------------------------------------------------------

tree thp_never
put $thp/enabled "always madvise [never]"
doctor 1 HAKMEM_HUGE=thp
says "THP is set to never."
says "Segments are on ordinary pages."
fix "echo madvise >$thp/enabled"
doctor 1 HAKMEM_HUGE=auto HAKMEM_HUGE_REQUIRE=1
says "The program would not start"
doctor 0 HAKMEM_HUGE=auto
json "d['verdict']['first'] == 'small'"
put $thp/hugepages-2048kB/enabled "always inherit [madvise] never"
doctor 0 HAKMEM_HUGE=thp
put $thp/hugepages-2048kB/enabled "always [inherit] madvise never"
doctor 1 HAKMEM_HUGE=thp
fix "echo madvise >$thp/hugepages-2048kB/enabled"

tree thp_madvise
doctor 0 HAKMEM_HUGE=thp HAKMEM_HUGE_REQUIRE=1 HAKMEM_HUGE_RESERVE=3
says "Populated at start: all 3 segments asked for."
says "Segments are on transparent huge pages, advised with MADV_HUGEPAGE."
put $thp/hugepages-2048kB/enabled "always inherit madvise [never]"
put $thp/hugepages-64kB/enabled "always inherit madvise [never]"
put $thp/hugepages-8kB/stats/swpin 0
doctor 1 HAKMEM_HUGE=thp
says "THP of 2 MiB is set to never."
json "[s['page_bytes'] for s in d['thp']['sizes']] == [65536, 2097152]"

tree thp_always
put $thp/enabled "[always] madvise never"
put $thp/defrag "always [defer] defer+madvise madvise never"
doctor 0 HAKMEM_HUGE=thp
says "THP defrag is defer"
says "khugepaged may fill up to 511 untouched pages"
doctor 0
says "THP is always: the kernel puts huge pages under programs that do not ask, too."

tree thp_of_another_size
put $thp/hpage_pmd_size 536870912
doctor 1 HAKMEM_HUGE=thp
says "THP comes in pages of 512 MiB here"

tree thp_off_for_the_process
put /proc/self/status "THP_enabled:	0"
doctor 1 HAKMEM_HUGE=thp
says "prctl(PR_SET_THP_DISABLE)"
json "d['thp']['process'] is False"

# ---- overcommit, limits, kernel ------------------------------------------------------------------

tree overcommit_2 # 4 GiB are left; 2049 segments are 2 MiB more
put /proc/sys/vm/overcommit_memory 2
doctor 0 HAKMEM_HUGE=thp HAKMEM_HUGE_RESERVE=2048
says "vm.overcommit_memory is 2, overcommit_ratio 50, overcommit_kbytes 0; 1 GiB of CommitLimit 5 GiB are promised, and more is refused."
doctor 1 HAKMEM_HUGE=thp HAKMEM_HUGE_RESERVE=2049
fix "echo 4196352 >/proc/sys/vm/overcommit_kbytes"
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=50
says "growing the pool by 100 pages lowers CommitLimit, which all other memory counts against, by 100 MiB."

tree small_address_space
put /proc/self/limits "Max address space         8388608              unlimited            bytes"
doctor 0 HAKMEM_HUGE=thp HAKMEM_HUGE_RESERVE=2
doctor 1 HAKMEM_HUGE=thp HAKMEM_HUGE_RESERVE=3
fix "ulimit -v unlimited"
json "d['memory']['rlimit_as_bytes'] == 8 << 20" "d['memory']['rlimit_memlock_bytes'] is None"

tree few_mappings
put /proc/sys/vm/max_map_count 100
doctor 0 HAKMEM_HUGE=thp HAKMEM_HUGE_RESERVE=50
doctor 1 HAKMEM_HUGE=thp HAKMEM_HUGE_RESERVE=51
fix "echo 65632 >/proc/sys/vm/max_map_count"

tree old_kernel
put /proc/sys/kernel/osrelease 4.13.1
doctor 0
says "No MADV_POPULATE_WRITE: segments are populated by read(2) into them, slower (Linux 5.14)."
says "No membarrier"
json "not any(d['kernel'][k] for k in ('madvise_populate_write', 'membarrier'))"
put /proc/sys/kernel/osrelease 5.16.0
doctor 0
says "Segments are populated with MADV_POPULATE_WRITE"
json "d['kernel']['madvise_populate_write'] and d['kernel']['membarrier']"

# ---- what cannot be read -------------------------------------------------------------------------

tree pool_unreadable
spoil $pools/hugepages-2048kB/free_hugepages
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGE_REQUIRE=1
says "The pool of 2 MiB pages cannot be read: nothing tells how many are free."
says "Nothing tells whether the program would start"
says "pages 0, free unknown,"
json "d['pools'][0]['free'] is None and d['pools'][0]['pages'] == 0" \
    "d['verdict']['segments_possible'] is None and d['verdict']['first'] is None" \
    "d['verdict']['starts'] is None"
doctor 0 HAKMEM_HUGE=auto

tree numbers_spoilt
put $pools/hugepages-2048kB/free_hugepages 12x
put $pools/hugepages-2048kB/resv_hugepages ""
put $pools/hugepages-2048kB/nr_hugepages 99999999999999999999999
doctor 0
json "[d['pools'][0][k] for k in ('free', 'reserved', 'pages')] == [None, None, None]"

tree nothing_readable
rm -rf "$root"
mkdir "$root"
doctor 0
says "Linux unknown, pages of unknown, memory nodes: unknown."
json "all(v is None for v in d['kernel'].values())" "all(v is None for v in d['memory'].values())" \
    "d['pools'] is None and d['mounts'] is None and d['cgroups']['limits'] == []" \
    "d['cgroups']['memory']['version'] is None" \
    "all(not v for v in d['thp'].values()) and d['thp']['process'] is None"
doctor 1 HAKMEM_HUGE=thp
says "Nothing tells whether THP can be had"
doctor 1 HAKMEM_HUGE=hugetlb HAKMEM_HUGETLBFS=/mnt/huge

# ---- this machine, and wrong calls ---------------------------------------------------------------

tree live
doctor 0
"$hakmem" doctor >/dev/null || fail "on this machine"
runs=$((runs + 1))
"$hakmem" doctor --json --root / >"$work/json.$runs" || fail "on this machine"
json "d['root'] == '/'" "d['kernel']['page_bytes'] == $(getconf PAGESIZE)"

# wrong PATTERN ARGUMENT...: ends with 2 and says so.
wrong() {
    local pattern=$1 status=0
    shift
    output=$("$hakmem" doctor "$@" 2>&1) || status=$?
    [[ $status == 2 ]] || fail "$*: status $status, expected 2"
    says "hakmem: doctor: $pattern"
}

case_name=help
output=$("$hakmem" --help)
says "hakmem doctor [--json] [--root DIR]"

case_name=wrong_call
wrong "unknown option (see hakmem --help): --yaml" --yaml
wrong "unknown option (see hakmem --help): x" --json x
wrong "no directory after --root" --root
wrong "no such directory: $work/none" --root "$work/none"
status=0
"$hakmem" doctor >/dev/full 2>"$work/error" || status=$?
output=$(<"$work/error")
[[ $status == 2 ]] || fail "full output: status $status"
says "hakmem: doctor: cannot write"

json_check || failures=$((failures + 1))
((failures == 0)) || exit 1
echo "all cases as expected"
