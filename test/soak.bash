#!/usr/bin/env bash
# The long form of the stress tests: every program in turn, with every build, by default and hardened,
# until the time is over.
#
#   soak.bash MINUTES BUILD_DIR...
#
# Each turn has another seed. Prints threads x seconds and operations by program and in sum; ends
# with 1 at the first failure, after saying how to have it again.
set -euo pipefail
minutes=$1
shift
end=$((SECONDS + minutes * 60))
turn_s=$((minutes * 60 / (3 * $# * 2 * 2))) # every program at least twice
turn_s=$((turn_s < 5 ? 5 : turn_s > 60 ? 60 : turn_s))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seed=${HAKMEM_TEST_SEED:-0}

# one BUILD PROGRAM HARDENED: a turn; its figures go to $work/figures.
one() {
    local status=0 name=${1##*/}
    (($3 == 0)) || name+=', hardened'
    HAKMEM_HARDEN=$3 HAKMEM_TEST_SECONDS=$turn_s HAKMEM_TEST_SEED=$seed \
        timeout -k 10 $((turn_s * 10 + 300)) "$1/test/$2" >"$work/out" 2>&1 || status=$?
    if ((status != 0)); then
        cat "$work/out" >&2
        echo "soak: $2 of $name ended with $status; again: HAKMEM_HARDEN=$3" \
            "HAKMEM_TEST_SECONDS=$turn_s HAKMEM_TEST_SEED=$seed $1/test/$2" >&2
        exit 1
    fi
    sed -n "s/^stress: \(.*\): \([0-9]*\) threads x \([0-9.]*\) s, \([0-9]*\) operations/$name\t\1\t\2\t\3\t\4/p" \
        "$work/out" >>"$work/figures"
}

while ((SECONDS < end)); do
    for program in test_stress test_flows test_storms; do
        for build; do
            one "$build" "$program" 0
            one "$build" "$program" 1
        done
    done
    seed=$((seed + 1))
    echo "soak: seed $seed follows; $((SECONDS / 60)) of $minutes minutes" >&2
done
awk -F '\t' '
    { name = $1 ": " $2; work[name] += $3 * $4; count[name] += $5; all += $3 * $4; sum += $5 }
    END {
        for (name in work)
            printf "%-60s %10.0f threads x s %14.0f operations\n", name, work[name], count[name] | "sort"
        close("sort")
        printf "%-60s %10.0f threads x s %14.0f operations\n", "all", all, sum
    }' "$work/figures"
