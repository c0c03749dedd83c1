#!/usr/bin/env bash
# Heaps on the kernel's own pool of huge pages: filled, exhausted, shrunk, limited, empty; forks;
# mounts; THP. No case may end by SIGBUS, and each shows that the pages were had.
#
# ctest: labels=quick timeout=180 serial
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${HAKMEM_BUILD_DIR:-$here/../build/release}
programs=$build/test
unset LD_PRELOAD
while IFS='=' read -r name _; do
    case $name in
    HAKMEM_BUILD_DIR | HAKMEM_LIB | HAKMEM_BIN | HAKMEM_SOURCE_DIR | HAKMEM_POOL_LOCK) ;;
    HAKMEM_*) unset "$name" ;;
    esac
done < <(env)
export LC_ALL=C
failures=0
case_name=start
running=()       # processes that were started and not yet waited for
mounts=()        # the last one first
cgroup=          # that of the limited case
cgroup_controls= # the file in which its controller was switched on

say() { printf 'test_huge: %s\n' "$*"; }

fail() {
    printf 'test_huge: %s: %s\n' "$case_name" "$*" >&2
    failures=$((failures + 1))
}

# unable MESSAGE...: ends the test, as it cannot be run here.
unable() {
    say "skipped: $*"
    exit 77
}

# shellcheck source-path=SCRIPTDIR source=huge_pool.bash
source "$here/huge_pool.bash"
work=$(mktemp -d)
built=${HAKMEM_LIB:-$build/libhakmem.so}
library=$work/${built##*/}
preload=$library
heap=$work/huge_heap
forks=$work/huge_fork

# ---- mounts and cgroups ---------------------------------------------------------------------------

# mounted NAME TYPE OPTIONS: at $work/NAME.
mounted() {
    mkdir -p "$work/$1"
    mount -t "$2" -o "$3" hakmem "$work/$1" 2>/dev/null || return
    mounts=("$work/$1" "${mounts[@]}")
}

mounts_drop() {
    local mount tries
    for mount in "${mounts[@]}"; do
        for ((tries = 0; tries < 20; tries++)); do # what had it mapped may be on its way out
            ! umount "$mount" 2>/dev/null || break
            sleep 0.05
        done
    done
    mounts=()
}

# cgroup_make PAGES [rsvd.]: a cgroup with so many huge pages at most, or as many reserved, in
# version 2 if its hierarchy has them, else in version 1.
cgroup_make() {
    local root=$work/cgroup bytes=$(($1 * 2097152)) limit
    if mounted cgroup cgroup2 rw && grep -qw hugetlb "$root/cgroup.controllers"; then
        limit=hugetlb.2MB.${2-}max
        if ! grep -qw hugetlb "$root/cgroup.subtree_control"; then
            echo +hugetlb >"$root/cgroup.subtree_control" || return
            cgroup_controls=$root/cgroup.subtree_control
        fi
    else
        mounts_drop
        mounted cgroup cgroup hugetlb || return
        limit=hugetlb.2MB.${2-}limit_in_bytes
    fi
    mkdir "$root/hakmem-test-$$" || return
    cgroup=$root/hakmem-test-$$
    echo "$bytes" >"$cgroup/$limit"
}

cgroup_drop() {
    if [[ -n $cgroup ]]; then
        local tries
        for ((tries = 0; tries < 20; tries++)); do
            ! rmdir "$cgroup" 2>/dev/null || break
            sleep 0.05
        done
        cgroup=
    fi
    if [[ -n $cgroup_controls ]]; then
        echo -hugetlb >"$cgroup_controls"
        cgroup_controls=
    fi
    mounts_drop
}

# ---- runs -----------------------------------------------------------------------------------------

# start SETTING... -- COMMAND...: on $preload; led by `go`.
start() {
    local settings=()
    while [[ $1 != -- ]]; do
        settings+=("$1")
        shift
    done
    shift
    rm -f "$work/lead"
    mkfifo "$work/lead"
    rm -f "$work/out" "$work/err"
    timeout --kill-after=5 60 env "${settings[@]}" LD_PRELOAD="$preload" "$@" \
        <"$work/lead" >"$work/out" 2>"$work/err" &
    running=($!)
    exec {lead}>"$work/lead"
}

# until_waiting COUNT: the program has come to that `wait`.
until_waiting() {
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        (($(grep -c '^waiting$' "$work/out" 2>/dev/null || true) < $1)) || return 0
        kill -0 "${running[0]}" 2>/dev/null || break
        sleep 0.05
    done
    fail "the program did not come to its wait $1: $(head -c 300 "$work/err")"
}

go() { echo >&"$lead" || fail "nobody is led"; }

# end: waits for it. Sets status.
end() {
    status=0
    exec {lead}>&-
    wait "${running[0]}" 2>/dev/null || status=$?
    running=("${running[@]:1}")
}

# run SETTING... -- COMMAND...: its standard output in $work/out, the other in $work/err.
run() {
    start "$@"
    end
}

# ended STATUS PATTERN: with that status, and a last line like that.
ended() {
    # shellcheck disable=SC2053 # a pattern
    [[ $status == "$1" && $(tail -n 1 "$work/out") == $2 ]] ||
        fail "status $status, not $1: $(tail -n 3 "$work/out") $(head -c 300 "$work/err")"
}

# well: its blocks held what it had written, and all its pages went back.
well() {
    ended 0 sound
    pool_unused || fail "$(pool_left) of $(pool_counter nr) pages are left"
}

# quiet: it said nothing.
quiet() { [[ ! -s $work/err ]] || fail "it said: $(head -c 300 "$work/err")"; }

fallback='hakmem: no more huge pages can be had from the pool, going on with other pages'
warning='hakmem: fork without free huge pages for what the child may write'

# said COUNT LINE: on standard error so often, and nothing else.
said() {
    [[ $(grep -c "^$2" "$work/err" || true) == "$1" && $(wc -l <"$work/err") == "$1" ]] ||
        fail "it did not say $1 times '$2': $(head -c 400 "$work/err")"
}

# said_among COUNT LINE: the same, among other lines.
said_among() {
    [[ $(grep -c "^$2" "$work/err" || true) == "$1" ]] ||
        fail "it did not say $1 times '$2': $(head -c 400 "$work/err")"
}

# shown KEY NUMBER: what the program showed the NUMBERth time.
shown() {
    sed -n "s/.*$1=\([0-9]*\).*/\1/p" "$work/out" | sed -n "${2:-1}p"
}

# pooled NUMBER MIN_KIB MAX_KIB: what it had of the pool when it showed that.
pooled() {
    local kib
    kib=$(shown hugetlb_kib "$1")
    ((${kib:--1} >= $2 && ${kib:--1} <= $3)) || fail "${kib:-nothing} KiB of the pool, not $2 to $3"
}

# hog: somebody else takes what is left in the pool, until hog_end.
hog() {
    rm -f "$work/hog_lead"
    mkfifo "$work/hog_lead"
    : >"$work/hog_out"
    timeout --kill-after=5 60 "$work/huge_hog" 1000 <"$work/hog_lead" >"$work/hog_out" {lead}>&- &
    running+=($!)
    exec {hog_lead}>"$work/hog_lead"
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        ! grep -q '^got [1-9]' "$work/hog_out" || break
        sleep 0.05
    done
    [[ $(pool_left) == 0 ]] || fail "the other process took $(<"$work/hog_out"), $(pool_left) left"
}

hog_end() {
    exec {hog_lead}>&-
    wait "${running[0]}" || fail "the other process was lost"
    running=()
}

any='HAKMEM_HUGE_THRESHOLD_MB=0'
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)

# ---- the pool -------------------------------------------------------------------------------------

case_filled() {
    pool_fill 64
    run HAKMEM_HUGE=hugetlb "$any" -- "$heap" grow=40 show write check
    well
    quiet
    pooled 1 40960 65536
    run HAKMEM_HUGE=auto "$any" -- "$heap" grow=40 show write check
    well
    quiet
    pooled 1 40960 65536
    run HAKMEM_HUGE=off "$any" -- "$heap" grow=40 show
    well
    pooled 1 0 0
}

case_threshold() {
    pool_fill 100
    run HAKMEM_HUGE=hugetlb HAKMEM_HUGE_THRESHOLD_MB=64 -- "$heap" grow=20 show grow=90 show check
    well
    quiet
    pooled 1 0 0
    pooled 2 36864 65536
}

case_moved() {
    pool_fill 100
    run HAKMEM_HUGE=hugetlb "$any" -- "$heap" grow=30 stretch check stretch write check show
    well
    pooled 1 61440 204800
}

case_exhausted() {
    pool_fill 64
    start HAKMEM_HUGE=hugetlb "$any" -- \
        "$heap" grow=20 show wait grow=60 show check write check stretch check
    until_waiting 1
    hog
    go
    end
    hog_end
    well
    said 1 "$fallback"
    pooled 1 20480 65536
    pooled 2 20480 65536
}

case_shrunk() {
    pool_fill 64
    start HAKMEM_HUGE=hugetlb "$any" -- \
        "$heap" grow=20 show wait write grow=60 show check write check stretch check
    until_waiting 1
    echo 4 >"$pool/nr_hugepages"
    [[ $(pool_left) == 0 ]] || fail "$(pool_left) pages are left of a pool that was shrunk"
    go
    end
    ended 0 sound
    said 1 "$fallback"
    pooled 1 20480 65536
    pooled 2 20480 65536
    pool_unused || fail "$(pool_left) of $(pool_counter nr) pages are left"
    [[ $(pool_counter nr) == 4 ]] || fail "the pool has $(pool_counter nr) pages, not 4"
}

case_empty() {
    pool_fill 0
    run HAKMEM_HUGE=hugetlb "$any" -- "$heap" grow=40 show write check
    well
    said 1 "$fallback"
    pooled 1 0 0
    run HAKMEM_HUGE=auto "$any" -- "$heap" grow=40 show write check
    well
    quiet
    pooled 1 0 0
}

case_given_back() {
    pool_fill 64
    start HAKMEM_HUGE=hugetlb "$any" -- "$heap" grow=40 show drop trim show wait grow=40 show
    until_waiting 1
    [[ $(pool_left) == 64 ]] ||
        fail "malloc_trim: $(pool_counter free) free, $(pool_counter resv) of them reserved, of 64"
    go
    end
    well
    pooled 1 40960 65536
    pooled 2 0 0
}

case_child_gives_back() {
    local before
    pool_fill 64
    start HAKMEM_HUGE=hugetlb "$any" -- "$heap" grow=20 wait fork wait fork fork check
    until_waiting 1
    before=$(pool_counter free)
    go
    until_waiting 2
    [[ $(pool_counter free) == "$before" ]] ||
        fail "$before pages were free before the child, $(pool_counter free) after it"
    go
    end
    well
    quiet
}

# ---- limits and mounts ----------------------------------------------------------------------------

# shellcheck disable=SC2016 # the inner shell expands them
limited=(bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"')

case_cgroup() {
    pool_fill 64
    if ! cgroup_make 4; then
        cgroup_drop
        say "cgroup: no hugetlb controller can be had here, so no limit was tried"
        return
    fi
    run HAKMEM_HUGE=hugetlb "$any" -- \
        "${limited[@]}" "$cgroup" "$heap" grow=40 show check write check stretch check
    well
    said 1 "$fallback"
    pooled 1 2048 8192
    run HAKMEM_HUGE=hugetlb "$any" HAKMEM_HUGE_FORK=warn -- \
        "${limited[@]}" "$cgroup" "$heap" grow=40 show write check
    well
    said 1 "$fallback"
    pooled 1 8192 8192
    if [[ -e /sys/fs/cgroup/cgroup.controllers || -d /sys/fs/cgroup/hugetlb ||
        -e /sys/fs/cgroup/unified/cgroup.controllers ]]; then
        forked "${limited[@]}" "$cgroup" "$forks" exec 20 10
        forked "${limited[@]}" "$cgroup" "$forks" threads 10 10
        run HAKMEM_HUGE=hugetlb "$any" -- "${limited[@]}" "$cgroup" "$forks" many 3 10
        said_among 1 "$warning"
        cgroup_drop
        cgroup_make 24 rsvd. || fail "no limit of reservations can be set"
        forked "${limited[@]}" "$cgroup" "$forks" exec 20 40
        forked "${limited[@]}" "$cgroup" "$forks" threads 10 40
    else
        say "cgroup: none is mounted where a program could read its limits, so no fork was tried"
    fi
    cgroup_drop
}

case_quota() {
    pool_fill 64
    mounted quota hugetlbfs size=16M,pagesize=2M || unable "no hugetlbfs can be mounted"
    local place=HAKMEM_HUGETLBFS=$work/quota
    run HAKMEM_HUGE=hugetlb "$any" "$place" -- "$heap" grow=40 show check write check fork
    well
    said 1 "$fallback"
    pooled 1 2048 16384
    [[ -z $(ls -A "$work/quota") ]] || fail "files were left in the mount"
    forked env "$place" "$forks" exec 20 20
    run HAKMEM_HUGE=hugetlb "$any" "$place" -- "$forks" many 3 20
    said_among 1 "$warning"
    fallocate -l 16M "$work/quota/taken"
    run HAKMEM_HUGE=hugetlb "$any" "$place" -- "$heap" grow=40 show write check
    ended 0 sound
    said 1 "$fallback"
    pooled 1 0 0
    run HAKMEM_HUGE=hugetlb HAKMEM_HUGE_REQUIRE=1 "$place" -- "$heap" show
    ended 1 ''
    said 1 'hakmem: HAKMEM_HUGE_RESERVE=1: only 0 could be had'
    mounts_drop
    mounted room hugetlbfs pagesize=2M || unable "no hugetlbfs can be mounted"
    run HAKMEM_HUGE=hugetlb "$any" HAKMEM_HUGETLBFS="$work/room" -- "$heap" grow=40 show write fork
    well
    quiet
    pooled 1 40960 65536
    mounts_drop
}

# bad_mount MOUNT FAULT COMMAND...: one line names it, and no page of the pool is had from elsewhere;
# with HAKMEM_HUGE_REQUIRE the program does not start.
bad_mount() {
    local place=HAKMEM_HUGETLBFS=$1 line="hakmem: HAKMEM_HUGETLBFS=$1 $2\$"
    shift 2
    run HAKMEM_HUGE=hugetlb "$any" "$place" -- "$@" "$heap" grow=20 show check
    well
    said 1 "$line"
    pooled 1 0 0
    run HAKMEM_HUGE=hugetlb "$any" "$place" HAKMEM_HUGE_REQUIRE=1 -- "$@" "$heap" show
    ended 1 ''
    said 1 "$line"
    run "$place" -- "$@" "$heap" grow=20 show # HAKMEM_HUGE=off
    well
    quiet
}

case_bad_mounts() {
    pool_fill 64
    mkdir "$work/plain"
    bad_mount "$work/plain" 'is no hugetlbfs'
    bad_mount "$work/missing" 'cannot be looked at'
    bad_mount "$work/huge_heap" 'is no hugetlbfs'
    mounted closed hugetlbfs pagesize=2M,mode=0700 || unable "no hugetlbfs can be mounted"
    bad_mount "$work/closed" 'cannot be written to' "${nobody[@]}"
    if mounted gib hugetlbfs pagesize=1G; then
        bad_mount "$work/gib" 'has pages of another size than 2 MiB'
    fi
    mounts_drop
}

case_reserve() {
    local got huge=HAKMEM_HUGE=hugetlb
    pool_fill 16
    run $huge HAKMEM_HUGE_RESERVE=100 -- "$heap" show grow=60 check
    well
    got=$(sed -n 's/^hakmem: HAKMEM_HUGE_RESERVE=100: only \([0-9]*\) could be had.*/\1/p' \
        "$work/err")
    ((${got:-0} >= 8 && ${got:-0} <= 16 && $(wc -l <"$work/err") == 1)) ||
        fail "of 100 pages, with 16: $(<"$work/err")"
    pooled 1 $((${got:-0} * 2048)) $((${got:-0} * 2048))
    run $huge HAKMEM_HUGE_RESERVE=100 HAKMEM_HUGE_REQUIRE=1 -- "$heap" show
    ended 1 ''
    said 1 "hakmem: HAKMEM_HUGE_RESERVE=100: only $got could be had"
    run $huge HAKMEM_HUGE_RESERVE=16 HAKMEM_HUGE_FORK=warn HAKMEM_HUGE_REQUIRE=1 -- "$heap" show
    well
    quiet
    pooled 1 32768 32768
    for huge in HAKMEM_HUGE=hugetlb HAKMEM_HUGE=auto; do
        run $huge HAKMEM_HUGE_RESERVE=4 HAKMEM_HUGE_REQUIRE=1 -- "$heap" show grow=30 show check
        well
        quiet
        pooled 1 8192 8192
        pooled 2 8192 8192
    done
    run HAKMEM_HUGE=hugetlb HAKMEM_HUGE_REQUIRE=1 -- "$heap" show
    well
    pooled 1 2048 32768
    pool_fill 0
    run HAKMEM_HUGE=hugetlb HAKMEM_HUGE_REQUIRE=1 -- "$heap" show
    ended 1 ''
    said 1 'hakmem: HAKMEM_HUGE_RESERVE=1: only 0 could be had'
}

# A program with more rights than its user takes no directory from that user.
case_privileged() {
    pool_fill 64
    ln -sf "${library##*/}" "$work/$(readlink "$built")" # by its soname
    ${CC:-cc} -O1 -o "$work/linked" "$here/prog/huge_heap.c" "$library" -Wl,-rpath,"$work"
    chmod 755 "$work/linked"
    local settings=(HAKMEM_HUGE=hugetlb "$any" HAKMEM_HUGETLBFS="$work/missing")
    preload='' run "${settings[@]}" -- "${nobody[@]}" "$work/linked" grow=20 show
    well
    said 1 "hakmem: HAKMEM_HUGETLBFS=$work/missing cannot be looked at"
    chmod 4755 "$work/linked"
    preload='' run "${settings[@]}" -- "${nobody[@]}" "$work/linked" grow=20 show
    well
    if [[ $(shown secure) == 0 ]]; then
        say "privileged: no program gets rights in $work, so that was not tried"
        return
    fi
    quiet
    pooled 1 20480 65536
}

# ---- forks ----------------------------------------------------------------------------------------

# forked COMMAND... WAY COUNT MIB: in safe mode, and all children end well.
forked() {
    local count=${*: -2:1}
    run HAKMEM_HUGE=hugetlb "$any" -- "$@"
    ended 0 "children=$count well=$count hugetlb_kib=[1-9]*"
    said_among 0 "$warning"
    pool_unused || fail "$(pool_left) of $(pool_counter nr) pages are left"
}

# The heap is larger than the pool, of which it has what need not be kept for a child.
case_fork_full() {
    pool_fill 6
    forked "$forks" exec 200 7
    said 1 "$fallback"
    pooled 1 6144 6144
    forked "$forks" exit 20 7
    forked "$forks" threads 100 7
    pooled 1 6144 6144
}

case_spawn_full() {
    pool_fill 8
    forked "$forks" spawn 100 10
    forked "$forks" vfork 100 10
    run HAKMEM_HUGE=hugetlb "$any" HAKMEM_HUGE_FORK=warn -- "$forks" spawn 20 20
    ended 0 'children=20 well=20 hugetlb_kib=16384'
    said 1 "$fallback"
}

case_fork_many() {
    pool_fill 112 # 14 pages of the parent's, copies for five children, and what they copied before
    forked "$forks" many 5 16
    pooled 1 28672 28672
    forked "$forks" nested 30 16
}

case_fork_many_full() {
    pool_fill 16
    run HAKMEM_HUGE=hugetlb "$any" -- "$forks" many 3 20
    said_among 1 "$warning"
    pool_unused || fail "$(pool_left) of $(pool_counter nr) pages are left"
}

case_fork_warn() {
    pool_fill 16
    run HAKMEM_HUGE=hugetlb "$any" HAKMEM_HUGE_FORK=warn -- "$forks" exec 10 40
    said_among 1 "$warning"
    pooled 1 32768 32768
    pool_fill 64
    run HAKMEM_HUGE=hugetlb "$any" HAKMEM_HUGE_FORK=warn -- "$forks" exec 10 20
    ended 0 'children=10 well=10 hugetlb_kib=[1-9]*'
    said_among 0 "$warning"
}

# ---- THP, and what nothing costs ------------------------------------------------------------------

case_thp() {
    local mode
    mode=$(sed -n 's/.*\[\(.*\)\].*/\1/p' /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null)
    pool_fill 0
    run HAKMEM_HUGE=thp "$any" -- "$heap" grow=20 show check write check fork
    well
    quiet
    if [[ $mode != madvise && $mode != always ]]; then
        say "THP: the system's mode is ${mode:-unknown}, so no page was looked for"
        return
    fi
    (($(shown thp_kib) > 0)) || fail "no transparent huge page in mode $mode"
    run HAKMEM_HUGE=hugetlb "$any" -- "$heap" grow=20 show check # an empty pool
    (($(shown thp_kib) > 0)) || fail "no transparent huge page in place of one of the pool"
    [[ $mode == madvise ]] || return 0
    run HAKMEM_HUGE=thp HAKMEM_HUGE_THRESHOLD_MB=64 -- "$heap" grow=20 show
    well
    [[ $(shown thp_kib) == 0 ]] || fail "$(shown thp_kib) KiB of THP below the threshold"
    run HAKMEM_HUGE=off "$any" -- "$heap" grow=20 show
    [[ $(shown thp_kib) == 0 ]] || fail "$(shown thp_kib) KiB of THP without being asked for"
}

# calls SETTING: system calls of a trivial program, and how many of them are read().
calls() {
    strace -f -o "$work/calls" -E LD_PRELOAD="$library" -E "$1" /bin/true
    printf '%s %s\n' "$(grep -c '(' "$work/calls")" "$(grep -c ' read(' "$work/calls")"
}

case_start() {
    local off off_reads auto auto_reads
    if ! command -v strace >/dev/null || ! calls HAKMEM_HUGE=off >/dev/null 2>&1; then
        say "start: strace cannot be run, so no call was counted"
        return
    fi
    pool_fill 0
    read -r off off_reads < <(calls HAKMEM_HUGE=off)
    read -r auto auto_reads < <(calls HAKMEM_HUGE=auto)
    say "start with an empty pool: off $off calls, auto $auto, of them read $off_reads, $auto_reads"
    ((auto - off <= 2 && auto - off <= auto_reads - off_reads && off_reads > 0)) ||
        fail "auto costs more than two calls of read()"
}

# ---- all ------------------------------------------------------------------------------------------

# shellcheck disable=SC2317 # the EXIT trap calls it
leave() {
    local status=$? pid
    trap '' INT TERM HUP
    set +e
    for pid in "${running[@]}"; do
        kill -KILL -- "-$pid" "$pid" 2>/dev/null # timeout, and the group that it made
        wait "$pid" 2>/dev/null
    done
    cgroup_drop
    mounts_drop
    [[ -z $pool_saved ]] || pool_unused # the pages of what was ended come back
    pool_end
    rm -rf --one-file-system "$work"
    exit "$status"
}

trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
pool_begin
chmod 711 "$work" # other users reach what lies in it
cp -L "$built" "$library"
cp "$programs"/huge_{heap,hog,fork} "$work/"
mapfile -t cases < <(sed -n 's/^case_\([a-z_]*\)() {/\1/p' "$0")
(($# == 0)) || cases=("$@")
for case_name in "${cases[@]}"; do
    "case_$case_name"
done
if ((failures > 0)); then
    echo "test_huge: $failures failed" >&2
    exit 1
fi
