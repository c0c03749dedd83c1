#!/usr/bin/env bash
# Hardened processes do their work: programs of this tree, unit tests that ask for nothing else than
# good use, and real programs, those that are installed.
#
# ctest: labels=quick timeout=120
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
work_begin
tried=0

# hardened NAME EXPECTED COMMAND...: prints what is expected, says nothing, ends with 0.
hardened() {
    local name=$1 expected=$2 status=0 output
    shift 2
    output=$(cd "$work" && env HAKMEM_HARDEN=1 "$@" 2>&1 </dev/null) || status=$?
    tried=$((tried + 1))
    [[ $status == 0 && ($expected == any || $output == "$expected") ]] && return
    fail "$name: status $status: ${output:0:500}"
}

# installed NAME EXPECTED COMMAND...: the same with the library, if there is such a command.
installed() {
    ! command -v "$3" >/dev/null || hardened "$1" "$2" env LD_PRELOAD="$library" "${@:3}"
}

for test in test_fork test_calloc; do
    [[ ! -x $build/test/$test ]] || hardened "$test" any "$build/test/$test"
done
installed use_tiers '' "$build/test/use_tiers"

python='import json, threading
data = {str(i): [i] * 5 for i in range(20000)}
def work():
    assert json.loads(json.dumps(data)) == data
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(data))'
sql='create table t(a, b); create index i on t(b);
with recursive c(x) as (select 1 union all select x + 1 from c where x < 20000)
insert into t select x, hex(x * 7919) from c;
select count(distinct b) from t; pragma integrity_check;'
printf '#include <stdio.h>\nint main(void) { return puts("compiled") < 0; }\n' >"$work/source.c"
installed python3 20000 python3 -c "$python"
installed sqlite3 $'20000\nok' sqlite3 :memory: "$sql"
installed gcc '' gcc -O2 -o "$work/compiled" "$work/source.c"
installed compiled compiled "$work/compiled"
# shellcheck disable=SC2016 # perl's own
installed perl 100000 perl -e 'my %h; $h{$_} = "x" x ($_ % 300) for 1 .. 100000; print scalar keys %h'
installed git any git -C "$work" init -q repository
installed git any git -C "$work/repository" fsck
# shellcheck disable=SC2016 # for the inner shell
installed bash 300 bash -c 'for i in {1..300}; do x=$(echo "$i"); done; echo "$x"'

finish "hardened: $tried programs"
