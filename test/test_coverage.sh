#!/usr/bin/env bash
# tool/coverage on a small program: it counts, merges two builds, wants a reason for each function
# with a line that did not run, and fails below its goal.
#
# ctest: labels=quick timeout=60
set -euo pipefail
source_dir=${HAKMEM_SOURCE_DIR:-$(cd "$(dirname "$0")/.." && pwd)}
command -v gcov >/dev/null || { echo "gcov is not here"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
mkdir -p "$work"/{front,test,one,two}
cat >"$work/front/part.h" <<'C'
static inline int both(int a)
{
    if (a == 1) {
        return 5;
    }
    return 6;
}
C
cat >"$work/front/part.c" <<'C'
#include "part.h"
int work(int a);
int work(int a)
{
    if (a == 3) {
        return 7;
    }
    return both(a);
}
C
cat >"$work/test/main.c" <<'C'
int work(int a);
int main(int count, char **arguments)
{
    (void)arguments;
    return work(count) == 0;
}
C
cd "$work"
for build in one two; do
    (cd "$build" && gcc --coverage -O0 ../front/part.c ../test/main.c -o program)
done
one/program
two/program x

# expect NAME STATUS LINE REASONS [ARGUMENT]...: the last line that coverage prints is LINE, or one of
# them if it begins with *.
expect() {
    local output status=0
    printf '%b' "$4" >reasons
    output=$("$source_dir/tool/coverage" --root "$work" --reasons reasons "${@:5}") || status=$?
    [[ $status == "$2" ]] && grep -qF -- "$3" <<<"$output" && return
    printf '%s: status %s, it said:\n%s\n' "$1" "$status" "$output"
    failures=$((failures + 1))
}

expect 'no reason' 1 'front/part.c:6: work: NO REASON' '' --goal 50 one two
expect 'a reason' 0 'front/part.c:6: work: nobody passes 3' 'front/part.c:work: nobody passes 3\n' \
    --goal 50 one two
expect 'of a whole file' 0 'front/part.c:6: work: why' '# a comment\n\nfront/part.c:*: why\n' --goal 50 one two
expect 'of another function' 1 'not needed: the reason for front/part.c:main' 'front/part.c:main: why\n' \
    --goal 50 one two
expect 'below the goal' 1 'below the goal of 95 %' 'front/part.c:*: why\n' one two
expect 'the figure' 0 'coverage: 87.50 % of 8 lines ran; of 1 that did not, 0 have no reason' \
    'front/part.c:*: why\n' --goal 87 one two
expect 'one build only' 1 'front/part.h:6: both: NO REASON' 'front/part.c:*: why\n' --goal 50 one
((failures == 0)) || exit 1
