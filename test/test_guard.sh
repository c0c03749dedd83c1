#!/usr/bin/env bash
# Foreign pointers: what each policy does with them, and what the report, the statistics and the log
# say of where they came from.
#
# ctest: labels=quick timeout=60
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
program=$build/test/foreign
built "$library" "$program"
options_clear
work_begin

# run CALL COUNT SETTING...: sets `status`, `output` and `said` (standard error).
run() {
    status=0
    output=$(env "${@:3}" LD_PRELOAD="$library" "$program" "$1" "$2" 2>"$work/said" </dev/null) ||
        status=$?
    said=$(cat "$work/said")
}

# expect OUTPUT: of the last run, which ended well.
expect() {
    [[ $status == 0 && $output == "$1" ]] || fail "status $status: $output, not $1: $said"
}

# places: for each line of the report, the functions of the program that led there.
places() {
    local line offset
    grep ' foreign+' <<<"$said" | while read -r line; do
        grep -oE ' foreign[+]0x[0-9a-f]+' <<<"$line" | sed 's/.*+//' | while read -r offset; do
            addr2line -fe "$program" "$(printf '%#x' $((offset - 1)))" | head -n 1 # the call before it
        done | paste -sd ' '
    done
}

# --- by default: left alone, and nothing said
run free 8
expect 'kept 0, 0 bytes'
[[ -z $said ]] || fail "it speaks unasked: $said"
run realloc 8
expect 'kept 0, 0 bytes'
run wild 100
expect 'kept 0, 0 bytes'

# --- forward
run realloc 8 HAKMEM_GUARD=forward
expect 'kept 8, 0 bytes'
run size 8 HAKMEM_GUARD=forward # glibc's blocks of 100 bytes hold 104
expect 'kept 0, 832 bytes'
run free 100000 HAKMEM_GUARD=forward MALLOC_TRIM_THRESHOLD_=0
expect 'kept 0, 0 bytes'
# Addresses that libc cannot have given are left alone.
run wild 100 HAKMEM_GUARD=forward HAKMEM_STATS=1
expect 'kept 0, 0 bytes'
[[ $said == *'foreign_frees 100'* && $said != *foreign_forwarded* ]] || fail "forwarded: $said"
run free 9 HAKMEM_GUARD=forward HAKMEM_STATS=1
[[ $said == *'foreign_frees 9, foreign_forwarded 9'* ]] || fail "not forwarded: $said"

# --- abort
for call in free realloc size; do
    run $call 8 HAKMEM_GUARD=abort
    [[ $status == 134 && $said == 'hakmem: a foreign pointer (HAKMEM_GUARD)' ]] ||
        fail "abort at $call: status $status: $said"
done

# --- the report at exit: counts, places, sizes, mapped or not
for name in HAKMEM_GUARD_STATS HAKMEM_EXTERNAL_GUARD_STATS; do
    run free 8 $name=1
    [[ $said == 'hakmem: guard: foreign pointers: 8 free, 0 realloc, 0 malloc_usable_size'* ]] ||
        fail "$name: $said"
    [[ $said == *': 6, 6 mapped, of unknown size, from'*': 2, 2 mapped, of unknown size, from'* ]] ||
        fail "$name: $said"
done
if command -v addr2line >/dev/null; then
    for call in free realloc; do
        run $call 8 HAKMEM_GUARD_STATS=1
        [[ $(places) == *place_often*give_all*$'\n'*place_seldom*give_all* ]] ||
            fail "$call: the report does not lead to the callers: $(places): $said"
    done
fi
run size 4 HAKMEM_GUARD_STATS=1
[[ $said == *' 0 free, 0 realloc, 4 malloc_usable_size'* ]] || fail "sizes: $said"
run bands 8 HAKMEM_GUARD_STATS=1 HAKMEM_GUARD=forward
[[ $said == *'of 65 to 8192 bytes'*'of 65 to 128 bytes'* ]] || fail "size bands: $said"
run wild 8 HAKMEM_GUARD_STATS=1
[[ $said == *': 8, 4 mapped, '* ]] || fail "mapped or not: $said"
run many 1 HAKMEM_GUARD_STATS=1 # there is room for 64 places
[[ $said == *'100 free'*': 36, 36 mapped, of unknown size, from other places'* ]] ||
    fail "a full table: $said"
[[ $(grep -c ', from' <<<"$said") == 10 ]] || fail "not ten places: $said"
LD_PRELOAD=$library HAKMEM_GUARD_STATS=1 HAKMEM_GUARD_REPORT=5 /bin/true 2>"$work/said"
[[ ! -s $work/said ]] || fail "a report of nothing: $(cat "$work/said")"

# --- past a threshold
run free 4 HAKMEM_GUARD_REPORT=5
[[ -z $said ]] || fail "a report below the threshold: $said"
run free 5 HAKMEM_GUARD_REPORT=5
[[ $(grep -c 'foreign pointers: 5 free' <<<"$said") == 1 ]] || fail "not one report at 5: $said"
run free 9 HAKMEM_GUARD_REPORT=5
[[ $said == *'pointers: 5 free'*'pointers: 9 free'* ]] || fail "not at 5 and at exit: $said"
run threads 1000 HAKMEM_GUARD_REPORT=3000 HAKMEM_GUARD=forward
[[ $(grep -c 'foreign pointers: ' <<<"$said") == 2 ]] || fail "not two reports by threads: $said"
[[ $said == *'pointers: 4000 free'*': 3000, 3000 mapped'*': 1000, 1000 mapped'* ]] ||
    fail "by threads: $said"

# --- the log
for name in HAKMEM_GUARD_LOG HAKMEM_EXTERNAL_GUARD_LOG; do
    run realloc 3 $name=1
    [[ $(grep -cE '^hakmem: guard: realloc\(0x[0-9a-f]+\), mapped, of unknown size, from .*foreign\+0x' \
        <<<"$said") == 3 ]] || fail "$name: $said"
done

# --- in a static program there is no dynamic linker to name places: they are addresses
"${CC:-cc}" -O1 -static -o "$work/static" "$here/prog/foreign.c" "$archive" -pthread 2>"$work/link" ||
    fail "static: $(cat "$work/link")"
HAKMEM_GUARD_LOG=1 "$work/static" wild 4 >"$work/out" 2>"$work/said" || fail "static: ended with $?"
[[ $(grep -cE '^hakmem: guard: free\(0x[0-9a-f]+\), .* from( 0x[0-9a-f]+)+$' "$work/said") == 4 ]] ||
    fail "static: $(cat "$work/said")"

# --- a hardened process stops, whatever the policy
run free 1 HAKMEM_GUARD=forward HAKMEM_HARDEN=1
[[ $status == 134 && $said == 'hakmem: free of a pointer that is no block' ]] ||
    fail "hardened: status $status: $said"

finish "foreign pointers become what the policy says, and the report leads to them"
