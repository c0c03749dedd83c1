#!/usr/bin/env bash
# The documents are true as far as a script can tell: steps of the walkthrough, links.
#
# design/walkthrough.md: the file of every `file:function` defines that function, and a step that is
# indented under another is called by it. All documents: relative links and `folder/file` names lead
# somewhere. Each check is tried on documents that are wrong first.
#
# ctest: labels=quick timeout=60
# shellcheck disable=SC2016 # backticks are Markdown's
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
cd "$source_dir"
work_begin

# body FILE FUNCTION: the function's definition without comments; nothing if FILE has none.
body() {
    awk -v name="$2" '
    {
        line = $0 # without comments
        while (1) {
            if (comment) {
                if (!(end = index(line, "*/"))) { line = kept; kept = ""; break }
                line = kept substr(line, end + 2); kept = ""; comment = 0
            }
            if (!(start = index(line, "/*"))) break
            kept = substr(line, 1, start - 1); line = substr(line, start + 2); comment = 1
        }
    }
    # A head starts in the first column and ends with { there, or with ; if it only declares.
    !inside && !head && line ~ "^[A-Za-z_].*[^A-Za-z0-9_]" name "[(]" { head = 1; text = "" }
    head && line ~ /;/ { head = 0 }
    head && line ~ /^[{]/ { head = 0; inside = 1 }
    inside { text = text line "\n" }
    inside && line ~ /^}/ { printf "%s", text; exit }' "$1"
}

# steps_check DOCUMENT: a line for every step that is not true; the last line counts the steps.
steps_check() {
    local line indent file function caller steps=0 level levels=()
    local step='^( *)([0-9]+[.]|-) `([a-z0-9_/]+[.][ch]):([a-z0-9_]+)`'
    while IFS= read -r line; do
        file=${line%%:*} function=${line#*:}
        [[ -f $file ]] || { echo "$line: there is no such file"; continue; }
        [[ -n $(body "$file" "$function") ]] || echo "$line: not defined there"
    done < <(grep -oE '[a-z0-9_/]+[.][ch]:[a-z0-9_]+' "$1" | sort -u)
    while IFS= read -r line; do
        if [[ $line == '#'* ]]; then
            levels=()
        elif [[ $line =~ $step ]]; then
            indent=${#BASH_REMATCH[1]} file=${BASH_REMATCH[3]} function=${BASH_REMATCH[4]}
            steps=$((steps + 1)) caller=
            for ((level = 0; level < indent; level++)); do
                caller=${levels[level]:-$caller}
            done
            levels=("${levels[@]:0:indent}") # gaps stay empty
            for ((level = ${#levels[@]}; level < indent; level++)); do levels[level]=; done
            levels[indent]=$file:$function
            if [[ -n $caller && -f ${caller%%:*} ]] &&
                ! body "${caller%%:*}" "${caller#*:}" | grep -qE "(^|[^a-z0-9_])$function\("; then
                echo "$caller does not call $function"
            fi
        fi
    done <"$1"
    echo "$steps steps"
}

# links_check DOCUMENT: a line for every relative link or file name that leads nowhere.
links_check() {
    local target
    while IFS= read -r target; do
        case $target in
        '' | '#'* | *://*) ;;
        *) [[ -e $(dirname "$1")/${target%%#*} ]] || echo "$1: link to $target" ;;
        esac
    done < <(grep -oE '\]\([^) ]*\)' "$1" | sed 's/^](//; s/)$//' | sort -u)
    while IFS= read -r target; do
        [[ -e $target || -e ${target%%:*} ]] || echo "$1: $target"
    done < <(grep -oE '`(bench|design|example|front|include|region|segment|test|tool)/[a-z0-9_/.-]+[.](c|h|sh|md)[`:]' \
        "$1" | tr -d '`' | sed 's/:$//' | sort -u)
}

# --- the checks can fail
mkdir "$work/design"
cat >"$work/design/bad.md" <<'MD'
1. `front/malloc.c:hak_free`
   1. `front/malloc.c:free_slow`
   1. `front/malloc.c:hak_malloc`
      1. `front/malloc.c:no_such_function`
1. `front/no_such_file.c:hak_malloc`
1. `front/heap.h:hak_heap_refill`

[here](../nowhere.md) and `front/nowhere.c`
MD
found=$(steps_check "$work/design/bad.md")
for expected in 'front/malloc.c:no_such_function: not defined there' \
    'front/no_such_file.c:hak_malloc: there is no such file' \
    'front/heap.h:hak_heap_refill: not defined there' \
    'front/malloc.c:hak_free does not call hak_malloc' \
    'front/malloc.c:hak_malloc does not call no_such_function' '6 steps'; do
    grep -qxF "$expected" <<<"$found" || fail "a wrong step is not found: $expected"
done
[[ $(wc -l <<<"$found") == 6 ]] || fail "a good step is found wrong: $found"
[[ $(links_check "$work/design/bad.md" | grep -c nowhere) == 2 ]] || fail "dead links are not found"

# --- and do not
found=$(steps_check design/walkthrough.md)
steps=$(tail -n 1 <<<"$found")
[[ ${steps% steps} -ge 80 ]] || fail "design/walkthrough.md has only $steps"
while IFS= read -r problem; do
    [[ $problem == "$steps" ]] || fail "design/walkthrough.md: $problem"
done <<<"$found"
while IFS= read -r problem; do
    fail "leads nowhere: $problem"
done < <(for document in *.md */*.md; do links_check "$document"; done)
finish "$steps of the walkthrough are true"
