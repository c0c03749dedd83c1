#!/usr/bin/env bash
# What the statistics cost: instructions of the benches on the library, and on one whose counters do
# nothing, by callgrind. Counts are of the whole process, without ticks: how many there are depends on
# how long it takes.
#
#   bench/statistics_cost.sh [BUILD DIRECTORY]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=$(realpath "${1:-build/release}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The same tree, built the same way, but for the bodies of the functions that count.
git archive --format=tar HEAD | tar -x -C "$work"
sed -i '/^static inline void hak_count_add(/,/^}/ s/^    hak_.*/    (void)counter;\n    (void)count;/
    /^static inline void hak_tally_add(/,/^}/ s/^    hak_.*/    (void)figure;\n    (void)count;/' \
    "$work/segment/count.h" "$work/front/observe/tally.h"
if ! { cmake -S "$work" --preset release && cmake --build "$work/build/release" --target hakmem_so
} >"$work/log"; then
    cat "$work/log" >&2
    exit 1
fi

# instructions LIBRARY COMMAND...
instructions() {
    env LD_PRELOAD="$1" HAKMEM_PURGE_DECAY_MS=3600000 valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        "${@:2}" 2>&1 >/dev/null |
        sed -n 's/^==[0-9]*== Collected : //p'
}

printf '%-44s %14s %14s %8s\n' bench with without cost
while read -r -a command; do
    with=$(instructions "$build/libhakmem.so" "$build/${command[0]}" "${command[@]:1}")
    without=$(instructions "$work/build/release/libhakmem.so" "$build/${command[0]}" "${command[@]:1}")
    awk -v name="${command[*]}" -v with="$with" -v without="$without" \
        'BEGIN { printf "%-44s %14d %14d %7.3f%%\n", name, with, without, 100 * (with / without - 1) }'
done <<'LIST'
bench_random_mixed 1000000 400 42
bench_random_mixed 500000 100000 42
bench_fixed_size 1024 500000 128
bench_bulk 1000 1000 64
bench_mid_large_mt 2 20000 2048 42
LIST
