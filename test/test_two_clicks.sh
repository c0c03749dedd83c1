#!/usr/bin/env bash
# A reader who has never seen the project finds what it is about within two clicks from README.md: a link
# there, or a link in a document that README.md links, whose line says the words, leads to the file that has
# the thing. The plot in README.md is that of the record's table.
#
# ctest: labels=quick timeout=60
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
work_begin
cd "$source_dir"

# shellcheck disable=SC2016 # backticks are Markdown's
# What is looked for: the words on the line of the link; what the file must have.
wanted=(
    'fast path|^void \*hak_malloc\(size_t'
    'tag encoding|tag \^ heap'
    'remote protocol|collect remote once more'
    'fork handling|^void hak_heap_fork_child\('
    'huge-page decision|The default is `off`'
)

# links DOCUMENT: "TARGET<tab>LINE" of each relative link, the target from the top of the tree.
links() {
    local line target
    while IFS= read -r line; do
        while IFS= read -r target; do
            case $target in
            '#'* | *://*) ;;
            *) printf '%s\t%s\n' "$(realpath -m --relative-to=. "$(dirname "$1")/${target%%#*}")" "$line" ;;
            esac
        done < <(grep -oE '\]\([^) ]+\)' <<<"$line" | sed 's/^](//; s/)$//')
    done < <(grep -E '\]\(' "$1")
}

# clicks START WORDS PATTERN: how many lead from a document to the thing; "none" beyond two.
clicks() {
    local target line document
    while IFS=$'\t' read -r target line; do
        [[ ${line,,} == *"$2"* && -f $target ]] && grep -qE -- "$3" "$target" && { echo 1; return; }
    done < <(links "$1")
    while IFS= read -r document; do
        while IFS=$'\t' read -r target line; do
            [[ ${line,,} == *"$2"* && -f $target ]] && grep -qE -- "$3" "$target" && { echo 2; return; }
        done < <(links "$document")
    done < <(links "$1" | cut -f 1 | grep -E '[.]md$' | sort -u)
    echo none
}

for entry in "${wanted[@]}"; do
    words=${entry%%|*} pattern=${entry#*|}
    [[ $(clicks README.md "$words" "$pattern") != none ]] || fail "not within two clicks from README.md: $words"
done

# --- the check can fail
sed 's/fork handling/forks/I' README.md >"$work/README.md"
for path in front region segment design bench test tool include compat example CONTRIBUTING.md; do
    ln -s "$source_dir/$path" "$work/$path"
done
cd "$work"
[[ $(clicks README.md 'fork handling' '^void hak_heap_fork_child\(') == none ]] || fail "a missing link is not seen"
[[ $(clicks README.md 'fast path' '^void \*hak_malloc\(size_t') == 1 ]] || fail "a link that is there is not seen"
cd "$source_dir"

# --- every document of design/ is in its index
for document in design/*.md; do
    [[ $document == design/README.md ]] || grep -qF "]($(basename "$document"))" design/README.md ||
        fail "design/README.md does not list $document"
done

# --- the plot
python3 bench/plot.py design/0020-against-other-mallocs.md >"$work/plot.svg"
cmp -s "$work/plot.svg" design/0020-throughput.svg ||
    fail "design/0020-throughput.svg is not what bench/plot.py makes of the record"
grep -qF '](design/0020-throughput.svg)' README.md || fail "README.md does not show the plot"

finish "each within two clicks"
