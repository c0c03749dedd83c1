#!/usr/bin/env bash
# `go tool pprof` opens what `hakmem prof --pprof` writes, and the profile as it is.
#
# ctest: labels=full timeout=120
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
hakmem=${HAKMEM_BIN:-$build/hakmem}
built "$library" "$hakmem"
options_clear
[[ $library != *-header* ]] || skip "the header mode has no profile"
go tool -n pprof >/dev/null 2>&1 || skip "no go tool pprof (golang-go)"
work_begin
: "${CC:=cc}"
cd "$work"
export HOME=$work PPROF_TMPDIR=$work # it keeps what it reads
$CC -O1 -g -fno-builtin -o load "$here/prog/prof_load.c"
HAKMEM_PROF=1 HAKMEM_PROF_BYTES=16384 HAKMEM_PROF_FILE=p LD_PRELOAD="$library" ./load small churn large
mv p.*.heap profile
"$hakmem" prof profile --pprof -o profile.pb.gz

# top FILE INDEX: its table of that kind, in bytes or numbers.
top() { go tool pprof -top -nodecount=1000 -unit=bytes -sample_index="$2" "$1" 2>&1; }

# expect TABLE FUNCTION COLUMN FROM TO: so much has the function by that table.
expect() {
    local found
    found=$(awk -v name="$2" -v column="$3" '$6 == name { print $column + 0 }' <<<"$1")
    ((${found:-0} >= $4 && ${found:-0} <= $5)) || fail "$2: ${found:-none}, $4 to $5 expected: $1"
}

table=$(top profile.pb.gz inuse_space)
expect "$table" keep 1 43000000 51000000
expect "$table" keep_large 4 41000000 43000000
expect "$table" keep_small 4 3000000 6600000
grep -q 'Type: inuse_space' <<<"$table" || fail "not inuse_space: $table"
expect "$(top profile.pb.gz alloc_space)" churn_small 1 244000000 268000000
objects=$(go tool pprof -top -nodecount=1000 -sample_index=inuse_objects profile.pb.gz 2>&1)
expect "$objects" keep_small 4 85000 115000
[[ $(go tool pprof -top profile.pb.gz 2>&1) == *'Type: inuse_space'* ]] || fail "not what is shown unasked"

# As the process wrote it: pprof finds names by itself, in the program.
expect "$(top profile inuse_space)" keep 1 43000000 51000000
finish "pprof opens both forms"
