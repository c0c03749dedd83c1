#!/usr/bin/env bash
# bench_runner: a variant that does not load, crashes or hangs fails its own cells only; Ctrl-C keeps
# what was measured; gates decide on the exit status; any program can be the bench.
#
# ctest: labels=quick timeout=120
set -u -o pipefail

runner=$HAKMEM_BUILD_DIR/bench_runner
[[ -x $runner ]] || {
    echo "bench_runner is not built: it needs GSL (libgsl-dev)"
    [[ ${HAKMEM_REAL_REQUIRED:-0} == 1 ]] && exit 1
    exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
unset LD_PRELOAD

# The header build has no libhakmem.so: the library under test stands for both.
run() { timeout 60 "$runner" --no-peers --variant hakmem="$HAKMEM_LIB" "$@"; }
run_ab() { run --ab --out "$work/ab" --variant hakmem-header="$HAKMEM_LIB" "$@"; }

# expect NAME STATUS PATTERN COMMAND...: exit status, and a line of output that matches.
expect() {
    local name=$1 status=$2 pattern=$3 got=0
    shift 3
    "$@" >"$work/output" 2>&1 </dev/null || got=$?
    if [[ $got != "$status" ]] || ! grep -qE -- "$pattern" "$work/output"; then
        printf '%s: status %s (expected %s, and %s), output:\n' "$name" "$got" "$status" "$pattern"
        cat "$work/output"
        failures=$((failures + 1))
    fi
}

# also PATTERN, not_also PATTERN: the same output once more.
also() {
    grep -qE -- "$1" "$work/output" && return
    printf 'no line matches %s in:\n' "$1"
    cat "$work/output"
    failures=$((failures + 1))
}

not_also() {
    grep -qE -- "$1" "$work/output" || return 0
    printf 'a line matches %s in:\n' "$1"
    cat "$work/output"
    failures=$((failures + 1))
}

# library NAME CODE: a library whose constructor does that.
library() {
    printf '#include <stdlib.h>\n#include <unistd.h>\n%s\n%s\n' \
        'static void act(void) __attribute__((constructor));' "static void act(void) { $2; }" |
        cc -shared -fPIC -x c -o "$work/$1.so" - || exit 1
}

# ---- variants that fail -------------------------------------------------------------------------

echo "not a library" >"$work/text.so"
library crash 'abort()'
library hang 'pause()'
library other '(void)0'

expect does_not_load 2 '^failed: nothing on bad, 1 runs: not loaded: malloc was served by .*libc' \
    run --only nothing --rounds 1 --variant bad="$work/text.so"
also '^nothing +[0-9.]+ +[0-9.]+ +failed$'
expect serves_nothing 2 '^failed: nothing on bad, 1 runs: not loaded: malloc was served by .*libc' \
    run --only nothing --rounds 1 --variant bad="$work/other.so"
expect crashes 2 '^failed: nothing on bad, 2 runs: Aborted' \
    run --only nothing --rounds 2 --variant bad="$work/crash.so"
also '^nothing +[0-9.]+ +[0-9.]+ +failed$'
expect hangs 2 '^failed: nothing on bad, 1 runs: hung: ended after 1 s' \
    run --only nothing --rounds 1 --timeout 1 --variant bad="$work/hang.so"

# ---- Ctrl-C -------------------------------------------------------------------------------------

timeout -s INT 2 "$runner" --no-peers --variant hakmem="$HAKMEM_LIB" --ab --out "$work/stopped" \
    --only nothing --rounds 1000 >"$work/output" 2>&1 </dev/null &
wait $! # timeout itself ends with 124
also '^interrupted: only what was measured until then'
if ! grep -q '"interrupted":true' "$work/stopped/summary.json" ||
    [[ ! -s $work/stopped/report.html ]] || (($(wc -l <"$work/stopped/samples.csv") < 2)); then
    echo "interrupted: the files do not say what was measured"
    failures=$((failures + 1))
fi
expect interrupted_status 130 '^interrupted' \
    bash -c '"$@" & sleep 1; kill -INT $!; wait $!' - \
    "$runner" --no-peers --only nothing --rounds 1000

# ---- the control and the gates ------------------------------------------------------------------

short=(--only mid_large_8x40000 --quick --no-counts)
expect control 0 '^control: hakmem against itself +[0-9.]+; no verdict above' \
    run_ab "${short[@]}" --rounds 1
also '^warning: fewer than 6 samples'
also '^bench .* hakmem-again'
also '^mid_large_8x40000 .* [0-9.]+ -$'
expect no_control 0 '^geometric mean' run_ab "${short[@]}" --rounds 1 --no-control
not_also '^control|hakmem-again'
# This one ends by the clock, in a debug build too; --quick gives the six samples of an interval.
expect intervals 0 '^geometric mean .* [0-9.]+ \[[0-9.]+, [0-9.]+\]$' \
    run_ab --only xthread_1_1 --quick --no-counts
also '^6 rounds of quick runs'
also '^xthread_1_1 .* [0-9.]+ \[[0-9.]+, [0-9.]+\] (faster|slower|same|-)$'
python3 - "$work/ab/summary.json" <<'PYTHON' || failures=$((failures + 1))
import json, sys
summary = json.load(open(sys.argv[1]))
against = summary["benches"][0]["hakmem_against"]
assert set(against) == {"glibc", "hakmem-header", "hakmem-again"}, against
for metric in ("ns_per_op", "peak_rss_kb"):
    change = against["hakmem-header"][metric]
    assert change["low"] <= change["ratio"] <= change["high"], change
    assert 0 < change["p"] <= change["p_holm"] <= 1, change
    assert change["verdict"] in ("faster", "slower", "less", "more", "same", "unknown"), change
for variant in summary["variants"]:
    if variant["name"] == "hakmem-header":
        mean = variant["throughput_of_hakmem_to_it"]
        assert mean["benches"] == 1 and mean["low"] <= mean["ratio"] <= mean["high"], mean
PYTHON

expect gate_met 0 '^gate met: glibc, wanted at least 0.0001;' \
    run "${short[@]}" --rounds 1 --gate glibc=0.0001
expect gate_missed 3 '^gate MISSED: geomean, wanted at least 1e\+06;' \
    run_ab "${short[@]}" --rounds 1 --gate glibc=0.0001 --gate geomean=1000000
also '^gate met: glibc'
expect gate_no_header 3 '^gate not measured: geomean, ' \
    run "${short[@]}" --rounds 1 --gate geomean=0.0001
expect gate_no_counts 3 '^gate not measured: pair, wanted at most 56; nothing was counted' \
    run "${short[@]}" --rounds 1 --gate pair=56
expect gate_failed_bench 3 '^gate not measured: glibc, .* benches failed' \
    run "${short[@]}" --rounds 1 --variant hakmem="$work/text.so" --gate glibc=0.0001
expect gate_unknown 1 "wants NAME=VALUE" run --gate speed=1
expect gate_no_value 1 "wants NAME=VALUE" run --gate glibc=
expect usage_statuses 0 '^Exit status: 0; 1 .*; 2 .*; 3 ' run --help

# ---- latency, system calls, variants, health ----------------------------------------------------

expect latency 0 '^xthread_1_1 +[0-9]+/[0-9]+/[0-9]+ +[0-9]+/[0-9]+/[0-9]+ +[0-9]+/[0-9]+/[0-9]+$' \
    run_ab --only xthread_1_1 --quick --rounds 1 --latency 2 --no-control
also '^mappings \(VMAs\)'
not_also '^system calls for memory'
python3 - "$work/ab/summary.json" "$work/ab/samples.csv" <<'PYTHON' || failures=$((failures + 1))
import csv, json, sys
bench = json.load(open(sys.argv[1]))["benches"][0]
for name, cell in bench["variants"].items():
    assert cell["samples"] == 1, (name, cell)
    p50, p99, p999, top = (cell[f"latency_{key}_ns"]["median"] for key in ("p50", "p99", "p999", "max"))
    assert 0 < p50 <= p99 <= p999 <= top, (name, cell)
    assert cell["vmas"]["median"] is None, (name, cell) # its blocks are not all live at any time
    assert cell["memory_calls"]["median"] is None, (name, cell)
rows = list(csv.DictReader(open(sys.argv[2])))
assert [row["run"] for row in rows].count("latency") == 6, rows
for row in rows:
    assert (row["latency_p50_ns"] != "") == (row["run"] == "latency"), row
    assert (row["ns_per_op"] != "") == (row["run"] == "timed"), row
PYTHON

if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
    # Each dlopen of a library maps it; glibc's own start is in the figure as well.
    expect calls 0 '^memory calls +[0-9]+ +[0-9]+$' \
        run_ab --rounds 1 --variants glibc,hakmem -- bash -c 'exec 2>/dev/null; /bin/true'
    # What a program leaves running is not waited for.
    # shellcheck disable=SC2016 # the inner shell expands it
    expect calls_of_a_daemon 0 '^memory calls +- +-$' run_ab --rounds 1 --timeout 3 \
        --variants glibc,hakmem -- bash -c 'sleep "$1" >/dev/null 2>&1 & exit 0' - "66666.$$"
    expect calls_tool_missing 0 '^memory calls +- +-$' \
        env PATH="$work" "$runner" --ab --out "$work/ab" --rounds 1 \
        --variant hakmem="$HAKMEM_LIB" --variants glibc,hakmem -- /bin/true
fi

expect variants 0 '^bench +hakmem +hakmem-again( |$)' \
    run_ab "${short[@]}" --rounds 1 --variants hakmem-again,hakmem
not_also 'glibc  |hakmem-header'
python3 - "$work/ab/summary.json" <<'PYTHON' || failures=$((failures + 1))
import json, sys
for name, cell in json.load(open(sys.argv[1]))["benches"][0]["variants"].items():
    assert cell["vmas"]["median"] > 10 and cell["thp_kb"]["median"] >= 0, (name, cell)
PYTHON
# Without glibc nothing is said of it.
expect variants_without_glibc 0 '^geometric mean +- +-$' \
    run "${short[@]}" --rounds 1 --variants hakmem,twin --variant twin="$HAKMEM_LIB"
expect variants_unknown 1 'variants hakmem,nonsense: there are only glibc, hakmem' \
    run "${short[@]}" --variants hakmem,nonsense
# A prefix is not a name.
expect variants_prefix 1 'there are only' run "${short[@]}" --variants hak
# Met or missed, by how fast this build is; both say so.
# shellcheck disable=SC2016 # the inner shell expands it
expect health 0 '^gate (met|MISSED): C6_HEAVY, wanted at least 1; [0-9.]+ \[[0-9.]+, [0-9.]+\]$' \
    bash -c '"$@"; (($? == 0 || $? == 3))' - \
    "$runner" --variant hakmem="$HAKMEM_LIB" --health --quick --rounds 6
also '^gate (met|MISSED): MIXED, wanted at least 1;'
also '^c6_heavy +[0-9.]+ +[0-9.]+$'
expect health_few 3 '^gate not measured: MIXED, .* too few samples' run --health --quick --rounds 2
expect latency_of_nothing 1 'no single calls can be timed' run --only nothing --latency 1
expect what_twice 1 'of --only, --trace, --health and a program' run --health --only nothing
expect huge_and_health 1 'variants of its own' run --health --huge
expect huge 0 '^geometric mean +[0-9.]+; +[0-9.]+$' \
    "$runner" --huge --quick --rounds 2 --only fixed_16 --variants glibc,hakmem,hakmem-thp \
    --variant hakmem="$HAKMEM_LIB" --variant hakmem-thp="$HAKMEM_LIB"
also '^fixed_16 +[0-9.]+ -; +[0-9.]+ -$'
also '^hakmem-thp over hakmem on ordinary pages$'

# ---- a recorded trace ---------------------------------------------------------------------------

if [[ -x $HAKMEM_BUILD_DIR/bench_replay && -e $HAKMEM_BUILD_DIR/librecordmalloc.so ]]; then
    mkdir "$work/with space"
    # shellcheck disable=SC2016 # the inner shell expands it
    "$HAKMEM_BIN" record -o "$work/with space/my.trace" -- /bin/bash -c 'a=(); for i in {1..999}; do a+=("$i"); done' \
        >"$work/output" 2>&1 || failures=$((failures + 1))
    expect trace 0 '^my.trace +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+$' \
        run_ab --rounds 1 --trace "$work/with space/my.trace"
    head -c 100 "$work/with space/my.trace" >"$work/cut.trace"
    expect trace_cut 2 '^failed: cut.trace on hakmem, 2 runs: exit status 2: ' \
        run_ab --rounds 1 --trace "$work/cut.trace"
fi

# ---- any program --------------------------------------------------------------------------------

expect program 0 '^wall clock, s +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+$' \
    run_ab --rounds 2 -- /bin/true
also '^true +1.00 +[0-9.]+'
python3 - "$work/ab/summary.json" <<'PYTHON' || failures=$((failures + 1))
import json, sys
bench = json.load(open(sys.argv[1]))["benches"][0]
assert bench["name"] == "true" and bench["program"] == "/bin/true", bench
cell = bench["variants"]["hakmem"]
assert cell["wall_s"]["median"] > 0 and cell["ns_per_op"]["median"] is None, cell
assert cell["speedup_to_glibc"] > 0, cell
assert bench["hakmem_against"]["hakmem-header"]["wall_s"]["ratio"] > 0, bench
PYTHON
expect program_not_loaded 2 '^failed: true on bad, 1 runs: not loaded: malloc was served by .*libc' \
    run --rounds 1 --variant bad="$work/text.so" -- /bin/true
expect program_fails 2 '^failed: bash on hakmem, 1 runs: exit status 9: so it is' \
    run --rounds 1 -- bash -c 'echo so it is; exit 9'
expect program_endless_output 2 '^failed: yes on hakmem, 1 runs: hung: ended after 1 s' \
    run --rounds 1 --timeout 1 -- yes
expect program_closes_output 2 '^failed: bash on hakmem, 1 runs: hung: ended after 1 s' \
    run --rounds 1 --timeout 1 -- bash -c 'exec >/dev/null 2>&1; sleep 60'
expect program_missing 2 'exit status 127: ./no-such-program: No such file' \
    run --rounds 1 -- ./no-such-program
# shellcheck disable=SC2016 # the inner shell expands it
expect program_arguments 0 '^wall clock, s +[0-9]' \
    run --rounds 1 -- bash -c '[[ $# == 2 && $2 == "a b" ]]' - --only 'a b'
expect program_and_only 1 'of --only, --trace, --health and a program' run --only nothing -- /bin/true
expect without_dashes 1 "what is '/bin/true'" run /bin/true
# The descriptors that a program finds beyond its own, with and without the runner.
cat >"$work/descriptors" <<'BASH'
[[ -z ${HAK_WHO_MALLOC+set} ]] && ! env | grep HAK_WHO || exit 1
for fd in /proc/$$/fd/*; do
    fd=${fd##*/}
    ((fd < 10)) || echo "$fd"
done >"$1"
BASH
bash "$work/descriptors" "$work/without"
expect program_undisturbed 0 '^wall clock, s +[0-9]' \
    run --rounds 1 -- bash "$work/descriptors" "$work/with"
diff "$work/without" "$work/with" || {
    echo "the program finds other descriptors than without the runner"
    failures=$((failures + 1))
}
# What a program leaves running ends with it, and is not waited for.
# shellcheck disable=SC2016 # the inner shell expands it
expect program_leaves_others 0 '^wall clock, s +[0-9]' \
    run --rounds 1 --timeout 20 -- bash -c 'sleep "$1" & exit 0' - "77777.$$"
pgrep -f "^sleep 77777[.]$$\$" && {
    echo "a child of the program is still there"
    failures=$((failures + 1))
}
# As Debian's python3 is: not relocatable, and it takes malloc's address, which is its own stub then.
printf '#include <stdlib.h>\nvoid *(*volatile take)(size_t) = malloc;\n%s\n' \
    'int main(void) { free(take(1)); return 0; }' >"$work/fixed.c"
cc -O1 -fno-pie -no-pie -o "$work/fixed" "$work/fixed.c" || failures=$((failures + 1))
expect program_fixed 0 '^wall clock, s +[0-9.]+ +[0-9.]+' run --rounds 1 -- "$work/fixed"
expect program_fixed_not_loaded 2 '^failed: fixed on bad, 1 runs: not loaded: .*by .*libc' \
    run --rounds 1 --variant bad="$work/text.so" -- "$work/fixed"
echo 'int main(void) { return 0; }' >"$work/static.c"
if cc -static -o "$work/static" "$work/static.c" 2>/dev/null; then
    expect program_static 2 '^failed: static on glibc, 1 runs: not known who served malloc' \
        run --rounds 1 -- "$work/static"
fi

((failures == 0)) || exit 1
echo "all cases as expected"
