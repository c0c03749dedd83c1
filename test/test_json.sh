#!/usr/bin/env bash
# What the command writes for programs is what hakmem-json(5) says: every member is in the manual with its
# type, and every member of the manual is written, but where the array or object around it is empty or null.
#
# ctest: labels=quick timeout=180
set -euo pipefail
# shellcheck source=test/heap_sample.bash
. "$(cd "$(dirname "$0")" && pwd)/heap_sample.bash"
command -v jq >/dev/null || { echo "skipped: no jq"; exit 77; }
manual=${HAKMEM_SOURCE_DIR:?}/tool/package/hakmem-json.5

# stated SECTION: "PATH TYPES" of each member that the manual names there.
stated() {
    awk -v section="$1" '/^[.]Ss / { inside = $2 == section } /^[.]Bd/ { literal = 1; next }
        /^[.]Ed/ { literal = 0 } inside && literal { print $1, $2 }' "$manual"
}

# written FILE: "PATH TYPE" of each member; an empty object or array has the path it has, with nothing below.
written() {
    jq -r 'paths as $path | [($path | map(if type == "number" then "[]" else . end) | join(".")
        | gsub("[.]\\[\\]"; "[]")), (getpath($path) | type), (getpath($path) | . == null or . == [] or . == {})]
        | map(tostring) | join(" ")' "$1" | sort -u
}

# differences SECTION FILE: a line each.
differences() {
    awk -v section="$1" '
    function pattern(path) {
        gsub(/[][]/, "\\\\&", path); gsub(/[.]/, "[.]", path); gsub(/[*]/, "[^.]+", path)
        return "^" path "$"
    }
    function above(path) { return sub(/\[\]$/, "", path) || sub(/[.][^.]*$/, "", path) ? path : "" }
    FNR == NR { paths[++count] = $1; regex[count] = pattern($1); types[count] = $2; next }
    {
        found = 0
        for (i = 1; i <= count; i++) {
            if ($1 ~ regex[i]) {
                found = seen[i] = 1
                if (("|" types[i] "|") !~ ("[|]" $2 "[|]"))
                    print section ": " $1 " is a " $2 ", the manual says " types[i]
            }
        }
        if ($3 == "true") empty[++empties] = $1
        if (!found && $2 != "object" && $2 != "array") print section ": the manual lacks " $1
    }
    END {
        for (i = 1; i <= count; i++) {
            excused = seen[i]
            for (path = paths[i]; !excused && (path = above(path)) != "";)
                for (j = 1; j <= empties; j++) if (empty[j] ~ pattern(path)) excused = 1
            if (!excused) print section ": nothing writes " paths[i]
        }
    }' <(stated "$1") <(written "$2")
}

# agrees SECTION FILE: one object, of schema 1, as stated.
agrees() {
    local problem
    jq -es 'length == 1 and (.[0] | type) == "object" and .[0].schema == 1' "$2" >/dev/null ||
        { fail "$1: not one object of schema 1: $(head -c 300 "$2")"; return; }
    while IFS= read -r problem; do fail "$problem"; done < <(differences "$1" "$2")
}

# --- the comparison can fail
"$hakmem" options --json >"$work/options"
jq -c 'del(.options[].range) | .options[0].help = 7 | .options[1].more = true' "$work/options" >"$work/wrong"
[[ $(differences options "$work/wrong" | sort) == "options: nothing writes options[].range
options: options[].help is a number, the manual says string
options: the manual lacks options[].more" ]] || fail "wrong members are found as: $(differences options "$work/wrong")"

# --- each command
agrees options "$work/options"
HAKMEM_PREWARM='"' "$hakmem" options --json |
    jq -e '[.options[] | select(.is_set) | .name] == ["HAKMEM_PREWARM"]' >/dev/null ||
    fail "options: not the one that is set"
status=0
HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=100000 "$hakmem" doctor --json >"$work/doctor" || status=$?
agrees doctor "$work/doctor"
[[ $(jq .verdict.ok "$work/doctor") == "$( ((status == 0)) && echo true || echo false)" ]] ||
    fail "doctor: the verdict is not the exit status $status"
sample_start
sample_ask a
"$hakmem" map "$sample" --save "$work/saved"
"$hakmem" map "$work/saved" --json >"$work/map"
agrees map "$work/map"
jq -r '.classes as $classes | .spans[] | if .class then "slots \(.page) \(.class) \(.heap // 0) \(.used)"
    else "large \(.page) \(.pages)" end' "$work/map" >"$work/spans"
diff <(grep -E '^(slots|large) ' "$work/saved") "$work/spans" >"$work/diff" ||
    fail "map: spans of the saved map (<) and of the JSON (>): $(head -n 5 "$work/diff")"
jq -e '[.segments[].pages_in_use] | add == ([input.spans[].pages] | add)' "$work/map" "$work/map" >/dev/null ||
    fail "map: the segments' pages in use are not those of the spans"
# shellcheck disable=SC2016 # the inner shell expands it
expect map_json_full 1 '^hakmem: map: cannot write' bash -c '"$0" map "$1" --json >/dev/full' \
    "$hakmem" "$work/saved"
"$hakmem" top "$sample" --once --json >"$work/top"
agrees top "$work/top"
sample_end
if [[ -e $build/bench_runner ]]; then
    "$hakmem" ab --json=- --out="$work/files" --rounds=2 --no-counts -- true >"$work/ab" 2>"$work/tables" ||
        fail "ab: status $?"
    agrees ab "$work/ab"
    cmp "$work/ab" "$work/files/summary.json" || fail "ab: summary.json is another"
    grep -q '^throughput, glibc = 1 ' "$work/tables" || fail "ab: no tables on standard error"
fi
((failures == 0)) || exit 1
echo "all members as stated"
