#!/usr/bin/env bash
# Settings from the environment: every legal one works, any other is named and its default used.
#
# ctest: labels=quick timeout=180
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
program=$build/test/use_tiers
built "$library" "$program"
options_clear

# run_with SETTING... -- COMMAND...: sets `output` (what it wrote) and `status`.
run_with() {
    local settings=()
    while [[ $1 != -- ]]; do
        settings+=("$1")
        shift
    done
    shift
    status=0
    output=$(env "${settings[@]}" LD_PRELOAD="$library" "$@" 2>&1 </dev/null) || status=$?
}

# refused SETTING: one line that names it and its range, and the program runs.
refused() {
    run_with "$1" -- /bin/true
    [[ $status == 0 ]] || fail "$1: ended with $status"
    local pattern=" is out of range [^ ]+, using [^ ]+"
    local rest=${output#"hakmem: $1"}
    if [[ $rest == "$output" || ! $rest =~ ^$pattern$ || $output == *$'\n'* ]]; then
        fail "$1: expected one line 'hakmem: $1$pattern', got: $output"
    fi
}

# taken SETTING...: nothing is said and the program runs.
taken() {
    run_with "$@" -- "$program"
    [[ $status == 0 ]] || fail "$*: ended with $status: $output"
    [[ -z $output ]] || fail "$*: it said: $output"
}

taken HAKMEM_TEST_NOTHING=1 # a name that is none of ours

for setting in \
    HAKMEM_ARENA_GIB=abc HAKMEM_ARENA_GIB=0 HAKMEM_ARENA_GIB=-4 HAKMEM_ARENA_GIB=1x \
    HAKMEM_ARENA_GIB=99999999999999999999999 HAKMEM_ARENA_MB_INIT=-1 HAKMEM_ARENA_MB_INIT=0 \
    HAKMEM_ARENA_MB_MAX=0 HAKMEM_ARENA_MB_MAX=many HAKMEM_ARENA_GROWTH_LEVELS=-1 \
    HAKMEM_ARENA_GROWTH_LEVELS=1000000 HAKMEM_TINY_MAX_CLASS=6 HAKMEM_TINY_MAX_CLASS=4 \
    HAKMEM_TINY_MAX_CLASS=8 HAKMEM_SMALLMID_ENABLE=2 HAKMEM_SMALLMID_ENABLE=yes \
    HAKMEM_HARDEN=2 HAKMEM_HARDEN=yes HAKMEM_LEARNER=1 HAKMEM_LEARNER_INTERVAL=0 HAKMEM_PREWARM=x HAKMEM_PREWARM=2 HAKMEM_PURGE_DECAY_MS=999999999999 \
    HAKMEM_PURGE_DECAY_MS=-1 HAKMEM_PURGE_THREAD=2 \
    HAKMEM_LIVE=2 HAKMEM_LIVE=yes HAKMEM_HUGE=huge HAKMEM_HUGE=of HAKMEM_HUGE= HAKMEM_HUGE=1 HAKMEM_HUGE_FORK=never \
    HAKMEM_HUGE_THRESHOLD_MB=-1 HAKMEM_HUGE_RESERVE=x HAKMEM_HUGE_REQUIRE=2 \
    HAKMEM_LIMIT=1M HAKMEM_LIMIT=64MB HAKMEM_LIMIT=-64M HAKMEM_LIMIT= HAKMEM_LIMIT=65537G \
    HAKMEM_STATS=2 HAKMEM_STATS=yes HAKMEM_STATS= HAKMEM_STATS=10 HAKMEM_LOCK_STATS=2 \
    HAKMEM_SHARED_POOL_LOCK_STATS=x HAKMEM_GUARD=free HAKMEM_GUARD=1 HAKMEM_GUARD_REPORT=-1 \
    HAKMEM_GUARD_REPORT=9999999999 HAKMEM_GUARD_STATS=2 HAKMEM_EXTERNAL_GUARD_STATS=on \
    HAKMEM_GUARD_LOG=2 HAKMEM_EXTERNAL_GUARD_LOG=on \
    HAKMEM_PROF=2 HAKMEM_PROF=yes HAKMEM_PROF_BYTES=0 HAKMEM_PROF_BYTES=512K HAKMEM_PROF_SIGNAL=65 \
    HAKMEM_PROF_LEAKS=2 HAKMEM_PROF_STACKS=fp \
    HAKMEM_POOL_TLS_ARENA_MB_INIT=0 HAKMEM_POOL_TLS_ARENA_MB_MAX=x; do
    refused "$setting"
done

# Policies have a message of their own.
policy_refused() {
    run_with HAKMEM_POLICY="$1" -- "$program"
    [[ $status == 0 && $output == "hakmem: HAKMEM_POLICY: $2, using balanced" ]] ||
        fail "HAKMEM_POLICY=$1: status $status, it said: $output"
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '# a policy\n\nclass 64 route MID\nclass 1024 capacity 4000\n' >"$work/bad"
printf '# a policy\n\nclass 64 route MID\nclass 1024 capacity 400\n' >"$work/good"
printf 'class 64 route MID\n\0' >"$work/zero"
printf 'class 64 route MID\n\n# a remark\nclas 32 route MID\n' >"$work/key"
printf 'class 64 route MID\n# a remark\nclass 65537 route MID\n' >"$work/class"
{ cat "$work/good" && printf '#%16400d\n' 0; } >"$work/long"
policy_refused "$work/bad" 'line 4: capacity 4000 is out of range 0..1023'
policy_refused "$work/key" \
    'line 4: unknown key clas, not one of class, profile, tiny_max_class, smallmid'
policy_refused "$work/class" 'line 3: class 65537 is out of range 1..65536'
policy_refused "$work/none" 'the file cannot be read'
policy_refused "$work" 'the file cannot be read'
policy_refused "$work/zero" 'the file is no text of at most 16383 bytes'
policy_refused "$work/long" 'the file is no text of at most 16383 bytes'
policy_refused 'class 64 route MID; class 70000 route MID' 'line 1: class 70000 is out of range 1..65536'
policy_refused policy 'line 1: unknown key policy, not one of class, profile, tiny_max_class, smallmid'
for policy in "$work/good" balanced low-memory throughput huge-server '' \
    'class 1..65536 route MID' 'class 4097..65536 route LARGE' 'tiny_max_class 5; smallmid 0'; do
    taken HAKMEM_POLICY="$policy"
    taken HAKMEM_POLICY="$policy" HAKMEM_PREWARM=1
done
for learner in off observe on; do
    taken HAKMEM_LEARNER=$learner HAKMEM_LEARNER_INTERVAL=1
done

run_with HAKMEM_TINY_MAX_CLASS=6 HAKMEM_PREWARM=7 -- /bin/true
lines=$(grep -c . <<<"$output" || true)
[[ $status == 0 && $lines == 2 ]] || fail "two bad settings: $lines lines: $output"

run_with HAKMEM_TINY_MAX_CLASS=6 -- "$program"
[[ $status == 0 ]] || fail "work with a bad setting: ended with $status: $output"

long=$(printf '%05000d' 0)
run_with HAKMEM_PREWARM="${long//0/z}" -- /bin/true
[[ $status == 0 && $output == 'hakmem: HAKMEM_PREWARM='* ]] ||
    fail "a value of 5000 letters: status $status, ${output:0:200}"

for tiny in 5 7; do
    for smallmid in 0 1; do
        for prewarm in 0 1; do
            taken HAKMEM_TINY_MAX_CLASS=$tiny HAKMEM_SMALLMID_ENABLE=$smallmid \
                HAKMEM_PREWARM=$prewarm
        done
    done
done
for fork in safe warn; do
    taken HAKMEM_HUGE=off HAKMEM_HUGE_FORK=$fork HAKMEM_HUGE_RESERVE=3 HAKMEM_HUGE_REQUIRE=1
    taken HAKMEM_HUGE=thp HAKMEM_HUGE_FORK=$fork HAKMEM_HUGE_THRESHOLD_MB=0
    taken HAKMEM_HUGE=auto HAKMEM_HUGE_FORK=$fork HAKMEM_HUGE_THRESHOLD_MB=0
done
taken HAKMEM_ARENA_GIB=1
taken HAKMEM_ARENA_GROWTH_LEVELS=0
taken HAKMEM_POOL_TLS_ARENA_MB_INIT=4 HAKMEM_POOL_TLS_ARENA_GROWTH_LEVELS=2
for init in 1 64; do
    for levels in 1 8; do
        taken HAKMEM_ARENA_MB_INIT=$init HAKMEM_ARENA_MB_MAX=64 HAKMEM_ARENA_GROWTH_LEVELS=$levels
    done
done
taken HAKMEM_ARENA_GIB=1 HAKMEM_ARENA_MB_INIT=1 HAKMEM_ARENA_MB_MAX=1 HAKMEM_ARENA_GROWTH_LEVELS=1
run_with HAKMEM_ARENA_MB_INIT=64 HAKMEM_ARENA_MB_MAX=1 -- "$program" # they contradict each other
[[ $status == 0 ]] || fail "first step above the largest: ended with $status: $output"
taken HAKMEM_LIMIT=200M
taken HAKMEM_LIMIT=65536G HAKMEM_PURGE_DECAY_MS=0
taken HAKMEM_LIMIT=cgroup
taken HAKMEM_PURGE_DECAY_MS=0
taken HAKMEM_PURGE_DECAY_MS=1 HAKMEM_PURGE_THREAD=1
taken HAKMEM_PURGE_THREAD=1
taken HAKMEM_LIVE=1
taken HAKMEM_STATS=off HAKMEM_LOCK_STATS=0
taken HAKMEM_PROF=0 HAKMEM_PROF_BYTES=1 HAKMEM_PROF_SIGNAL=12 HAKMEM_PROF_LEAKS=1 \
    HAKMEM_PROF_STACKS=frames HAKMEM_PROF_FILE=p HAKMEM_PROF_WHEN=q
if [[ ${HAKMEM_LIB:-} != *-header* ]]; then # that one has no profile, and says so
    taken HAKMEM_PROF=1 HAKMEM_PROF_BYTES=1099511627776 HAKMEM_PROF_FILE="$work/prof"
fi
taken HAKMEM_STATS=0
while read -r setting told; do # what it tells at exit
    run_with "$setting" -- "$program"
    [[ $status == 0 && $output == *"$told"* ]] || fail "$setting: ended with $status: $output"
done <<'END'
HAKMEM_STATS=text hakmem:
HAKMEM_STATS=json {"schema":"hakmem"
HAKMEM_STATS=prometheus # TYPE hakmem_
HAKMEM_LOCK_STATS=1 hakmem: locks:
END
for policy in leak forward abort; do # there is nothing foreign
    taken HAKMEM_GUARD=$policy HAKMEM_GUARD_REPORT=1 HAKMEM_GUARD_STATS=1 HAKMEM_GUARD_LOG=1
done
finish "every setting is taken or refused"
