#!/usr/bin/env bash
# HAKMEM_PROF on a program whose allocations are known: how much is estimated and where, when
# profiles are written, what `hakmem prof` makes of them, and that nothing happens unasked.
#
# ctest: labels=quick timeout=120
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
hakmem=${HAKMEM_BIN:-$build/hakmem}
built "$library" "$hakmem"
options_clear
work_begin
: "${CC:=cc}"
cd "$work"
$CC -O1 -g -fomit-frame-pointer -fno-builtin -o load "$here/prog/prof_load.c"
$CC -O1 -g -fno-omit-frame-pointer -fno-builtin -o framed "$here/prog/prof_load.c"

# profiled OPTION=VALUE... PROGRAM WHAT...: with the mean of 16 KiB, unless said.
profiled() {
    rm -f p.*
    env HAKMEM_PROF=1 HAKMEM_PROF_BYTES=16384 HAKMEM_PROF_FILE=p LD_PRELOAD="$library" "$@" 2>err
}

# files COUNT: that many profiles there are, with rights for their owner only.
files() {
    local found
    found=$(find . -name 'p.*.heap' -perm 600 | wc -l)
    ((found == $1)) || fail "$found profiles of mode 600, $1 expected: $(ls -l p.* 2>&1)"
}

# value FUNCTION FILE OPTION...: the sum of the collapsed stacks with that function.
value() {
    local name=$1 file=$2
    shift 2
    "$hakmem" prof "$file" --collapsed "$@" |
        awk -v name="$name" '$0 ~ "(^|;)" name "(;| )" { sum += $NF } END { printf "%d\n", sum }'
}

# about FUNCTION BYTES FILE OPTION...: six standard deviations, sqrt(BYTES * mean) each.
about() {
    local name=$1 bytes=$2 found
    shift 2
    found=$(value "$name" "$@")
    awk -v a="$found" -v b="$bytes" 'BEGIN { d = a - b; exit !(d * d <= 36 * b * 16384) }' ||
        fail "$name: $found bytes, about $bytes expected ($*)"
}

# --- without the option: no profile, no word
LD_PRELOAD=$library ./load small 2>err
files 0
[[ ! -s err ]] || fail "not profiled, and yet: $(<err)"

# --- the header mode has none, and says so
if [[ $library == *-header* ]]; then
    profiled ./load small
    files 0
    grep -q 'HAKMEM_PROF=1 is ignored in the header mode' err || fail "not said: $(<err)"
    finish "the header mode has no profile"
    exit 0
fi
profiled HAKMEM_HARDEN=1 ./load small
files 0
grep -q 'HAKMEM_PROF=1 is ignored in a hardened process' err || fail "not said: $(<err)"

# --- at exit: how much, and where
profiled ./load small churn large
files 1
[[ ! -s err ]] || fail "nothing is wrong, and yet: $(<err)"
mv p.*.heap first
about keep_small 4800000 first
about keep_small 4800000 first --allocated
about keep_large $((40 << 20)) first
about churn_small 256000000 first --allocated
live=$(value churn_small first)
((live <= 64 * 1024)) || fail "churn_small frees all, and has $live"
objects=$(value keep_small first --objects)
((objects >= 85000 && objects <= 115000)) || fail "100000 blocks are $objects"
"$hakmem" prof first --collapsed | grep -q '^_start;.*;main;keep_small;keep [0-9]*$' ||
    fail "no stack from _start to keep: $("$hakmem" prof first --collapsed)"

# --- stacks by frame pointers; through code without tables; out of libc
profiled HAKMEM_PROF_STACKS=frames ./framed small large
mv p.*.heap frames
about keep_small 4800000 frames
"$hakmem" prof frames --collapsed | grep -q 'main;keep_small;keep [0-9]*$' ||
    fail "by frame pointers: $("$hakmem" prof frames --collapsed)"
profiled ./framed code dup
mv p.*.heap code
"$hakmem" prof code --collapsed | grep -q ';call_made_code;.*;keep_below;keep [0-9]*$' ||
    [[ $(uname -m) != x86_64 ]] || fail "through made code: $("$hakmem" prof code --collapsed)"
about keep_copies $((20000 * 1008)) code

# --- a signal, a file, a fork; each profile is a file of its own
profiled HAKMEM_PROF_SIGNAL="$(kill -l USR2)" ./load small signal large
files 2
about keep_large 0 p.*.0.heap
about keep_large $((40 << 20)) p.*.1.heap
profiled HAKMEM_PROF_WHEN="$work/now" ./load small file="$work/now" large
[[ ! -e now ]] || fail "the file that asks for a profile is still there"
files 2
about keep_large 0 p.*.0.heap
profiled ./load small fork
files 2
for file in p.*.heap; do
    about keep_small 4800000 "$file"
    value keep_child "$file"
done | sort -n >children
[[ $(head -1 children) == 0 ]] || fail "the parent has what its child kept: $(<children)"
(($(tail -1 children) > 60 << 20)) || fail "the child has not what it kept: $(<children)"

# --- a signal that comes while a profile is written: that one is enough
profiled HAKMEM_PROF_SIGNAL="$(kill -l XFSZ)" HAKMEM_PROF_WHEN="$work/now" ./load small cut="$work/now"
files 2
[[ $(stat -c %s p.*.0.heap) == 1000 ]] || fail "not cut at the limit: $(ls -l p.*)"
about keep_small 4800000 p.*.1.heap

# --- what was not freed
profiled HAKMEM_PROF_LEAKS=1 ./load small large
leaked=$(sed -n 's/^hakmem: load: about \([0-9]*\) bytes in [0-9]* blocks were not freed; hakmem prof --leaks p\.[0-9.]*heap says where$/\1/p' err)
((${leaked:-0} > 44000000 && leaked < 53000000)) || fail "about 48 MB leaked: $(<err)"
"$hakmem" prof p.*.heap --leaks >leaks
for line in '^load, process [0-9]*: about [0-9]* bytes in [0-9]* blocks were not freed, by [0-9]* stacks' \
    '^    keep_large  .*prof_load.c:[0-9]*$'; do
    grep -q "$line" leaks || fail "no $line: $(<leaks)"
done

# --- a file is never written over, nor through a link
rm -f p.*
(
    ln -s "$work/victim" "p.$BASHPID.0.heap"
    exec env HAKMEM_PROF=1 HAKMEM_PROF_FILE=p LD_PRELOAD="$library" ./load small
)
[[ ! -e victim ]] || fail "a profile went through a link"
files 1
rm -f p.*
( # a thousand names are tried
    touch "p.$BASHPID."{0..999}.heap
    exec env HAKMEM_PROF=1 HAKMEM_PROF_FILE=p LD_PRELOAD="$library" ./load small 2>err
)
grep -q '^hakmem: HAKMEM_PROF_FILE=p\.[0-9]*\.999\.heap cannot be written$' err || fail "not said: $(<err)"
[[ -z $(find . -name 'p.*' -size +0) ]] || fail "a file was written over"
profiled HAKMEM_PROF_SIGNAL="$(kill -l KILL)" ./load small
grep -q '^hakmem: HAKMEM_PROF_SIGNAL: no such signal can be had, using none$' err || fail "not said: $(<err)"
files 1
profiled HAKMEM_PROF_FILE=/nowhere/p ./load small
grep -q 'HAKMEM_PROF_FILE=/nowhere/p.* cannot be written' err || fail "not said: $(<err)"

# --- what the command makes of it
"$hakmem" prof first >table
for line in '^load, process [0-9]*: about [0-9]* bytes live; a sample each 16384 bytes$' ' keep$' \
    '^flame graph: first.svg$'; do
    grep -q "$line" table || fail "no $line: $(<table)"
done
grep -q '<title>keep_large: [0-9]* bytes, [0-9.]* %</title>' first.svg || fail "no box in first.svg"
if command -v xmllint >/dev/null; then
    xmllint --noout first.svg || fail "first.svg is not well formed"
fi
"$hakmem" prof first --pprof -o first.pb.gz
gzip -dc first.pb.gz | grep -q inuse_space || fail "no profile.proto"
status=0
"$hakmem" prof leaks >/dev/null 2>err || status=$?
if ((status != 1)) || ! grep -q 'leaks: this is no profile' err; then
    fail "a text taken for a profile: $(<err)"
fi
status=0
"$hakmem" prof 2>err || status=$?
((status == 2)) || fail "no file, and status $status"
finish "profiles are written, right, and read"
