#!/usr/bin/env bash
# A reserve of 1 GiB and more stands on pages of 1 GiB where the system has them, and leaves room for
# a fork; without them, or for less, on pages of 2 MiB.
#
# ctest: labels=quick timeout=120 serial
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${HAKMEM_BUILD_DIR:-$here/../build/release}
gigantic=/sys/kernel/mm/hugepages/hugepages-1048576kB
gigantic_saved=
unset LD_PRELOAD
failures=0

unable() {
    printf 'test_huge_gigantic: skipped: %s\n' "$*"
    exit 77
}

fail() {
    printf 'test_huge_gigantic: %s\n' "$*" >&2
    failures=$((failures + 1))
}

# shellcheck source-path=SCRIPTDIR source=huge_pool.bash
source "$here/huge_pool.bash"
work=$(mktemp -d)

give_back() {
    pool_end || true
    [[ -z $gigantic_saved ]] || echo "$gigantic_saved" >$gigantic/nr_hugepages
    rm -rf "$work"
}
trap give_back EXIT

# show SETTING... -- STEP...: what huge_heap says in the end, into $shown.
show() {
    local settings=()
    while [[ $1 != -- ]]; do
        settings+=("$1")
        shift
    done
    shift
    shown=$(env "${settings[@]}" LD_PRELOAD="${HAKMEM_LIB:-$build/libhakmem.so}" \
        "$build/test/huge_heap" "$@" 2>"$work/err") || fail "${settings[*]} $*: ended with $?"
    [[ $shown == *sound* ]] || fail "${settings[*]} $*: $shown $(<"$work/err")"
}

# has KIB: so much of the pools, as shown.
has() {
    [[ $shown == *"hugetlb_kib=$1 "* ]] || fail "expected $1 KiB of the pools: $shown"
}

[[ -w $gigantic/nr_hugepages ]] || unable "this system has no pages of 1 GiB, or this is not root"
pool_begin
[[ $(<$gigantic/free_hugepages) == "$(<$gigantic/nr_hugepages)" ]] ||
    unable "somebody uses the pool of 1 GiB pages"
gigantic_saved=$(<$gigantic/nr_hugepages)
echo 2 >$gigantic/nr_hugepages
[[ $(<$gigantic/nr_hugepages) == 2 ]] ||
    unable "the kernel has $(<$gigantic/nr_hugepages) pages of 1 GiB, 2 are needed"
pool_fill 16

# One page of 1 GiB and four of 2 MiB, and as much room beside them.
show HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=516 -- grow=50 write show fork check drop trim
has $((1048576 + 4 * 2048))
[[ ! -s $work/err ]] || fail "it said: $(<"$work/err")"
# Without room for a fork both.
show HAKMEM_HUGE=hugetlb HAKMEM_HUGE_FORK=warn HAKMEM_HUGE_RESERVE=1024 -- grow=50 show check
has $((2 * 1048576))
# A smaller reserve has none of them.
show HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=4 -- show
has $((4 * 2048))
# None is left: pages of 2 MiB, as many as there are.
echo 0 >$gigantic/nr_hugepages
show HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=516 -- show
has $((8 * 2048))
grep -q '^hakmem: HAKMEM_HUGE_RESERVE=516: only 8 could be had' "$work/err" ||
    fail "a short reserve: $(<"$work/err")"

((failures == 0)) || exit 1
echo "all cases as expected"
