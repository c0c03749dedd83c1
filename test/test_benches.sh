#!/usr/bin/env bash
# The workloads of bench/, with tiny arguments: they run, report what they should, notice blocks
# that overlap, and refuse arguments that make no sense.
#
# ctest: labels=quick timeout=60
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset LD_PRELOAD BENCH_LATENCY BENCH_VERIFY BENCH_SECONDS
failures=0

# Every bench_*.c has a line here: its arguments, then one call that it must refuse.
# What has no slots (bulk) or no work (nothing) cannot be watched.
declare -A arguments=(
    [bench_app]='20000 400 42' [bench_bulk]='10 100 64' [bench_burst]='3 1000 1 42'
    [bench_c6_heavy]='20000 100 42' [bench_churn]='2 1000 0.05 42'
    [bench_fixed_size]='64 20000 100' [bench_learner]='steady 1 42' [bench_larson]='0.05 8 1000 500 1 4141 2'
    [bench_inline]='sized 32 20000 100'
    [bench_huge]='1 1000 42' [bench_large]='100 4 42' [bench_mid_large_mt]='2 2000 50 42' [bench_nothing]=''
    [bench_pool_tls]='2 2000 50 42' [bench_powers]='20000 400 42'
    [bench_random_mixed]='20000 100 42' [bench_realloc]='60 42'
    [bench_remote]='50 3 5000 100 42' [bench_xthread]='1 2 0.05 16 1024'
)
declare -A refused=(
    [bench_app]=0 [bench_bulk]=x [bench_burst]='1 1 -1' [bench_c6_heavy]=1e3
    [bench_churn]='1 1' [bench_fixed_size]=0 [bench_larson]='1 9 8' [bench_huge]=0 [bench_large]='2 0'
    [bench_inline]='inline 0'
    [bench_learner]='steady 0' [bench_mid_large_mt]=257 [bench_pool_tls]='1 2 1 99999999999999999999'
    [bench_powers]='2 1 4x' [bench_random_mixed]=-2 [bench_realloc]=0 [bench_remote]='101 2'
    [bench_xthread]='1 1 0'
)
unwatched='bench_bulk bench_huge bench_inline bench_learner bench_nothing'

fail() {
    printf 'test_benches: %s\n' "$*" >&2
    failures=$((failures + 1))
}

# run NAME STATUS SETTING... -- ARGUMENT...: its output in $work/NAME.out and .err.
run() {
    local name=$1 expected=$2 settings=() status=0
    shift 2
    while [[ $1 != -- ]]; do
        settings+=("$1")
        shift
    done
    shift
    timeout 20 env "${settings[@]}" "$HAKMEM_BUILD_DIR/$name" "$@" \
        >"$work/$name.out" 2>"$work/$name.err" </dev/null || status=$?
    [[ $status == "$expected" ]] ||
        fail "$name $* (${settings[*]}): status $status, not $expected: $(head -c 300 "$work/$name.err")"
    [[ $status == "$expected" ]]
}

# report NAME MALLOC KIND: keeps the two lines of its output, to be looked at in the end. What
# bench_learner says more is for bench/learner.py.
reports=0
report() {
    reports=$((reports + 1))
    [[ $1 != bench_learner ]] || sed -i 3,\$d "$work/$1.out"
    mv "$work/$1.out" "$work/$reports.report"
    printf '%s\n' "$* $work/$reports.report" >>"$work/reports"
}

cat >"$work/report.py" <<'PYTHON'
import json
import os
import sys

def complaints(name, malloc, kind, text):
    words, line = text.splitlines()
    report = json.loads(line)
    latency = [report.get(f"latency_{key}_ns") for key in ("p50", "p99", "p999", "max")]
    if words.split()[:2] != [name, str(report["ops"])] or report["bench"] != name:
        yield "the two lines are of different runs"
    if report["ops"] <= 0 or report["seconds"] < 0:
        yield "nothing was done"
    if report["peak_rss_kb"] <= 0 or report["after_rss_kb"] <= 0:
        yield "no memory"
    if not os.path.basename(report["malloc"]).startswith(malloc):
        yield "another malloc served it"
    if kind != "latency":
        if any(key.startswith("latency") for key in report):
            yield "latencies of no run"
    elif None in latency or latency != sorted(latency) or latency[0] <= 0:
        yield f"latencies are missing or out of order: {latency}"
    elif not 0 < report["latency_samples"] <= report["ops"] / 31 + 20:
        yield "the count of samples"
    if kind == "verify" and report["verified"] <= 0 or kind != "verify" and "verified" in report:
        yield "verified"

failures = 0
for line in open(sys.argv[1]):
    *what, path = line.split()
    with open(path) as file:
        text = file.read()
    for complaint in complaints(*what, text):
        print(*what, complaint, text, sep=": ", file=sys.stderr)
        failures += 1
sys.exit(failures > 0)
PYTHON

# A malloc, and a realloc, that hand out every 16th block where the one before it begins. calloc,
# by which libc gets what a new thread needs, does not.
cat >"$work/overlap.c" <<'C'
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

enum { HEAD = 16, EVERY = 16 };
static const size_t arena_bytes = (size_t)1 << 36;
static atomic_flag lock = ATOMIC_FLAG_INIT;
static char *next, *last;
static unsigned count;

static void *take(size_t bytes, int overlapping)
{
    char *block;
    while (atomic_flag_test_and_set(&lock))
        ;
    if (next == NULL)
        next = mmap(NULL, arena_bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    block = overlapping && last != NULL && ++count % EVERY == 0 ? last : next + HEAD;
    if (overlapping)
        last = block;
    ((size_t *)block)[-1] = bytes;
    if (next < block + bytes)
        next = block + (bytes + 15) / 16 * 16;
    atomic_flag_clear(&lock);
    return block;
}

void *malloc(size_t bytes) { return take(bytes, 1); }
void free(void *block) { (void)block; }
void *calloc(size_t count_, size_t bytes) { return take(count_ * bytes, 0); }
void *realloc(void *old, size_t bytes)
{
    void *block = take(bytes, 1);
    if (old != NULL) {
        size_t had = ((size_t *)old)[-1];
        memmove(block, old, had < bytes ? had : bytes);
    }
    return block;
}
C
"${CC:-cc}" -O1 -fno-builtin -fPIC -shared -o "$work/overlap.so" "$work/overlap.c"

library=$(basename "$HAKMEM_LIB")
for source in "$HAKMEM_SOURCE_DIR"/bench/bench_*.c; do
    name=$(basename "$source" .c)
    [[ $name != bench_replay ]] || continue # test_trace.sh
    [[ -v arguments[$name] ]] || { fail "$name has no line in this test"; continue; }
    read -ra given <<<"${arguments[$name]}"
    run "$name" 0 -- "${given[@]}" && report "$name" libc.so plain
    run "$name" 0 BENCH_LATENCY=0 BENCH_VERIFY= LD_PRELOAD="$HAKMEM_LIB" -- "${given[@]}" &&
        report "$name" "$library" plain
    if [[ -v refused[$name] ]]; then
        read -ra given_bad <<<"${refused[$name]}"
        run "$name" 2 -- "${given_bad[@]}" || true
        grep -q 'argument [1-9] is ' "$work/$name.err" || fail "$name ${refused[$name]}: no reason"
    fi
    [[ " $unwatched " != *" $name "* ]] || continue
    for preload in "" "$HAKMEM_LIB"; do
        run "$name" 0 BENCH_VERIFY=1 LD_PRELOAD="$preload" -- "${given[@]}" &&
            report "$name" "$(basename "${preload:-libc.so}")" verify
    done
    run "$name" 0 BENCH_LATENCY=1 LD_PRELOAD="$HAKMEM_LIB" -- "${given[@]}" &&
        report "$name" "$library" latency
    run "$name" 1 BENCH_VERIFY=1 LD_PRELOAD="$work/overlap.so" -- "${given[@]}" || true
    grep -q 'are not what was written' "$work/$name.err" || fail "$name: overlapping blocks pass"
    run "$name" 2 BENCH_VERIFY=yes -- "${given[@]}" || true
done

# Iterations are repeated, in each thread, until the time has passed; all of them are counted.
for bench in "bench_fixed_size 64 2000 100" "bench_mid_large_mt 3 2000 50 42"; do
    read -ra given <<<"$bench"
    run "${given[0]}" 0 BENCH_SECONDS=0.2 -- "${given[@]:1}" || continue
    python3 - "$work/${given[0]}.out" <<'PYTHON' || fail "$bench: BENCH_SECONDS"
import json, sys
report = json.loads(open(sys.argv[1]).read().splitlines()[1])
assert report["ops"] > 6000 and report["ops"] % 2000 == 0, report
assert 0.2 <= report["seconds"] < 10, report
assert abs(report["ns_per_op"] * report["ops"] / 1e9 - report["seconds"]) < 0.01, report
PYTHON
done
run bench_fixed_size 2 BENCH_SECONDS=long -- 64 2000 100 || true
grep -q "^BENCH_SECONDS: argument 1 is 'long'" "$work/bench_fixed_size.err" || fail "BENCH_SECONDS=long"

# The threads of these share nothing by 0 %, everything by 100 %; the sums are the same.
for ratio in 0 1 100; do
    run bench_remote 0 BENCH_VERIFY=1 LD_PRELOAD="$HAKMEM_LIB" -- "$ratio" 4 3000 50 || continue
    grep -q '"ops":12000,.*"verified":6200,' "$work/bench_remote.out" ||
        fail "bench_remote $ratio: $(cat "$work/bench_remote.out")"
done

((reports > 70)) || fail "only $reports reports"
python3 "$work/report.py" "$work/reports" || fail "the reports"

if ((failures > 0)); then
    echo "test_benches: $failures failed" >&2
    exit 1
fi
