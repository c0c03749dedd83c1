# One file of the allocator with one change, for tests of what sees it; sourced, not a test itself.
#
# A change is a sed script. Its head says which file it is for, and what breaks a rule then:
#
#   # file: segment/page.c
#   # case: NAME
#
# The caller sets `build` and `source_dir` (lib.bash does), and `work`, a directory of its own.
# shellcheck shell=bash
# shellcheck disable=SC2154 # variables are the caller's

# mutation_field NAME MUTATION: what the head says.
mutation_field() { sed -n "s/^# $1: //p" "$2"; }

# mutation_compile MUTATION OBJECTS: makes $work/mutated.o as the build makes that file among the
# objects of that name. False, and says why: it does not apply or does not compile.
mutation_compile() {
    local file command
    file=$(mutation_field file "$1")
    command=$(sed -n 's/^ *"command": "\(.*\) -o [^ ]*\/'"[^ ]*$2[^ ]*\/${file//\//\\/}"'[.]o .*/\1/p' \
        "$build/compile_commands.json")
    [[ -n $command ]] || { echo "the build does not know $file" && return 1; }
    sed -f "$1" "$source_dir/$file" >"$work/mutated.c"
    if cmp -s "$work/mutated.c" "$source_dir/$file"; then
        echo "changes nothing in $file"
        return 1
    fi
    (cd "$build" && eval "$command -w -c '$work/mutated.c' -o '$work/mutated.o'") ||
        { echo "does not compile" && return 1; }
}
