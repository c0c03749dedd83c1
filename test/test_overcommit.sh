#!/usr/bin/env bash
# vm.overcommit_memory=2, where the kernel promises no more memory than it has: when the limit is
# reached requests are refused with ENOMEM, the heap stays whole and goes on (test_limits.c says
# what is looked at). Nothing is reserved that the kernel would count.
#
# The settings are the whole system's: they are changed under a lock, for a moment, so that a margin
# stays for all others, and restored in any case.
#
# ctest: labels=full timeout=120 serial
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${HAKMEM_BUILD_DIR:-$here/../build/release}
limits=$build/test/test_limits
settings=/proc/sys/vm
[[ -x $limits ]] || { echo "$limits is not built" >&2; exit 1; }
unset LD_PRELOAD

skip() {
    echo "test_overcommit: skipped: $*"
    exit 77
}

((EUID == 0)) || skip "not root, so vm.overcommit_memory cannot be set"
[[ -w $settings/overcommit_memory ]] || skip "$settings cannot be written to here"
exec 9>"${TMPDIR:-/tmp}/hakmem-sysctl.lock"
flock -w 60 9 || skip "another test has the settings"

# Kibibytes.
mib=1024
room=$((320 * mib))    # for the test
margin=$((2048 * mib)) # for everybody else

of_meminfo() { sed -n "s/^$1: *\([0-9]*\) kB/\1/p" /proc/meminfo; }

memory=$(<$settings/overcommit_memory)
ratio=$(<$settings/overcommit_ratio)
kbytes=$(<$settings/overcommit_kbytes)
reserve=$(<$settings/user_reserve_kbytes)
restore() {
    echo "$memory" >$settings/overcommit_memory
    # Each of these two, when written, sets the other to zero.
    if ((kbytes != 0)); then
        echo "$kbytes" >$settings/overcommit_kbytes
    else
        echo "$ratio" >$settings/overcommit_ratio
    fi
    echo "$reserve" >$settings/user_reserve_kbytes
}
trap restore EXIT
trap 'exit 130' INT TERM HUP

free=$(of_meminfo MemAvailable)
((free > room + margin)) || skip "only $free KiB of memory are free"
(($(of_meminfo Committed_AS) + room + margin > $(of_meminfo SwapTotal))) ||
    skip "there is so much swap that the limit cannot be set as low"

# run MIX LEAST_BYTES: under the strict setting. A process may not have the last `margin` of it: the
# kernel keeps 3 % of a process's address space, at most that, and the arena is large enough.
failures=0
run() {
    local status=0
    {
        echo "$margin" >$settings/user_reserve_kbytes
        echo $(($(of_meminfo Committed_AS) - $(of_meminfo SwapTotal) + room + margin)) \
            >$settings/overcommit_kbytes
        echo 2 >$settings/overcommit_memory
    } 2>/dev/null || skip "the settings cannot be changed here"
    HAKMEM_TEST_LIMIT_IS_SHARED=1 HAKMEM_ARENA_GIB=128 timeout 60 "$limits" "$@" || status=$?
    restore
    if ((status != 0)); then
        echo "test_overcommit: $1: status $status" >&2
        failures=$((failures + 1))
    fi
}

for mix in small mid huge everything; do
    run "$mix" $((40 * 1024 * 1024))
done
((failures == 0)) || exit 1
echo "test_overcommit: 4 mixes of sizes ran out of memory twice each, and went on"
