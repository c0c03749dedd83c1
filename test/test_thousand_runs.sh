#!/usr/bin/env bash
# A short program with threads, a thousand times: none of the runs hangs, at its beginning, at a
# fork, or at its end while threads still allocate (prog/short_run.c).
#
# ctest: labels=full timeout=300
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${HAKMEM_BUILD_DIR:-$here/../build/release}
library=$(realpath -ms "${HAKMEM_LIB:-$build/libhakmem.so}")
program=$build/test/short_run
runs=${HAKMEM_TEST_RUNS:-1000}
unset LD_PRELOAD
for file in "$library" "$program"; do
    [[ -e $file ]] || { echo "$file is not built" >&2; exit 1; }
done
failures=0
for ((i = 0; i < runs; i++)); do
    status=0
    timeout -k 5 60 env LD_PRELOAD="$library" "$program" "$i" || status=$?
    ((status != 0)) || continue
    ((status != 124)) || echo "test_thousand_runs: run $i hangs" >&2
    echo "test_thousand_runs: run $i: status $status" >&2
    failures=$((failures + 1))
    ((failures < 5)) || break
done
((failures == 0)) || exit 1
echo "test_thousand_runs: $runs runs in $SECONDS s, none hung"
