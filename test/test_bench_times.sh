#!/usr/bin/env bash
# What times the policies' benches: rounds take turns, a change has the interval that its samples give,
# and bench/inline.py and bench/boundaries.py print their tables with it. How fast anything is, is for
# a reader.
#
# ctest: labels=quick timeout=240
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
for tool in valgrind python3; do
    command -v "$tool" >/dev/null || skip "no $tool"
done
[[ ${library##*/} != libhakmem-header* ]] || skip "of the library as it is shipped"
built "$build/bench_inline"
options_clear
work_begin
export PYTHONDONTWRITEBYTECODE=1

# --- arithmetic
PYTHONPATH=$source_dir/bench python3 - <<'PY' >"$work/problems" || fail "the arithmetic ended with $?"
import random, statistics, timed
def expect(what, got, wanted):
    if got != wanted:
        print(f"{what}: {got}, not {wanted}")
log = []
times = timed.rounds(50, [lambda i=i: log.append(i) or float(i) for i in range(3)])
expect("times", times, [[float(i)] * 50 for i in range(3)])
turns = [tuple(log[at:at + 3]) for at in range(0, 150, 3)]
expect("each round has each run once", {tuple(sorted(turn)) for turn in turns}, {(0, 1, 2)})
expect("orders", len(set(turns)), 6)
expect("equal times", timed.change([2.0] * 6, [2.0] * 6), "+0.00 % [+0.00, +0.00]")
expect("twice as long", timed.change([4.0] * 9, [2.0] * 9), "+100.00 % [+100.00, +100.00]")
expect("too few", timed.change([3.0] * 5, [2.0] * 9), "+50.00 % [-]")
expect("too few of the base", timed.interval([3.0] * 9, [2.0] * 5), None)
# Nineteen in twenty intervals hold the true ratio; of 40, as good as never less than 32.
source = random.Random(1)
held = 0
for _ in range(40):
    low, high = timed.interval([source.gauss(11, 1) for _ in range(11)],
                               [source.gauss(10, 1) for _ in range(11)])
    held += low <= 1.1 <= high
    if not 0 < high - low < 0.6:
        print(f"an interval of {low} to {high}")
if held < 32:
    print(f"only {held} of 40 intervals hold the true ratio")
if timed.interval([11.0 + i % 2 for i in range(20)], [5.0] * 20)[0] < 2.1:
    print("an interval below all that was measured")
PY
while IFS= read -r problem; do fail "$problem"; done <"$work/problems"

# --- tables
change='[-+][0-9.]+ %'
timed="$change \[[-+][0-9.]+, [-+][0-9.]+\]"
python3 "$source_dir/bench/inline.py" --quick --rounds 6 "$build" >"$work/said" 2>&1 ||
    fail "inline.py: status $?: $(cat "$work/said")"
for size in 16 32 64; do
    for row in "instructions \| [0-9.]+( \| [0-9.]+, $change){2}" "time \| [0-9.]+ ns( \| [0-9.]+ ns, $timed){2}"; do
        grep -qE "^\| $size \| $row \|$" "$work/said" || fail "inline.py: no row '$size, $row': $(cat "$work/said")"
    done
done
# In line is fewer instructions: 5 of malloc, 1 of free, and two calls, each in every second operation.
awk -F'[|,]' '$3 == " instructions " && $4 - $5 < 2 { exit 1 }' "$work/said" ||
    fail "inline.py: in line saves no instructions: $(cat "$work/said")"
status=0
python3 "$source_dir/bench/boundaries.py" --quick --size 128 --rounds 6 "$build" >"$work/said" 2>&1 ||
    status=$?
((status <= 1)) || fail "boundaries.py: status $status: $(cat "$work/said")"
[[ $(grep -cE "^\| 128 \| [a-z]+ \| [0-9.]+ ns( \| $timed){3} \|$" "$work/said") == 3 ]] ||
    fail "boundaries.py: not 3 rows of times: $(cat "$work/said")"
! python3 "$source_dir/bench/inline.py" --rounds 0 "$build" >"$work/said" 2>&1 || fail "no rounds are accepted"
! python3 "$source_dir/bench/inline.py" "$work" >"$work/said" 2>&1 || fail "no build is accepted"
finish "times with their intervals"
