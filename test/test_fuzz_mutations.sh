#!/usr/bin/env bash
# Every change of fuzz/mutations/ is seen by the input of the corpus that it names: the oracle of
# the fuzzed operations sees what it is there for. One file of the allocator is compiled anew for
# each.
#
# ctest: labels=quick timeout=120
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
# shellcheck source-path=SCRIPTDIR source=mutate.bash
source "$here/mutate.bash"
work_begin
variant=$(basename "$library" .so)
variant=${variant#lib}
programs=$build/test/CMakeFiles/fuzz_operations.dir/fuzz
count=0

# try MUTATION
try() {
    local name case_name why output status=0
    name=$(basename "$1" .sed)
    case_name=$(mutation_field case "$1")
    why=$(mutation_compile "$1" "${variant}_inside") || { fail "$name: $why" && return; }
    gcc -o "$work/mutant" "$programs"/{fuzz_operations,replay}.c.o "$work/mutated.o" \
        "$build/lib${variant}_fake.a" -pthread || { fail "$name: does not link" && return; }
    output=$("$work/mutant" "$source_dir/test/fuzz/corpus/operations/$case_name" 2>&1) || status=$?
    if [[ $status == 0 ]]; then
        fail "$name: not seen by $case_name: $output"
    else
        printf '%s: %s\n' "$name" "$(grep -v '^replay' <<<"$output" | head -n 1)"
    fi
}

"$build/test/fuzz_operations" "$source_dir/test/fuzz/corpus/operations" >/dev/null ||
    fail "the allocator breaks a rule as it is"
for mutation in "$source_dir"/test/fuzz/mutations/${1:-*}.sed; do
    count=$((count + 1))
    try "$mutation"
done
((count > 0)) || fail "there are no mutations"
finish "all $count mutations are seen"
