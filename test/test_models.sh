#!/usr/bin/env bash
# The models of the lock-free protocols (test/model, design/0015-models.md): spin finds no error in any
# of them, having looked at every state within their bounds, and an error in each of their mutations.
#
# A model says in its head how it is checked, a scene a check:
#
#   check: -DSCENE=1
#     mutations: MUTATION MUTATION
#     mutations: MUTATION
#
# The functions that its steps name must be defined in the files that they name. Here the first check
# of each model is done with its first mutation; `test_models.sh full` does all (test_models_full.sh).
#
# ctest: labels=quick timeout=300
set -euo pipefail
root=${HAKMEM_SOURCE_DIR:-$(cd "$(dirname "$0")/.." && pwd)}
models=$root/test/model
cc=${CC:-gcc}
failures=0
states_all=0
caught_all=0

# --- the models speak of functions that are there; any system can check that
fail() {
    printf 'test_models: %s\n' "$*" >&2
    failures=$((failures + 1))
}

# defines FILE FUNCTION: a definition, its head in the first column, or an inline one of a header.
defines() {
    awk -v name="$2" '
    !head && $0 ~ "^[A-Za-z_][^;=]*[^A-Za-z0-9_]" name "[(]" { head = 1 }
    head && /;/ { head = 0 }
    head && /^[{]/ { found = 1; exit }
    END { exit !found }' "$root/$1"
}

# steps_check MODEL: a line for every function that is not there.
steps_check() {
    local step
    grep -oE '(front|segment|region)/[a-z_]+[.][ch]:[a-z0-9_]+' "$1" | sort -u |
        while IFS= read -r step; do
            [[ -f $root/${step%%:*} ]] && defines "${step%%:*}" "${step#*:}" || echo "$step"
        done
}

# macros_check MODEL: a line for every macro that the code looks at and no check defines, or the
# other way round.
macros_check() {
    diff <(grep -oE '^#ifn?def [A-Z_]+' "$1" | sed 's/.* //' | sort -u | grep -vxE "$given") \
        <(checks_of "$1" | sed 's/^[^:]*: *//' | tr ' ' '\n' | grep . | sort -u) | grep '^[<>]'
}
given='MESSAGES|SCENE|FREES|ROUNDS|TRIES|ENTRIES' # bounds

# checks_of MODEL: `OPTIONS:MUTATIONS`, a line each check.
checks_of() {
    awk '/^ [*] +check:/ { if (n++) print ""; sub(/.*check: */, ""); printf "%s:", $0 }
         /^ [*] +mutations:/ { sub(/.*mutations:/, ""); printf "%s", $0 }
         END { if (n) print "" }' "$1"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '%s\n' '/* segment/page.c:hak_page_close segment/page.c:no_such_one segment/no.c:hak_page_close */' \
    '#ifdef NOT_TRIED' ' *   check: -DX=1' ' *     mutations: NOT_THERE' >"$work/bad.pml"
[[ $(steps_check "$work/bad.pml") == $'segment/no.c:hak_page_close\nsegment/page.c:no_such_one' ]] ||
    fail "steps that are not there are not found"
[[ $(macros_check "$work/bad.pml") == $'< NOT_TRIED\n> NOT_THERE' ]] ||
    fail "mutations that are not tried are not found: $(macros_check "$work/bad.pml")"
for model in "$models"/*.pml; do
    while IFS= read -r missing; do
        fail "${model##*/}: $missing is not defined there"
    done < <(steps_check "$model")
    [[ $model == */memory.pml ]] && continue
    while IFS= read -r missing; do
        fail "${model##*/}: a macro in the code (<) or in the head (>) only: $missing"
    done < <(macros_check "$model")
    [[ -n $(checks_of "$model") ]] || fail "${model##*/}: no check"
done
((failures == 0)) || exit 1

# --- and hold
library=${HAKMEM_LIB:-}
if [[ ${library##*/} == libhakmem-header* ]]; then
    echo "skipped: what the models are of does not differ in header mode"
    exit 77
fi
if ! command -v spin >/dev/null || ! command -v "$cc" >/dev/null; then
    [[ ${HAKMEM_REAL_REQUIRED:-0} == 1 ]] && exit 1
    echo "skipped: no spin, or no C compiler to build what it writes"
    exit 77
fi

# search MODEL OPTIONS MACRO...: spin's report in $work/report.
search() {
    local model=$1 options macro
    read -ra options <<<"$2"
    for macro in "${@:3}"; do options+=("-D$macro"); done
    rm -rf "$work/pan"
    mkdir "$work/pan"
    (
        cd "$work/pan"
        spin "${options[@]}" -a "$model" || exit
        "$cc" -w -O"$(($# > 2 ? 0 : 1))" -DSAFETY -DCOLLAPSE -DVECTORSZ=4096 -DMEMLIM=6000 -o pan pan.c ||
            exit
        ./pan -m400000 -w22 -n
    ) >"$work/report" 2>&1 || true
}

report() { sed -n '1,12p' "$work/report" >&2; }

# verify MODEL OPTIONS: no error, and nothing left out.
verify() {
    local states
    search "$1" "$2"
    states=$(sed -nE 's/^ *([0-9]+) states, stored.*/\1/p' "$work/report")
    if ! grep -q 'errors: 0$' "$work/report" || [[ -z $states ]] ||
        grep -qiE 'too small|not completed|out of memory|truncated' "$work/report"; then
        fail "${1##*/} $2: an error, or not all states were looked at"
        report
        return
    fi
    states_all=$((states_all + states))
    printf '%-34s %9d states, no error\n' "${1##*/} $2" "$states"
}

# refute MODEL OPTIONS MUTATION: an error, and not for want of room.
refute() {
    local found
    search "$1" "$2" "$3"
    found=$(sed -nE 's/^pan:[0-9]+: (.*) \(at depth [0-9]+\)$/\1/p' "$work/report" | head -n 1)
    if [[ -z $found || $found == *too_many* ]] || ! grep -q 'errors: 1$' "$work/report"; then
        fail "${1##*/} $2: the mutation $3 is not caught"
        report
        return
    fi
    caught_all=$((caught_all + 1))
    printf '    %-20s caught: %s\n' "$3" "$found"
}

for model in ${MODELS:-"$models"/*.pml}; do
    while IFS=: read -r options mutations; do
        read -ra mutations <<<"$mutations"
        verify "$model" "$options"
        [[ ${1:-} == full ]] || mutations=("${mutations[@]:0:1}")
        for mutation in "${mutations[@]}"; do
            refute "$model" "$options" "$mutation"
        done
        [[ ${1:-} == full ]] || break
    done < <(checks_of "$model")
done
((failures == 0)) || exit 1
echo "$states_all states, $caught_all mutations caught"
