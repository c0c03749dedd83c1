#!/usr/bin/env bash
# tool/coverage on a small program: it counts, merges two builds, wants a reason for each line that
# did not run, none for one that did, and fails below its goal.
#
# ctest: labels=quick timeout=60
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
command -v gcov >/dev/null || skip "gcov is not here"
work_begin
mkdir -p "$work"/{front,test,one,two,never}
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
for build in one two never; do
    (cd "$build" && gcc --coverage -O0 ../front/part.c ../test/main.c -o program)
done
one/program
two/program x

# expect NAME STATUS TEXT REASONS [ARGUMENT]...: what coverage prints has a line with TEXT in it.
expect() {
    local output status=0
    printf '%b' "$4" >reasons
    output=$("$source_dir/tool/coverage" --root "$work" --reasons reasons "${@:5}") || status=$?
    [[ $status == "$2" ]] && grep -qF -- "$3" <<<"$output" && return
    fail "$1: status $status, it said:"$'\n'"$output"
}

one=front/part.c:work
expect 'no reason' 1 'front/part.c:6: work: NO REASON' '' --goal 50 one two
expect 'a reason' 0 'front/part.c:6: work: nobody passes 3' "# a comment\n\n$one:1: nobody passes 3\n" \
    --goal 50 one two
expect 'at most' 0 'front/part.c:6: work: by chance' "$one:0-2: by chance\n" --goal 50 one two
expect 'of another function' 1 'of 1 that did not, 1 have no reason' 'front/part.h:both:1: why\n' \
    --goal 50 one two
expect 'not needed' 1 'front/part.h:both: 0 lines do not run any more, the reason is for 1' \
    "$one:1: why\nfront/part.h:both:1: why\n" --goal 50 one two
expect 'not needed, by chance' 0 '0 reasons are wrong' "$one:1: why\nfront/part.h:both:0-1: why\n" \
    --goal 50 one two
expect 'for more lines' 1 "$one: 1 lines do not run any more, the reason is for 2" "$one:2: why\n" \
    --goal 50 one two
expect 'for fewer lines' 1 "$one: 4 lines do not run, the reason is for 1" "$one:1: why\n" --goal 10 never
expect 'no such function' 1 "front/part.c:rest: there is no such function" \
    "$one:1: why\nfront/part.c:rest:0-1: why\n" --goal 50 one two
expect 'no such file' 1 "front/gone.c:work: there is no such function" \
    "$one:1: why\nfront/gone.c:work:0-1: why\n" --goal 50 one two
expect 'twice' 1 '' "$one:1: why\n$one:1: why\n" --goal 50 one two
expect 'not a reason' 1 '' "$one: why\n" --goal 50 one two
expect 'below the goal' 1 'below the goal of 95 %' "$one:1: why\n" one two
expect 'the figure' 0 'coverage: 87.50 % of 8 lines ran; of 1 that did not, 0 have no reason; 0 reasons' \
    "$one:1: why\n" --goal 87 one two
expect 'one build only' 1 'front/part.h:6: both: NO REASON' "$one:1: why\n" --goal 50 one
expect 'nothing ran' 1 'coverage: 0.00 % of 8 lines ran' '' --goal 50 never
cp -r two cut
for counts in cut/*.gcda; do : >"$counts"; done
expect 'killed as it wrote' 0 'NOT READABLE, its counts are left out' "$one:1: why\n" --goal 50 one two cut
expect 'nothing else was written' 1 'front/part.h:6: both: NO REASON' "$one:1: why\n" --goal 50 one cut
touch front/other.c
expect 'not counted' 1 'NOT COUNTED: front/other.c' "$one:1: why\n" --goal 50 one two
mkdir -p data/front
gcc --coverage -O0 -c front/other.c -o data/front/other.c.o
expect 'data only' 0 '0 reasons are wrong' "$one:1: why\n" --goal 50 one two data
finish "lines and their reasons are told apart"
