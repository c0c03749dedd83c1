#!/usr/bin/env bash
# Every change of schedule/mutations/ makes the case that it names break a rule: the cases see what
# they are there for. One file of the allocator is compiled anew for each.
#
# ctest: labels=quick timeout=120
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
# shellcheck source-path=SCRIPTDIR source=mutate.bash
source "$here/mutate.bash"
work_begin
count=0

# try MUTATION
try() {
    local name case_name why output status=0
    name=$(basename "$1" .sed)
    case_name=$(mutation_field case "$1")
    why=$(mutation_compile "$1" schedule_inside) || { fail "$name: $why" && return; }
    gcc -o "$work/mutant" "$build"/test/schedule/CMakeFiles/schedule_cases.dir/main.c.o \
        "$work/mutated.o" -Wl,--start-group "$build"/libschedule_{parts,inside}.a -Wl,--end-group \
        -lcmocka -pthread || { fail "$name: does not link" && return; }
    output=$("$work/mutant" "$case_name" 2>&1) || status=$?
    if [[ $status != 1 || $output != *BROKEN* ]]; then
        fail "$name: not seen by $case_name (status $status): $output"
    else
        printf '%s: %s\n' "$name" "$(grep -o '[0-9]* schedules of.* s: BROKEN.*' <<<"$output")"
    fi
}

for mutation in "$source_dir"/test/schedule/mutations/${1:-*}.sed; do
    count=$((count + 1))
    try "$mutation"
done
((count > 0)) || fail "there are no mutations"
finish "all $count mutations break a rule"
