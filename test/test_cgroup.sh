#!/usr/bin/env bash
# A cgroup with a memory limit. The kernel answers a touch beyond it with its OOM killer, never with
# a refusal, so no NULL is to be expected. What is: a program whose live memory stays well below the
# limit goes on for ever, for what it frees serves it again, whatever the sizes and threads; one
# that exceeds it is ended by SIGKILL and by nothing else; its parent goes on.
#
# ctest: labels=full timeout=240
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
load=$build/test/limit_load
built "$library" "$load"
work=$(mktemp -d)
group=
turned_on=

leave() {
    [[ -z $group ]] || rmdir "$group" 2>/dev/null || { sleep 1; rmdir "$group" || true; }
    [[ -z $turned_on ]] || echo -memory >"$turned_on" || true
    rm -rf "$work"
}
trap leave EXIT

# find_group: makes a group; sets `group`, and `limit` and `swap`, its files.
find_group() {
    local top
    for top in /sys/fs/cgroup/memory /sys/fs/cgroup /sys/fs/cgroup/unified; do
        [[ -d $top ]] || continue
        if [[ -e $top/memory.limit_in_bytes ]]; then
            limit=memory.limit_in_bytes swap=memory.memsw.limit_in_bytes
        elif grep -qw memory "$top/cgroup.controllers" 2>/dev/null; then
            limit=memory.max swap=memory.swap.max
            if ! grep -qw memory "$top/cgroup.subtree_control"; then
                echo +memory 2>/dev/null >"$top/cgroup.subtree_control" || continue
                turned_on=$top/cgroup.subtree_control
            fi
        else
            continue
        fi
        mkdir "$top/hakmem-test-$$" 2>/dev/null || continue
        group=$top/hakmem-test-$$
        [[ -w $group/cgroup.procs && -w $group/$limit ]] || continue
        return 0
    done
    return 1
}

((EUID == 0)) || skip "not root, so no cgroup can be made"
find_group || skip "no cgroup with a memory limit can be made here"
mib=$((1024 * 1024))
echo $((160 * mib)) >"$group/$limit"
# With swap a group never runs out: version 1 counts both together, version 2 apart.
case $swap in
memory.swap.max) [[ ! -w $group/$swap ]] || echo 0 >"$group/$swap" ;;
*) [[ ! -w $group/$swap ]] || echo $((160 * mib)) >"$group/$swap" ;;
esac

# inside COMMAND...: in the group and on the library; sets `status`.
inside() {
    status=0
    # shellcheck disable=SC2016 # the inner shell moves itself
    {
        timeout -k 5 100 bash -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' inside "$group" \
            env "LD_PRELOAD=$library" "$@" >"$work/out" 2>"$work/err" || status=$?
    } 2>/dev/null # where this shell says "Killed"
}

# whole NAME ARGUMENT...: such a run is not to end before its time.
whole() {
    inside "$load" "${@:2}"
    if ((status != 0)) || ! grep -qx whole "$work/out"; then
        fail "$1: status $status"
        cat "$work/err" >&2
    fi
}

whole 'one thread' churn 64 1500 1
whole 'four threads' churn 64 3000 4
whole 'children exceed the limit' fork 64
whole 'memory is handed on' pass 64
inside "$load" exceed
if ((status != 137)) || [[ -s $work/err ]]; then
    fail "beyond the limit: status $status, expected SIGKILL"
    cat "$work/err" >&2
fi
finish "4.5 GB through a group of 160 MiB, 4 processes ended by the OOM killer" \
    "(${group%/*}/$limit)"
