#!/usr/bin/env bash
# Every change of schedule/mutations/ makes the case that it names break a rule: the cases see what
# they are there for. One file of the allocator is compiled anew for each.
#
# ctest: labels=quick timeout=120
set -euo pipefail
build=$HAKMEM_BUILD_DIR
folder=$HAKMEM_SOURCE_DIR/test/schedule/mutations
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
count=0

problem() {
    printf '%s: %s\n' "$1" "$2"
    failures=$((failures + 1))
}

# command_of FILE: how the build compiles it with the scheduler's points, up to the output.
command_of() {
    sed -n 's/^ *"command": "\(.*\) -o [^ ]*schedule_inside[^ ]*\/'"${1//\//\\/}"'[.]o .*/\1/p' \
        "$build/compile_commands.json"
}

# field NAME FILE: what the head of a mutation says.
field() { sed -n "s/^# $1: //p" "$2"; }

# try MUTATION
try() {
    local name file case_name command output status=0
    name=$(basename "$1" .sed)
    file=$(field file "$1")
    case_name=$(field case "$1")
    command=$(command_of "$file")
    [[ -n $command ]] || { problem "$name" "the build does not know $file" && return; }
    sed -f "$1" "$HAKMEM_SOURCE_DIR/$file" >"$work/mutated.c"
    if cmp -s "$work/mutated.c" "$HAKMEM_SOURCE_DIR/$file"; then
        problem "$name" "changes nothing in $file" && return
    fi
    (cd "$build" && eval "$command -w -c '$work/mutated.c' -o '$work/mutated.o'") ||
        { problem "$name" "does not compile" && return; }
    gcc -o "$work/mutant" "$build"/test/schedule/CMakeFiles/schedule_cases.dir/main.c.o \
        "$work/mutated.o" -Wl,--start-group "$build"/libschedule_{parts,inside}.a -Wl,--end-group \
        -lcmocka -pthread || { problem "$name" "does not link" && return; }
    output=$("$work/mutant" "$case_name" 2>&1) || status=$?
    if [[ $status != 1 || $output != *BROKEN* ]]; then
        problem "$name" "not seen by $case_name (status $status): $output"
    else
        printf '%s: %s\n' "$name" "$(grep -o '[0-9]* schedules of.* s: BROKEN.*' <<<"$output")"
    fi
}

for mutation in "$folder"/${1:-*}.sed; do
    count=$((count + 1))
    try "$mutation"
done
((failures == 0 && count > 0)) || exit 1
echo "all $count mutations break a rule"
