#!/usr/bin/env bash
# HAKMEM_LIMIT on a real program: by bytes, also hardened; by a cgroup as it is read, of either version, from files
# that are mounted in place of the system's; and in a cgroup of its own, where the same program
# without the option is killed. The last two are said and left out where they cannot be had.
#
# ctest: labels=quick timeout=120
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
program=$build/test/fill_memory
built "$library" "$program"
options_clear
work=$(mktemp -d)
group=
trap 'rm -rf "$work"; [[ ! $group ]] || rmdir "$group"' EXIT

# judge NAME STATUS OUTPUT LEAST MOST: the program was refused a block when it had LEAST to MOST MiB,
# and had no more of them resident. 3 MiB are its own.
judge() {
    local how had resident
    read -r how had resident <<<"$3"
    if [[ $2 != 0 || $how != refused ]]; then
        fail "$1: status $2, it said: $3"
    elif ((had < $4 << 10 || had > $5 << 10 || resident > ($5 + 3) << 10)); then
        fail "$1: not $4 to $5 MiB: $3"
    fi
}

# ---- by bytes
for limit in 24M 25165824 24576K; do
    status=0
    output=$(HAKMEM_LIMIT=$limit LD_PRELOAD=$library "$program" 100 2>&1) || status=$?
    judge "HAKMEM_LIMIT=$limit" "$status" "$output" 16 24
done
status=0
for bytes in 4000 30000 200000; do
    output=$(HAKMEM_HARDEN=1 HAKMEM_LIMIT=64M LD_PRELOAD=$library "$program" 100 $bytes 2>&1) || status=$?
    judge "hardened, blocks of $bytes" "$status" "$output" 30 64
done
status=0
output=$(LD_PRELOAD=$library "$program" 40 2>&1) || status=$?
[[ $status == 0 && $output == done* ]] || fail "without a limit: status $status, it said: $output"
output=$(HAKMEM_LIMIT=1M LD_PRELOAD=$library "$program" 40 2>&1) || status=$?
[[ $output == 'hakmem: HAKMEM_LIMIT=1M is out of range 4M..65536G|cgroup, using none'*done* ]] ||
    fail "HAKMEM_LIMIT=1M: status $status, it said: $output"

# ---- by a cgroup, as its files tell
# read_group LINE FILE=TEXT...: sets `status` and `output` of the program where /proc/self/cgroup
# reads LINE and these files are all there is in /sys/fs/cgroup.
read_group() {
    status=0
    printf '%b\n' "$1" >"$work/line"
    printf '%s\n' "${@:2}" >"$work/files"
    # shellcheck disable=SC2016 # the other shell's
    output=$(WORK=$work LIBRARY=$library PROGRAM=$program unshare --mount bash -c '
        mount -t tmpfs none /sys/fs/cgroup
        while IFS== read -r file text; do
            mkdir -p "/sys/fs/cgroup/${file%/*}"
            printf "%s\n" "$text" >"/sys/fs/cgroup/$file"
        done <"$WORK/files"
        mount --bind "$WORK/line" "/proc/$$/cgroup"
        export HAKMEM_LIMIT=cgroup LD_PRELOAD=$LIBRARY
        exec "$PROGRAM" 100' 2>&1) || status=$?
}

# may_mount: whether this is root, in a namespace of its own.
may_mount() {
    # shellcheck disable=SC2016 # the other shell's
    unshare --mount bash -c 'mount -t tmpfs none /sys/fs/cgroup && mount --bind /dev/null "/proc/$$/cgroup"' \
        2>/dev/null
}

if may_mount; then
    # 40 MiB allowed: 8 are left for the rest.
    read_group '0::/a/b' ./a/b/memory.max=41943040 ./a/memory.max=max
    judge 'version 2' "$status" "$output" 22 32
    read_group '0::/a/b' ./a/b/memory.max=max ./a/memory.max=41943040
    judge 'version 2, a group above' "$status" "$output" 22 32
    read_group '0::/' ./memory.max=41943040
    judge 'version 2, in a container' "$status" "$output" 22 32
    read_group '5:cpu:/\n4:memory:/x/y\n0::/z' ./memory/x/y/memory.limit_in_bytes=41943040 \
        ./unified/z/memory.max=25165824
    judge 'version 1' "$status" "$output" 22 32
    read_group '4:memory:/elsewhere/x' ./memory/memory.limit_in_bytes=41943040
    judge 'version 1, in a container' "$status" "$output" 22 32
    read_group '5:cpu:/\n0::/z' ./unified/z/memory.max=41943040
    judge 'both, memory in version 2' "$status" "$output" 22 32
    for text in max 9223372036854771712; do
        read_group '0::/a' "./a/memory.max=$text"
        [[ $status == 0 && $output == done* ]] || fail "memory.max=$text: status $status: $output"
    done
    read_group '0::/a' ./b/memory.max=41943040
    [[ $status == 0 && $output == done* ]] || fail "no file: status $status: $output"
else
    echo "no mounts here: files of cgroups were not tried"
fi

# ---- in a cgroup
# group_make: a group of 64 MiB without swap, in `group`.
group_make() {
    local top=/sys/fs/cgroup limit=memory.max swap=memory.swap.max swap_bytes=0
    if [[ -e $top/memory/memory.limit_in_bytes ]]; then
        top=$top/memory limit=memory.limit_in_bytes swap=memory.memsw.limit_in_bytes
        swap_bytes=$((64 << 20))
    fi
    mkdir "$top/hakmem-test-$$" 2>/dev/null || return
    group=$top/hakmem-test-$$
    echo $((64 << 20)) >"$group/$limit" || return
    [[ ! -e $group/$swap ]] || echo $swap_bytes >"$group/$swap" || return
}

# in_group SETTING...: sets `status` and `output` of the program in the group.
in_group() {
    status=0
    # shellcheck disable=SC2016 # the other shell's
    output=$(GROUP=$group LIBRARY=$library PROGRAM=$program bash -c '
        echo $$ >"$GROUP/cgroup.procs" || exit 3
        export LD_PRELOAD=$LIBRARY
        exec env "$@" "$PROGRAM" 200' bash "$@" 2>&1) || status=$?
}

if group_make 2>/dev/null; then
    in_group HAKMEM_LIMIT=cgroup
    judge 'in a cgroup of 64 MiB' "$status" "$output" 42 56
    in_group HAKMEM_TEST_NOTHING=1
    [[ $status == 137 ]] || fail "without the option it is not killed, but ends with $status: $output"
else
    echo "no cgroup can be made here: none was tried"
fi

finish "every limit holds"
