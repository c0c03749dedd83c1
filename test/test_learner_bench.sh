#!/usr/bin/env bash
# What judges the learner ends by itself, with its three tables and those of times, in its quick form;
# which figures there are is for a reader.
#
# ctest: labels=full timeout=900
set -euo pipefail
library=${HAKMEM_LIB:?}
build=${HAKMEM_BUILD_DIR:?}
script=${HAKMEM_SOURCE_DIR:?}/bench/learner.py
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONDONTWRITEBYTECODE=1

for tool in valgrind python3; do
    command -v "$tool" >/dev/null || { echo "skipped: no $tool"; exit 77; }
done
[[ ${library##*/} != libhakmem-header* ]] || { echo "skipped: it is of the library as shipped"; exit 77; }

fail() {
    printf 'test_learner_bench: %s\n' "$*" >&2
    cat "$work/said" >&2
    exit 1
}

python3 "$script" --quick --times 6 "$build" >"$work/said" 2>&1 || fail "status $?"
for workload in bursts server sparse shift lumps steady; do
    grep -qE "^\| $workload \| [1-9][0-9]* \| [1-9][0-9]* \| [1-9][0-9]* \| [-+]" "$work/said" ||
        fail "no row of $workload"
done
for route in ULTRA MID LARGE; do
    grep -qE "^\| $route \| [0-9]+ \| [0-9]+ \| [0-9]+ \|" "$work/said" || fail "no routes $route"
done
grep -qE '^[0-9]+ of [1-9][0-9]* classes as the oracle' "$work/said" || fail "no share of right routes"
[[ $(grep -cE '^\| [a-z_0-9]+ [0-9 ]+ \| [1-9][0-9.]* \|' "$work/said") == 3 ]] || fail "not 3 other benches"
change='[-+][0-9.]+ % \[[-+][0-9.]+, [-+][0-9.]+\]'
[[ $(grep -cE "^\| [a-z]+ \|( [0-9.]+ ns \|){3} $change \| $change \|$" "$work/said") == 6 ]] ||
    fail "not 6 times of workloads"
[[ $(grep -cE "^\| [a-z_0-9]+ [0-9 ]+ \| [0-9.]+ ns \| $change \| $change \|$" "$work/said") == 3 ]] ||
    fail "not 3 times of benches"
! python3 "$script" --rounds 0 "$build" >"$work/said" 2>&1 || fail "no rounds are accepted"
! python3 "$script" "$work" >"$work/said" 2>&1 || fail "no build is accepted"
