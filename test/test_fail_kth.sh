#!/usr/bin/env bash
# Real programs on the library whose k-th memory call to the kernel fails, for every k: they give
# their normal output or say that memory is out in their own way; no process ends by a signal (but
# Python's that says so and calls abort() itself, before it can raise an exception).
#
# Calls are the allocator's: mmap, munmap, mprotect, madvise, mremap (prog/fail_kth.c). One fails,
# and in a second course all from the k-th on. Beyond 200 of them k goes on in growing steps. A
# failing munmap, madvise or mremap is not to be noticed at all (prog/fault_load.c).
#
# ctest: labels=full timeout=600
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
fail_kth=$build/test/fail_kth
load=$build/test/fault_load
export PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1
built "$library" "$fail_kth" "$load"
status=0
"$fail_kth" --report /dev/null true || status=$?
((status == 0)) || skip "processes may not be traced here"
work_begin
points=0
refusals=0
aborted=0

fail() { # and what the program wrote
    printf '%s: %s\n' "$test_name" "$*" >&2
    tail -n 5 "$work/out" "$work/err" >&2
    failures=$((failures + 1))
}

# faulty OPTION... -- COMMAND...: sets `status`, the report's `calls`, `failed` and `signal`.
faulty() {
    local options=()
    while [[ $1 != -- ]]; do
        options+=("$1")
        shift
    done
    shift
    status=0
    rm -f "$work/report" "$work/data.db"
    # env is traced too, but calls count only when they come from the library.
    timeout -k 5 60 "$fail_kth" --library "${library##*/}" --report "$work/report" "${options[@]}" \
        env "${settings[@]}" LD_PRELOAD="$library" "$@" \
        <"$work/in" >"$work/out" 2>"$work/err" || status=$?
    calls=0 failed=0 signal=0
    [[ ! -s $work/report ]] || read -r _ calls _ failed _ signal kinds <"$work/report"
}

# spread COUNT: each number to 200, then in growing steps.
spread() {
    local k
    for ((k = 1; k <= $1; k += k < 200 ? 1 : k / 20)); do
        echo "$k"
    done
}

# judge WHAT: the run was normal, or ended by a clean refusal.
judge() {
    if [[ ! -s $work/report ]]; then
        fail "$1: no end: status $status"
    elif ((signal == 6)) && grep -q '^Fatal Python error: .*[Mm]emory' "$work/err"; then
        aborted=$((aborted + 1)) # Python's own way where it has no exception to raise yet
    elif ((signal != 0)); then
        fail "$1: signal $signal"
    elif ((status == normal_status)) && cmp -s "$work/out" "$work/normal"; then
        return 0
    elif grep -q '^hakmem: ' "$work/err" || ((status >= 124)) && ((status != 127)); then
        fail "$1: status $status"
    elif ((status == normal_status)) && ! grep -qi 'memory\|allocate' "$work/err"; then
        fail "$1: other output, and not a word about memory"
    else
        refusals=$((refusals + 1))
    fi
}

# sweep NAME COMMAND...: with the input in $work/in, under $settings.
sweep() {
    local name=$1 k times all
    shift
    faulty -- "$@"
    ((calls > 0)) || { fail "$name: no call comes from the library"; return 0; }
    ((signal == 0)) || { fail "$name: signal $signal, and nothing failed"; return 0; }
    cp "$work/out" "$work/normal"
    normal_status=$status
    all=$calls
    printf '%s: %s calls (%s)\n' "$name" "$all" "$kinds"
    for times in 1 0; do
        for k in $(spread "$all"); do
            faulty --at "$k" --times "$times" -- "$@"
            judge "$name, call $k and $((times - 1)) more of $all"
            # The order of calls may differ from run to run where there are several processes.
            points=$((points + (failed > 0)))
        done
    done
}

: >"$work/in"
# Without threads: Python waits for ever for one that got no memory to begin with.
cat >"$work/program.py" <<'SCRIPT'
words = {}
def work(seed):
    for i in range(1500):
        seed = seed * 16807 % 2147483647
        words[seed % 500] = "x" * (seed % 3000) if i % 50 else bytes(seed % 400000)
    words[-seed] = [str(n) for n in range(2000)]
work(1)
work(2)
big = bytearray(100)
for n in range(8):
    big.extend(bytes(len(big) * 3))
print(len(words), sum(len(word) for word in words.values()), len(big))
SCRIPT
cat >"$work/program.bash" <<'SCRIPT'
long=
for ((i = 0; i < 200; i++)); do
    long+="word$i "
    list+=("${long: -40}")
done
text=$(printf '%s\n' "${list[@]}" | cksum)
big=$(printf '%0300000d' 7)
echo "$text ${#long} ${#big} $(echo "${list[*]}" | wc -c)"
SCRIPT
cat >"$work/program.sql" <<'SQL'
CREATE TABLE item (id INTEGER PRIMARY KEY, number INTEGER, word TEXT);
WITH RECURSIVE series (id, state) AS (
    SELECT 1, 1 UNION ALL SELECT id + 1, state * 16807 % 2147483647 FROM series LIMIT 3000)
INSERT INTO item SELECT id, state % 103, printf('word-%x', state % 65521) FROM series;
CREATE INDEX item_word ON item (word, number DESC);
SELECT count(*), sum(number), sum(length(word)), length(zeroblob(500000)) FROM item;
SELECT number, count(*), length(group_concat(word)) FROM item GROUP BY number LIMIT 9;
SQL

# As it comes, and with small steps and memory that goes back at once.
for course in plain small; do
    settings=("HAKMEM_TEST_COURSE=$course")
    [[ $course == plain ]] ||
        settings+=(HAKMEM_ARENA_MB_INIT=1 HAKMEM_ARENA_MB_MAX=1 HAKMEM_PURGE_DECAY_MS=0)
    sweep "fault_load, $course" "$load"
    [[ ! -x /usr/bin/python3 ]] ||
        sweep "python3, $course" /usr/bin/python3 -S -E "$work/program.py"
    sweep "bash, $course" bash "$work/program.bash"
    if command -v sqlite3 >/dev/null; then
        cp "$work/program.sql" "$work/in"
        sweep "sqlite3, $course" sqlite3 -batch -bail "$work/data.db"
        : >"$work/in"
    fi
done

# Nobody notices these: errno stays, every request is served.
for call in munmap madvise mremap; do
    for number in 12 22 38; do # ENOMEM, EINVAL, ENOSYS
        faulty --call "$call" --errno "$number" --at 1 --times 0 -- "$load" served
        ((status == 0 && failed > 0)) || fail "all of $call fail with $number: status $status, $failed"
        points=$((points + 1))
    done
done

echo "test_fail_kth: $points fault points; in $refusals of them the program said that memory is out," \
    "in $aborted Python aborted over it; $failures failures; $SECONDS s"
((failures == 0)) || exit 1
